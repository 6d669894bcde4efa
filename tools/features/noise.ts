// Noises that callers may have around them: recordings of ESC-10, white, pink and brown noise, and babble.
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { meanPower, speechPower } from '../audio/level.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import type { Random } from '../callers/random.ts';

/** A kind of noise by its name and what it is made from. */
export type NoiseKind =
  | { readonly name: 'white' | 'pink' | 'brown'; readonly source: 'colour' }
  /** A class of recordings, by their files. */
  | { readonly name: string; readonly source: 'recordings'; readonly files: readonly string[] }
  | { readonly name: 'babble'; readonly source: 'voices' };

/** Makes `count` samples of noise of mean power 1, as a caller's surroundings go on. */
export type Noise = (count: number, random: Random) => Promise<Float32Array>;

/** Reads a clip of another speaker, for babble. */
export type Voice = () => Promise<Float32Array>;

export const colours: readonly NoiseKind[] = (['white', 'pink', 'brown'] as const).map((name) => ({ name, source: 'colour' }));
export const babble: NoiseKind = { name: 'babble', source: 'voices' };

/**
 * ESC-10 deals its recordings into five folds, the first number of the file name, so that no source occurs in two. The
 * fifth is kept for evaluation: what is measured under noise must not have been heard in training.
 */
const trainingFold = /^[1-4]-\d+-[A-Z](?:-(\d+))?\.(?:wav|flac|opus|ogg)$/;
const anyFold = /^[1-5]-\d+-[A-Z](?:-(\d+))?\.(?:wav|flac|opus|ogg)$/;

/** Least share of the recording's mean power that a stretch of it is raised from; what is quieter stays quieter. */
const leastShare = 0.1;
/** Voices of a babble. */
const voices = { least: 4, most: 8 };
const rampSamples = 320;

/**
 * The classes of recordings in a folder of ESC-10: by the folders that they are in, or by the class number of the
 * official names. Files of the fold kept for evaluation are passed over.
 * @throws Error if there are none.
 */
export async function readNoises(folder: string): Promise<NoiseKind[]> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new Error(`Expected a folder of noise at ${folder}, but it cannot be read`, { cause });
  });
  const files = names.filter((name) => mayTrain(basename(name))).toSorted();
  if (files.length === 0) {
    const held = names.filter((name) => anyFold.test(basename(name))).length;
    throw new Error(
      `Expected recordings of ESC-10's folds 1 to 4, named like 1-17367-A.wav, in ${folder}, got ${held === 0 ? 'none' : 'only fold 5'}`,
    );
  }
  const classes = Map.groupBy(files, (name) => {
    const number = trainingFold.exec(basename(name))?.[1];
    const parent = basename(dirname(name));
    return number === undefined ? (parent === '.' ? 'recording' : parent) : `class${number}`;
  });
  return [...classes].map(([name, own]) => ({
    name: name.replaceAll(/[^\w-]/g, '_'),
    source: 'recordings',
    files: own.map((file) => join(folder, file)),
  }));
}

/** Whether a recording may be heard in training, by its file name. */
export function mayTrain(name: string): boolean {
  return trainingFold.test(name);
}

/** Makes the noise of a caller. */
export function createNoise(kind: NoiseKind, others: readonly Voice[]): Noise {
  switch (kind.source) {
    case 'colour':
      return (count, random) => Promise.resolve(coloured(kind.name, count, random));
    case 'recordings':
      return async (count, random) => {
        const file = kind.files[Math.floor(random() * kind.files.length)] ?? '';
        return loop(await samplesOf(await readRecording(file)), count, random);
      };
    case 'voices':
      return createBabble(others);
  }
}

/** Fades a stretch of noise out into the next one, in place at its ends. */
export function fadeEnds(samples: Float32Array): void {
  const ramp = Math.min(rampSamples, samples.length >> 1);
  for (let i = 0; i < ramp; i++) {
    const gain = Math.sin((0.5 * Math.PI * (i + 0.5)) / ramp);
    samples[i] = (samples[i] ?? 0) * gain;
    samples[samples.length - 1 - i] = (samples[samples.length - 1 - i] ?? 0) * gain;
  }
}

/** Some of the voices at once, each from a random place on; they are read once. */
function createBabble(others: readonly Voice[]): Noise {
  let pool: Float32Array[] | null = null;
  return async (count, random) => {
    if (pool === null) {
      const read: Float32Array[] = [];
      for (const voice of others) read.push(withPower(await voice(), speechPower));
      pool = read.filter((voice) => voice.some((sample) => sample !== 0));
    }
    const mixed = new Float32Array(count);
    const wanted = voices.least + Math.floor(random() * (voices.most - voices.least + 1));
    const left = [...pool];
    for (let i = 0; i < wanted && left.length > 0; i++) {
      const [voice] = left.splice(Math.floor(random() * left.length), 1);
      if (voice === undefined) break;
      const start = Math.floor(random() * voice.length);
      const gain = 10 ** ((random() * 6 - 3) / 20);
      for (let at = 0; at < count; at++) mixed[at] = (mixed[at] ?? 0) + gain * (voice[(start + at) % voice.length] ?? 0);
    }
    return withPower(mixed, meanPower);
  };
}

/** A stretch of a recording from a random place on, repeated as needed. */
function loop(recording: Float32Array, count: number, random: Random): Float32Array {
  const start = Math.floor(random() * recording.length);
  const stretch = Float32Array.from({ length: count }, (_, i) => recording[(start + i) % recording.length] ?? 0);
  return withPower(stretch, (samples) => Math.max(meanPower(samples), leastShare * meanPower(recording)));
}

function coloured(colour: 'white' | 'pink' | 'brown', count: number, random: Random): Float32Array {
  const samples = Float32Array.from({ length: count }, () => random() + random() + random() - 1.5);
  if (colour === 'brown') {
    // A leak keeps it from drifting: flat below 25 Hz.
    let level = 0;
    for (let i = 0; i < count; i++) samples[i] = level = 0.99 * level + (samples[i] ?? 0);
  } else if (colour === 'pink') {
    // P. Kellet's filter: 3 dB an octave to within 0.5 dB.
    let [low, middle, high] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const white = samples[i] ?? 0;
      low = 0.99765 * low + white * 0.099046;
      middle = 0.963 * middle + white * 0.2965164;
      high = 0.57 * high + white * 1.0526913;
      samples[i] = low + middle + high + white * 0.1848;
    }
  }
  return withPower(samples, meanPower);
}

/** The samples at a power of 1; as they are where they are silent. */
function withPower(samples: Float32Array, powerOf: (samples: Float32Array) => number): Float32Array {
  const power = powerOf(samples);
  if (power === 0) return samples;
  const gain = 1 / Math.sqrt(power);
  return samples.map((sample) => sample * gain);
}
