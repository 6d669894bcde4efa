// Reads the command line of the features command.
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { corpusEmotions, type CorpusName } from '../corpus/names.ts';
import type { JobOptions } from './jobs.ts';

/** What to export. */
export interface FeaturesOptions extends JobOptions {
  readonly corpus: CorpusName | null;
  readonly data: string;
  readonly out: string;
  readonly noise: string | null;
  readonly rooms: string | null;
  readonly workers: number;
  /** Whether the pitch stands in place of the last cepstra. */
  readonly pitch: boolean;
  /** Most clips, `Infinity` for all. */
  readonly limit: number;
}

const corpora = Object.keys(corpusEmotions) as CorpusName[];

const usage = `Usage: npm run features -- --data DIR --out DIR [--corpus NAME] [--augment N] [--noise DIR] [--rooms DIR] [--seed S]

  --data DIR     a corpus folder: clips (WAV, FLAC, Ogg Opus) in its official layout, or with a manifest.csv
  --out DIR      where features.npy, features.json, speech.npy and clips.csv are written
  --corpus NAME  that the folder must hold: ${corpora.join(', ')}; otherwise told by the names
  --augment N    so many copies of each speaker as another caller: voice, microphone, room, noise, codec, loss (default 0)
  --augment-all  copies of validation and test clips too, for cross-validation that splits by speaker afterwards
  --noise DIR    recordings of ESC-10, of which folds 1 to 4 are used
  --rooms DIR    impulse responses, WAV or FLAC
  --seed S       the same seed and data give the same files (default 1)
  --independent  each clip is a new caller (otherwise each speaker is one, clip after clip)
  --pitch        27 numbers of the pitch in place of the last 27 of 40 cepstra
  --limit N      only the first N clips, to try it out
  --workers N    threads (default: one less than the cores)`;

/** @throws Error that says what is wrong. */
export function parseOptions(args: readonly string[]): FeaturesOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      corpus: { type: 'string' },
      data: { type: 'string' },
      out: { type: 'string' },
      augment: { type: 'string', default: '0' },
      'augment-all': { type: 'boolean', default: false },
      noise: { type: 'string' },
      rooms: { type: 'string' },
      seed: { type: 'string', default: '1' },
      independent: { type: 'boolean', default: false },
      pitch: { type: 'boolean', default: false },
      limit: { type: 'string' },
      workers: { type: 'string' },
    },
  });
  const { data, out, corpus } = values;
  if (data === undefined || out === undefined) throw new Error(usage);
  return {
    corpus: corpus === undefined ? null : corpusNamed(corpus),
    data,
    out,
    augment: whole('augment', values.augment, 0),
    augmentAll: values['augment-all'],
    noise: values.noise ?? null,
    rooms: values.rooms ?? null,
    seed: whole('seed', values.seed, 0),
    independent: values.independent,
    pitch: values.pitch,
    limit: values.limit === undefined ? Infinity : whole('limit', values.limit, 1),
    workers: values.workers === undefined ? Math.max(1, availableParallelism() - 1) : whole('workers', values.workers, 1),
  };
}

function corpusNamed(text: string): CorpusName {
  const name = corpora.find((each) => each === text);
  if (name === undefined) throw new Error(`Expected --corpus to be one of ${corpora.join(', ')}, got \`${text}\``);
  return name;
}

function whole(option: string, text: string, least: number): number {
  if (!/^\d+$/.test(text) || Number(text) < least || !Number.isSafeInteger(Number(text))) {
    throw new Error(`Expected --${option} to be a whole number of at least ${least.toString()}, got \`${text}\``);
  }
  return Number(text);
}
