// The options of an evaluation, read from the command line and checked.
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { shippedModelDir } from '../analyse/play.ts';
import { concealments, type Concealment } from './concealment.ts';
import { corpusNames, type CorpusName } from '../corpus/names.ts';

/** What happens to the audio between speaker and server. */
export type Codec = { readonly name: 'none' | 'pcmu' } | { readonly name: 'opus'; readonly kbps: number };

/** Options of an evaluation. */
export interface EvaluationOptions {
  readonly corpus: CorpusName;
  /** Folder of the corpus. */
  readonly data: string;
  readonly split: 'train' | 'validation' | 'test' | 'all';
  /** Only these speakers; null for all. */
  readonly speakers: readonly string[] | null;
  /** Folder of the model's manifest. */
  readonly modelDir: string;
  /** Folder of `fold-0`, `fold-1`, …, each with a model and the speakers it is to be tested on; null for one model. */
  readonly foldsDir: string | null;
  readonly codec: Codec;
  /** Whether Opus is encoded with in-band FEC. */
  readonly fec: boolean;
  /** Whether Opus leaves silence out (discontinuous transmission), but for an update each 400 ms. */
  readonly dtx: boolean;
  /** What the receiver makes of lost packets. */
  readonly concealment: Concealment;
  /** Packets that the network loses, percent. */
  readonly lossPercent: number;
  /** Packets in a burst of losses on average; 1 for independent losses. */
  readonly burstPackets: number;
  /** Signal-to-noise ratio of added noise, dB; null for none. */
  readonly noiseDb: number | null;
  /** Folder of recordings to take noise from, of ESC's those of fold 5 alone; white noise where null. */
  readonly noiseFrom: string | null;
  /** Whether each clip is a new caller; otherwise each speaker is one. */
  readonly independent: boolean;
  /** Whether each caller's clips all play once before, unscored, so that the running statistics are full. */
  readonly warmUp: boolean;
  /** Whether the curves over speech heard, time in the call and confidence are taken too: ten more times the clips. */
  readonly curves: boolean;
  readonly seed: number;
  /** Most clips, drawn at random; null for all. */
  readonly limit: number | null;
}

export const usage = `Usage: npm run evaluate -- --corpus NAME --data DIR [options]

  --corpus NAME      ${corpusNames.join(', ')}
  --data DIR         the corpus: its official layout (WAV, FLAC or Ogg Opus), or a folder with manifest.csv
  --split NAME       train, validation, test or all (default); by speaker, CREMA-D alone has one
  --speakers LIST    only these speakers: a,b,c or a file of their names
  --model DIR        folder of a model's manifest; by default the model that ships
  --folds DIR        DIR/fold-0, fold-1, …: each model on the test speakers of its speakers.json, pooled
  --codec CODEC      none (default: Opus clips as their own packets, others as samples), pcmu, or opus:KBPS
  --fec              opus:KBPS with in-band FEC, for an expected loss of 10 %
  --dtx              opus:KBPS without the packets of silence, but for an update each 400 ms
  --loss PERCENT     packets lost, in bursts
  --burst N          of N packets on average; 1 for independent losses; by default 3
  --concealment HOW  of lost packets: fec where there is any (default, as the server does), plc alone, or silence
  --noise DB         white noise, at this ratio to each clip's speech; write --noise=-5 below 0
  --noise-from DIR   noise from the recordings of a folder, in the place of white noise; of ESC-10 and ESC-50 fold 5 alone
  --independent      each clip is a new caller (otherwise each speaker is one, whose clips play in random order)
  --warm-up          each caller's clips all play once before, unscored: full statistics from the first clip on
  --curves           also by seconds of speech heard, by time in the call, and by confidence
  --seed N           of order, pauses, loss, noise and intervals; by default 1
  --limit N          only N clips, drawn at random
  --json FILE        all figures as JSON`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const texts = {
  ...{ corpus: text, data: text, split: text, speakers: text, model: text, folds: text, codec: text, loss: text, burst: text },
  ...{ noise: text, 'noise-from': text, concealment: text, seed: text, limit: text, json: text },
};
const flags = { fec: flag, dtx: flag, independent: flag, 'warm-up': flag, curves: flag, help: flag };

const splits = ['train', 'validation', 'test', 'all'] as const;

/**
 * Reads the command line; null where help is asked for.
 * @throws Error that says which option is not as expected.
 */
export function readOptions(args: readonly string[]): (EvaluationOptions & { readonly json: string | null }) | null {
  const { values } = parseArgs({ args: [...args], options: { ...texts, ...flags } });
  if (values.help === true) return null;
  const { corpus, data, split = 'all', speakers } = values;
  const knownCorpus = corpusNames.find((name) => name === corpus);
  if (knownCorpus === undefined) throw expected('--corpus', `one of ${corpusNames.join(', ')}`, corpus);
  if (data === undefined || data === '') throw expected('--data', 'the folder of the corpus', data);
  const knownSplit = splits.find((name) => name === split);
  if (knownSplit === undefined) throw expected('--split', 'train, validation, test or all', split);
  if (speakers?.trim() === '') throw expected('--speakers', 'a,b,c or a file of names', speakers);
  const noiseDb = values.noise === undefined ? null : number('--noise', values.noise, -20, 100);
  if (values['noise-from'] !== undefined && noiseDb === null) throw new Error('Expected --noise DB with --noise-from, got none');
  for (const name of ['model', 'split', 'speakers'] as const) {
    if (values.folds !== undefined && values[name] !== undefined) throw excludes('--folds', `--${name}`, 'each fold says its own');
  }
  for (const name of ['warm-up', 'curves'] as const) {
    if (values.independent === true && values[name] === true) throw excludes('--independent', `--${name}`, 'a new caller has no past');
  }
  if (values['warm-up'] === true && values.curves === true) throw excludes('--warm-up', '--curves', 'they hold its figures too');
  const codec = readCodec(values.codec ?? 'none');
  for (const name of ['fec', 'dtx'] as const) {
    if (values[name] === true && codec.name !== 'opus') throw expected('--codec', `opus:KBPS with --${name}`, values.codec);
  }
  const concealment = concealments.find((name) => name === (values.concealment ?? 'fec'));
  if (concealment === undefined) throw expected('--concealment', concealments.join(', '), values.concealment);
  return {
    corpus: knownCorpus,
    data,
    split: knownSplit,
    speakers: speakers === undefined ? null : readSpeakers(speakers),
    modelDir: values.model ?? shippedModelDir,
    foldsDir: values.folds ?? null,
    codec,
    fec: values.fec === true,
    dtx: values.dtx === true,
    concealment,
    lossPercent: number('--loss', values.loss ?? '0', 0, 90),
    burstPackets: number('--burst', values.burst ?? '3', 1, 100),
    noiseDb,
    noiseFrom: values['noise-from'] ?? null,
    independent: values.independent === true,
    warmUp: values['warm-up'] === true,
    curves: values.curves === true,
    seed: whole('--seed', values.seed ?? '1', 0),
    limit: values.limit === undefined ? null : whole('--limit', values.limit, 1),
    json: values.json ?? null,
  };
}

/** The codec as it is written on the command line. */
export function codecText(codec: Codec): string {
  return codec.name === 'opus' ? `opus:${codec.kbps}` : codec.name;
}

/** Names in the file where there is one of that name, else in the text itself, between commas or white space. */
function readSpeakers(given: string): readonly string[] {
  const names = (existsSync(given) ? readFileSync(given, 'utf8') : given).split(/[\s,]+/).filter((name) => name !== '');
  if (names.length === 0) throw expected('--speakers', 'names of speakers', 'a file without any');
  return [...new Set(names)];
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

function excludes(name: string, other: string, why: string): Error {
  return new Error(`Expected ${name} without ${other}, got both: ${why}`);
}

function expected(name: string, what: string, got: string | undefined): Error {
  return new Error(`Expected ${name} to be ${what}, got ${got === undefined ? 'none' : `\`${got}\``}`);
}
