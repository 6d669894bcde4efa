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
  readonly role: 'customer' | 'guest';
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
 * A cast of `count` people: customers and guests in turn, women and men in turn while there are both, each with all the
 * clips of one actor. More people than actors share voices, never names. The same each time.
 */
export function demoCast(manifest: DemoManifest, count: number, directory = demoDirectory): CastMember[] {
  const actors = actorsInTurn(manifest.clips);
  return Array.from({ length: count }, (_, index) => {
    const { actor, sex, clips } = actors[index % actors.length] ?? { actor: '', sex: 'female' as const, clips: [] };
    const names = firstNames[sex];
    return {
      participantId: `demo-${String(index + 1)}`,
      displayName: `${names[index % names.length] ?? ''} ${lastNames[index % lastNames.length] ?? ''}`,
      role: index % 2 === 0 ? 'customer' : 'guest',
      actor,
      sex,
      clips: clips.map(({ file }) => ({ name: file, path: join(directory, file) })),
    };
  });
}

interface Actor {
  readonly actor: string;
  readonly sex: 'female' | 'male';
  readonly clips: DemoManifest['clips'];
}

/** The actors of the clips: a woman, a man, a woman …, and the rest. */
function actorsInTurn(clips: DemoManifest['clips']): Actor[] {
  const byActor = new Map<string, Actor>();
  for (const clip of clips) {
    const known = byActor.get(clip.actor) ?? { actor: clip.actor, sex: clip.sex, clips: [] };
    known.clips.push(clip);
    byActor.set(clip.actor, known);
  }
  const all = [...byActor.values()];
  const women = all.filter(({ sex }) => sex === 'female');
  const men = all.filter(({ sex }) => sex === 'male');
  return Array.from({ length: Math.max(women.length, men.length) }, (_, i) => [...women.slice(i, i + 1), ...men.slice(i, i + 1)]).flat();
}
