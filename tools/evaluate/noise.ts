// Adds noise to speech at a given ratio: white, or from recordings.
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { meanPower, speechPower } from '../audio/level.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import type { Random } from '../callers/random.ts';

/** Makes `count` samples of noise, of whatever level. */
export type NoiseSource = (count: number, random: Random) => Promise<Float32Array>;

/** Noise, and where it comes from in a person's words. */
export interface NamedNoise {
  readonly source: NoiseSource;
  readonly name: string;
}

/** Clips of ESC-10 and ESC-50: fold, clip, take, perhaps class: `5-117118-A-42.wav`. */
const escName = /^([1-5])-\d+-[A-Z](?:-\d+)?\.\w+$/;
/** The fold of ESC that is for evaluation; the others are for the augmentation of training data. */
const evaluationFold = '5';

/** White Gaussian noise. */
export const whiteNoise: NoiseSource = (count, random) =>
  // Box and Muller's method; 1 - random() is never 0.
  Promise.resolve(Float32Array.from({ length: count }, () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())));

/**
 * Noise from a folder's recordings: one drawn at random each time, from a random place on, repeated as needed. Where the
 * names are those of ESC's clips, the ones of fold 5 alone, for training may have heard the others.
 * @throws Error if the folder holds none.
 */
export async function recordedNoise(folder: string): Promise<NamedNoise> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new Error(`Expected a folder of noise at ${folder}, but it cannot be read`, { cause });
  });
  const all = names.filter((name) => /\.(?:wav|flac|opus|ogg)$/i.test(name)).toSorted();
  const ofEsc = all.filter((name) => escName.test(basename(name)));
  const files = ofEsc.length === 0 ? all : ofEsc.filter((name) => basename(name).startsWith(evaluationFold));
  if (files.length === 0) {
    throw new Error(`Expected recordings of noise in ${folder}${ofEsc.length === 0 ? '' : " of ESC's fold 5"}, got none`);
  }
  const name = ofEsc.length === 0 ? `${files.length} recordings` : `${files.length} recordings of ESC's fold ${evaluationFold}`;
  return { source: drawnFrom(folder, files), name };
}

function drawnFrom(folder: string, files: readonly string[]): NoiseSource {
  return async (count, random) => {
    const recording = await samplesOf(await readRecording(join(folder, files[Math.floor(random() * files.length)] ?? '')));
    const start = Math.floor(random() * recording.length);
    return Float32Array.from({ length: count }, (_, i) => recording[(start + i) % recording.length] ?? 0);
  };
}

/** `samples` with noise as far below the power of their speech, clipped to [-1, 1]; as they are where either is silent. */
export function addNoise(samples: Float32Array, noise: Float32Array, ratioDb: number): Float32Array {
  const speech = speechPower(samples);
  const power = meanPower(noise);
  if (speech === 0 || power === 0) return samples.slice();
  const gain = Math.sqrt(speech / power / 10 ** (ratioDb / 10));
  return samples.map((sample, i) => Math.max(-1, Math.min(1, sample + gain * (noise[i] ?? 0))));
}
