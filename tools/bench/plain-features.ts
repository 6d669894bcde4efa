// The features as a textbook has them, for comparison: the same formulas, none of the tricks.
import { dctMatrix, melBands, melFilterBank, mfccCount } from '../../src/pipeline/mel.ts';

const frameSamples = 400;
const fftSize = 512;
const energyFloor = 1e-7;

interface Complex {
  readonly re: number;
  readonly im: number;
}

const hann = Array.from({ length: frameSamples }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / frameSamples));
const bank = melFilterBank({ bands: melBands, fftSize, sampleRateHz: 16_000, lowHz: 40, highHz: 7800 }).map(({ firstBin, weights }) =>
  Array.from({ length: fftSize / 2 }, (_, bin) => weights[bin - firstBin] ?? 0),
);
const dct = dctMatrix(melBands, mfccCount);

/** Log-mel and MFCC of the frame that begins at `start`: a recursive FFT of complex numbers, and whole matrices. */
export function plainFeatures(samples: Float32Array, start: number): number[] {
  const frame = Array.from({ length: fftSize }, (_, i) => ({
    re: i < frameSamples ? (samples[start + i] ?? 0) * (hann[i] ?? 0) : 0,
    im: 0,
  }));
  const power = fft(frame)
    .slice(0, fftSize / 2)
    .map(({ re, im }) => re * re + im * im);
  const logMel = bank.map((weights) => Math.log(Math.max(energyFloor, dot(weights, power))));
  const mfcc = Array.from({ length: mfccCount }, (_, k) => dot([...dct.subarray(k * melBands, (k + 1) * melBands)], logMel));
  return [...logMel, ...mfcc];
}

/** Cooley and Tukey, radix 2. */
function fft(values: readonly Complex[]): Complex[] {
  if (values.length === 1) return [...values];
  const even = fft(values.filter((_, i) => i % 2 === 0));
  const odd = fft(values.filter((_, i) => i % 2 === 1));
  const turned = odd.map(({ re, im }, k) => {
    const angle = (-2 * Math.PI * k) / values.length;
    return { re: re * Math.cos(angle) - im * Math.sin(angle), im: re * Math.sin(angle) + im * Math.cos(angle) };
  });
  const sum = (sign: number): Complex[] =>
    even.map(({ re, im }, k) => ({ re: re + sign * (turned[k]?.re ?? 0), im: im + sign * (turned[k]?.im ?? 0) }));
  return [...sum(1), ...sum(-1)];
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
