// Changes the pitch and the speed of a voice: WSOLA for the duration, a windowed sinc for the pitch.

/** What to do to a voice. */
export interface VoiceChange {
  /** Pitch and formants together, semitones. */
  readonly semitones: number;
  /** 2 is twice as fast; the pitch stays. */
  readonly speed: number;
}

/** Overlapping frames of 32 ms, which hold two periods of the lowest voice, every 16 ms. */
const frameSamples = 512;
const hopSamples = 256;
/** How far a frame may be moved to fit the one before, 10 ms: a period of 100 Hz either way. */
const searchSamples = 160;
/** The search looks at every fourth place first, by every fourth sample. */
const coarseStep = 4;
/** Zero crossings of the sinc on each side, and the positions between two samples that are told apart (-67 dB). */
const crossings = 16;
const phases = 1024;
/** Changes below this are none. */
const leastChange = 1e-3;

interface SincTable {
  readonly cutoff: number;
  readonly table: Float32Array;
  readonly halfTaps: number;
}

/** Kept, for all clips of a caller need the same. */
let newestTable: SincTable | null = null;

/** Changes a voice; the result has `round(length / speed)` samples. */
export function changeVoice(samples: Float32Array, { semitones, speed }: VoiceChange): Float32Array {
  const ratio = 2 ** (semitones / 12);
  const count = Math.round(samples.length / speed);
  return readFaster(stretch(samples, ratio / speed), ratio, count);
}

/**
 * Makes audio `factor` times as long and keeps its pitch: waveform-similarity overlap-add (Verhelst and Roelands,
 * ICASSP 1993). Each frame is taken from where it continues the one before best, at most 10 ms off its place.
 */
export function stretch(samples: Float32Array, factor: number): Float32Array {
  if (Math.abs(factor - 1) < leastChange) return samples.slice();
  const output = new Float32Array(Math.round(samples.length * factor));
  // Room before and after, so that no index is out of range.
  const margin = searchSamples + frameSamples;
  const padded = new Float32Array(samples.length + 2 * margin + frameSamples);
  padded.set(samples, margin);
  let previous = margin - hopSamples;
  for (let at = -hopSamples; at < output.length; at += hopSamples) {
    const nominal = margin + Math.round(at / factor);
    const from = at < 0 ? margin - hopSamples : bestFit(padded, previous + hopSamples, Math.min(nominal, padded.length - margin));
    const first = Math.max(0, -at);
    const end = Math.min(frameSamples, output.length - at);
    for (let i = first; i < end; i++) output[at + i] = (output[at + i] ?? 0) + (hann[i] ?? 0) * (padded[from + i] ?? 0);
    previous = from;
  }
  return output;
}

/** Reads audio `ratio` times as fast, so that its pitch rises by that; `count` samples come out. */
function readFaster(samples: Float32Array, ratio: number, count: number): Float32Array {
  if (Math.abs(ratio - 1) < leastChange / 10) {
    const same = new Float32Array(count);
    same.set(samples.subarray(0, count));
    return same;
  }
  const cutoff = Math.min(1, 1 / ratio);
  if (newestTable?.cutoff !== cutoff) newestTable = sincTable(cutoff);
  const { table, halfTaps } = newestTable;
  const taps = 2 * halfTaps;
  const padded = new Float32Array(samples.length + 2 * taps);
  padded.set(samples, taps);
  const output = new Float32Array(count);
  const last = padded.length - taps;
  for (let i = 0; i < count; i++) {
    const at = i * ratio;
    const centre = Math.floor(at);
    const row = Math.round((at - centre) * phases) * taps;
    const first = Math.min(last, centre + taps - halfTaps + 1);
    let sum = 0;
    for (let tap = 0; tap < taps; tap++) sum += (table[row + tap] ?? 0) * (padded[first + tap] ?? 0);
    output[i] = sum;
  }
  return output;
}

/** Weights of the samples around a place between two, `[phases + 1][taps]`; the cut-off is a share of the Nyquist frequency. */
function sincTable(cutoff: number): SincTable {
  const halfTaps = Math.ceil(crossings / cutoff);
  const taps = 2 * halfTaps;
  const table = new Float32Array((phases + 1) * taps);
  for (let phase = 0; phase <= phases; phase++) {
    let sum = 0;
    const row = table.subarray(phase * taps, (phase + 1) * taps);
    for (let tap = 0; tap < taps; tap++) {
      const distance = tap - halfTaps + 1 - phase / phases;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * distance) / halfTaps);
      const x = Math.PI * cutoff * distance;
      const weight = Math.abs(distance) >= halfTaps ? 0 : (x === 0 ? 1 : Math.sin(x) / x) * window;
      row[tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < taps; tap++) row[tap] = (row[tap] ?? 0) / sum;
  }
  return { cutoff, table, halfTaps };
}

/** Where, near `nominal`, the audio is most like that from `wanted` on: the highest normalised correlation over a hop. */
function bestFit(audio: Float32Array, wanted: number, nominal: number): number {
  const coarse = search(audio, wanted, nominal - searchSamples, nominal + searchSamples, coarseStep, coarseStep);
  return search(audio, wanted, coarse - coarseStep + 1, coarse + coarseStep - 1, 1, 2);
}

function search(audio: Float32Array, wanted: number, from: number, to: number, step: number, stride: number): number {
  let best = (from + to) >> 1;
  let bestScore = -Infinity;
  for (let place = from; place <= to; place += step) {
    let product = 0;
    let energy = 1e-9;
    for (let i = 0; i < hopSamples; i += stride) {
      const sample = audio[place + i] ?? 0;
      product += sample * (audio[wanted + i] ?? 0);
      energy += sample * sample;
    }
    const score = product / Math.sqrt(energy);
    if (score > bestScore) {
      bestScore = score;
      best = place;
    }
  }
  return best;
}

const hann = Float32Array.from({ length: frameSamples }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frameSamples));
