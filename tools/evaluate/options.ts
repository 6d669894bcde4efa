// The options of an evaluation, read from the command line and checked.
import { parseArgs } from 'node:util';
import type { CorpusName } from '../corpus/names.ts';

/** What happens to the audio between speaker and server. */
export type Codec = { readonly name: 'none' | 'pcmu' } | { readonly name: 'opus'; readonly kbps: number };

/** Options of an evaluation. */
export interface EvaluationOptions {
  readonly corpus: CorpusName;
  /** Folder of the corpus. */
  readonly data: string;
  readonly split: 'train' | 'validation' | 'test' | 'all';
  readonly codec: Codec;
  /** Packets that the network loses, percent. */
  readonly lossPercent: number;
  /** Signal-to-noise ratio of added noise, dB; null for none. */
  readonly noiseDb: number | null;
  /** Folder of recordings to take noise from; white noise where null. */
  readonly noiseFrom: string | null;
  /** Whether each clip is a new caller; otherwise each speaker is one. */
  readonly independent: boolean;
  readonly seed: number;
  /** Most clips, drawn at random; null for all. */
  readonly limit: number | null;
}

export const usage = `Usage: npm run evaluate -- --corpus crema-d|ravdess --data DIR [options]

  --corpus NAME      crema-d or ravdess
  --data DIR         the corpus: its official layout (WAV, FLAC or Ogg Opus), or a folder with manifest.csv
  --split NAME       train, validation, test or all (default); by speaker, CREMA-D alone has one
  --codec CODEC      none (default: Opus clips as their own packets, others as samples), pcmu, or opus:KBPS
  --loss PERCENT     packets lost in bursts of 3 on average
  --noise DB         white noise, at this ratio to each clip's speech; write --noise=-5 below 0
  --noise-from DIR   noise from the recordings of a folder, in the place of white noise
  --independent      each clip is a new caller (otherwise each speaker is one, whose clips play in random order)
  --seed N           of order, pauses, loss, noise and intervals; by default 1
  --limit N          only N clips, drawn at random
  --json FILE        all figures as JSON`;

const splits = ['train', 'validation', 'test', 'all'] as const;

/**
 * Reads the command line; null where help is asked for.
 * @throws Error that says which option is not as expected.
 */
export function readOptions(args: readonly string[]): (EvaluationOptions & { readonly json: string | null }) | null {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{
        corpus: text,
        data: text,
        split: text,
        codec: text,
        loss: text,
        noise: text,
        'noise-from': text,
        seed: text,
        limit: text,
        json: text,
      },
      independent: flag,
      help: flag,
    },
  });
  if (values.help === true) return null;
  const { corpus, data, split = 'all' } = values;
  if (corpus !== 'crema-d' && corpus !== 'ravdess') throw expected('--corpus', 'crema-d or ravdess', corpus);
  if (data === undefined || data === '') throw expected('--data', 'the folder of the corpus', data);
  const known = splits.find((name) => name === split);
  if (known === undefined) throw expected('--split', 'train, validation, test or all', split);
  const noiseDb = values.noise === undefined ? null : number('--noise', values.noise, -20, 100);
  if (values['noise-from'] !== undefined && noiseDb === null) throw new Error('Expected --noise DB with --noise-from, got none');
  return {
    corpus,
    data,
    split: known,
    codec: readCodec(values.codec ?? 'none'),
    lossPercent: number('--loss', values.loss ?? '0', 0, 90),
    noiseDb,
    noiseFrom: values['noise-from'] ?? null,
    independent: values.independent === true,
    seed: whole('--seed', values.seed ?? '1', 0),
    limit: values.limit === undefined ? null : whole('--limit', values.limit, 1),
    json: values.json ?? null,
  };
}

/** The codec as it is written on the command line. */
export function codecText(codec: Codec): string {
  return codec.name === 'opus' ? `opus:${codec.kbps}` : codec.name;
}

function readCodec(text: string): Codec {
  if (text === 'none' || text === 'pcmu') return { name: text };
  const [, kbps] = /^opus:(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (kbps === undefined) throw expected('--codec', 'none, pcmu or opus:KBPS', text);
  return { name: 'opus', kbps: number('--codec opus', kbps, 6, 510) };
}

function number(name: string, text: string, least: number, most: number): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!(value >= least && value <= most)) throw expected(name, `a number from ${least} to ${most}`, text);
  return value;
}

function whole(name: string, text: string, least: number): number {
  const value = number(name, text, least, 2 ** 32 - 1);
  if (!Number.isInteger(value)) throw expected(name, 'a whole number', text);
  return value;
}

function expected(name: string, what: string, got: string | undefined): Error {
  return new Error(`Expected ${name} to be ${what}, got ${got === undefined ? 'none' : `\`${got}\``}`);
}
