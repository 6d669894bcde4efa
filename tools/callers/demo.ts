// The cast of the demo call: invented people, each with the voice of one actor of the demo clips.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { CallerClip } from './types.ts';

const demoManifestSchema = z.strictObject({
  format: z.literal('undertone-demo/1'),
  source: z.string(),
  license: z.string(),
  clips: z
    .array(
      z.strictObject({
        file: z.string().regex(/^[\w-]+\.opus$/),
        actor: z.string(),
        sex: z.enum(['female', 'male']),
        /** What the actor was asked to act. */
        emotion: z.string(),
        /** Whether most listeners, hearing the voice alone, heard that emotion. */
        recognised: z.boolean(),
        durationMs: z.int().positive(),
        sha256: z.string().regex(/^[0-9a-f]{64}$/),
      }),
    )
    .min(1),
});

/** What `assets/demo/manifest.json` holds. */
export type DemoManifest = z.infer<typeof demoManifestSchema>;

/** One person of the demo call. */
export interface CastMember {
  readonly participantId: string;
  /** An invented name. */
  readonly displayName: string;
  readonly role: 'agent' | 'customer';
  readonly actor: string;
  readonly sex: 'female' | 'male';
  readonly clips: readonly CallerClip[];
}

const firstNames = {
  female: ['Ada', 'Noor', 'Ines', 'Mina', 'Freya', 'Leila', 'Tove', 'Priya', 'Clara', 'Yuki'],
  male: ['Jonas', 'Tariq', 'Mateo', 'Emil', 'Kofi', 'Bruno', 'Sven', 'Arjun', 'Felix', 'Haru'],
};
const lastNames = ['Marlow', 'Okafor', 'Lindqvist', 'Reyes', 'Tanaka', 'Novak', 'Haddad', 'Bergmann', 'Silva', 'Whitlock', 'Duarte'];

/** Folder of the clips that come with the repository. */
export const demoDirectory = join(import.meta.dirname, '../../assets/demo');

/**
 * Reads the manifest of the demo clips.
 * @throws Error if it is missing or not of the expected form.
 */
export function readDemoManifest(directory = demoDirectory): DemoManifest {
  const parsed = demoManifestSchema.safeParse(JSON.parse(readFileSync(join(directory, 'manifest.json'), 'utf8')));
  if (!parsed.success) throw new Error(`Expected a manifest of demo clips:\n${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/**
 * A cast of `count` people: agents and customers in turn, women and men as the clips have them, each with all the clips
 * of one actor. More people than actors share voices, never names. The same each time.
 */
export function demoCast(manifest: DemoManifest, count: number, directory = demoDirectory): CastMember[] {
  const byActor = new Map<string, DemoManifest['clips']>();
  for (const clip of manifest.clips) byActor.set(clip.actor, [...(byActor.get(clip.actor) ?? []), clip]);
  const actors = [...byActor];
  return Array.from({ length: count }, (_, index) => {
    const [actor, clips] = actors[(index * actorStride(actors.length)) % actors.length] ?? ['', []];
    const sex = clips[0]?.sex ?? 'female';
    const names = firstNames[sex];
    return {
      participantId: `demo-${String(index + 1)}`,
      displayName: `${names[index % names.length] ?? ''} ${lastNames[index % lastNames.length] ?? ''}`,
      role: index % 2 === 0 ? 'customer' : 'agent',
      actor,
      sex,
      clips: clips.map(({ file }) => ({ name: file, path: join(directory, file) })),
    };
  });
}

/** A step through the actors that reaches each before any twice, and mixes women and men, who stand in blocks. */
function actorStride(actorCount: number): number {
  return [5, 4, 3, 2].find((stride) => stride < actorCount && actorCount % stride !== 0) ?? 1;
}
