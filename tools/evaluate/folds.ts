// The models that an evaluation asks, and the guard that none of them is asked about a voice that it was trained on.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../src/errors.ts';
import { loadManifest } from '../../src/models/manifest.ts';
import type { ModelManifest } from '../../src/models/types.ts';

/** `speakers.json` beside a model's manifest: whose voices trained it, chose among its epochs, and were kept for its test. */
const speakersSchema = z.object({
  /** The corpus that they are of; any where it is not said. */
  corpus: z.string().optional(),
  train: z.array(z.string()).min(1),
  validation: z.array(z.string()).default([]),
  test: z.array(z.string()),
});

/** Speakers of a model by what they were to it. */
export type ModelSpeakers = z.infer<typeof speakersSchema>;

/** A model that is evaluated. */
export interface EvaluatedModel {
  /** `fold-0`; the model's own name where it is the only one. */
  readonly name: string;
  readonly dir: string;
  readonly manifest: ModelManifest;
  /** Null where no `speakers.json` lies beside the manifest. */
  readonly speakers: ModelSpeakers | null;
}

/** Loads a model. @throws Error if it cannot be loaded, or its `speakers.json` is not one or puts a speaker on both sides. */
export async function readModel(dir: string): Promise<EvaluatedModel> {
  const { manifest } = await loadManifest(dir);
  const speakers = await readSpeakers(join(dir, 'speakers.json'));
  if (speakers !== null) assertDisjoint(dir, speakers.test, speakers);
  return { name: manifest.name, dir, manifest, speakers };
}

/**
 * Loads `fold-0`, `fold-1`, … of a folder.
 * @throws Error if one is missing in the row, cannot be loaded, says not who its test speakers are, was trained on one of
 * them, or has one that another fold has too, or other labels.
 */
export async function readFolds(folder: string): Promise<EvaluatedModel[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new Error(`Expected a folder of folds at ${folder}, but it cannot be read`, { cause });
  });
  const count = names.filter((name) => /^fold-\d+$/.test(name)).length;
  if (count === 0) throw new Error(`Expected fold-0, fold-1, … in ${folder}, got none`);
  const folds: EvaluatedModel[] = [];
  const foldOf = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const name = `fold-${i}`;
    if (!names.includes(name)) throw new Error(`Expected fold-0 to fold-${count - 1} in ${folder}, got no ${name}`);
    const model = await readModel(join(folder, name));
    if (model.speakers === null || model.speakers.test.length === 0) {
      throw new Error(`Expected the test speakers of ${name} in its speakers.json, got none`);
    }
    for (const speaker of model.speakers.test) {
      const other = foldOf.get(speaker);
      if (other !== undefined) throw new Error(`Expected each test speaker in one fold, got \`${speaker}\` in ${other} and ${name}`);
      foldOf.set(speaker, name);
    }
    const first = (folds[0] ?? model).manifest.labels.join(', ');
    const own = model.manifest.labels.join(', ');
    if (own !== first) throw new Error(`Expected all folds to have the labels ${first}, got ${own} in ${name}`);
    folds.push({ ...model, name });
  }
  return folds;
}

/** @throws Error if any of `tested` is of those who trained the model, or chose among its epochs. */
export function assertDisjoint(model: string, tested: readonly string[], speakers: ModelSpeakers): void {
  for (const part of ['train', 'validation'] as const) {
    const own = new Set(speakers[part]);
    const both = tested.filter((speaker) => own.has(speaker));
    if (both.length === 0) continue;
    const list = both.slice(0, 5).join(', ') + (both.length > 5 ? ', …' : '');
    throw new Error(`Expected no test speaker of ${model} among its ${part} speakers, got ${both.length}: ${list}`);
  }
}

async function readSpeakers(path: string): Promise<ModelSpeakers | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return speakersSchema.parse(JSON.parse(text));
  } catch (cause) {
    const message = cause instanceof z.ZodError ? z.prettifyError(cause) : messageOf(cause);
    throw new Error(`Expected ${path} to hold lists of names under train, test and perhaps validation, got: ${message}`, { cause });
  }
}
