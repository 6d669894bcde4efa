// PCM chunks to log-mel and MFCC frames, incrementally: any chunking of the audio gives the same frames.
import FFT from 'fft.js';
import type { Emit, Processor } from '../processor.ts';
import { dctMatrix, melBands, melFilterBank, mfccCount } from './mel.ts';
import { sampleRateHz, type FeatureFrame, type PcmChunk } from './types.ts';

/** Length of an analysis frame: 25 ms. */
export const frameSamples = 400;
/** Step from frame to frame: 10 ms. */
export const hopSamples = 160;
/** Least band energy whose logarithm is taken; about 100 dB below a full-scale tone. */
export const energyFloor = 1e-7;

const fftSize = 512;
const lowHz = 40;
const highHz = 7800;
const half = melBands / 2;

// Tables, and a transform that keeps nothing between two calls: shared by all callers of a thread.
const fft = new FFT(fftSize);
const window = hann(frameSamples);
const filters = melFilterBank({ bands: melBands, fftSize, sampleRateHz, lowHz, highHz });
const dct = foldedDct();

/** A frame before voice activity is known. The arrays are reused: copy what must outlive `emit`. */
export type RawFrame = Omit<FeatureFrame, 'speech'>;

/**
 * Frame i covers samples [160 i, 160 i + 400) of the track, with no padding at the start. Each is weighted by a
 * periodic Hann window, transformed (FFT of 512), squared, summed in 64 mel bands from 40 to 7800 Hz, and its
 * natural logarithm taken above a floor of 1e-7; the 40 MFCC are that vector's orthonormal DCT-II.
 * A frame counts as concealed if any sample of its last hop is.
 *
 * Chunks must follow one another without hole or overlap from sample 0; RangeError otherwise.
 */
export class FeatureExtractor implements Processor<PcmChunk, RawFrame> {
  readonly #pending = new Float32Array(frameSamples);
  readonly #input = new Float64Array(fftSize);
  readonly #spectrum = new Float64Array(2 * fftSize);
  readonly #power = new Float64Array(fftSize / 2);
  readonly #logMel = new Float32Array(melBands);
  readonly #mfcc = new Float32Array(mfccCount);
  readonly #sums = new Float64Array(half);
  readonly #differences = new Float64Array(half);
  #filled = 0;
  #nextSample = 0;
  #nextIndex = 0;
  /** Position just after the newest concealed sample. */
  #concealedEnd = 0;
  /** Position just after the newest sample, of the chunk at hand or before, that is not zero. */
  #soundEnd = 0;
  /** Whether `#logMel` and `#mfcc` hold a frame of zeros. */
  #analysedSilence = false;

  process(chunk: PcmChunk, emit: Emit<RawFrame>): void {
    if (chunk.startSample !== this.#nextSample) {
      throw new RangeError(`Expected a chunk at sample ${this.#nextSample}, got one at ${chunk.startSample}`);
    }
    const { samples } = chunk;
    let soundSamples = samples.length;
    while (soundSamples > 0 && samples[soundSamples - 1] === 0) soundSamples -= 1;
    if (soundSamples > 0) this.#soundEnd = chunk.startSample + soundSamples;
    let taken = 0;
    while (taken < samples.length) {
      const count = Math.min(frameSamples - this.#filled, samples.length - taken);
      this.#pending.set(samples.subarray(taken, taken + count), this.#filled);
      this.#filled += count;
      this.#nextSample += count;
      taken += count;
      if (chunk.concealed) this.#concealedEnd = this.#nextSample;
      if (this.#filled === frameSamples) this.#emitFrame(chunk.arrivalMs, emit);
    }
  }

  /** The last incomplete frame is dropped: it would need samples that do not exist. */
  flush(): void {
    this.#filled = 0;
  }

  close(): void {
    this.#filled = 0;
  }

  #emitFrame(arrivalMs: number, emit: Emit<RawFrame>): void {
    // An hour of silence, which a caller who was muted leaves behind, comes in one go and must not hold up all others.
    const silent = this.#soundEnd <= this.#nextSample - frameSamples;
    if (!silent || !this.#analysedSilence) this.#analyse();
    this.#analysedSilence = silent;
    const lastHopStart = this.#nextSample - hopSamples;
    emit({
      index: this.#nextIndex,
      logMel: this.#logMel,
      mfcc: this.#mfcc,
      concealed: this.#concealedEnd > lastHopStart,
      arrivalMs,
    });
    this.#nextIndex += 1;
    this.#pending.copyWithin(0, hopSamples);
    this.#filled = frameSamples - hopSamples;
  }

  #analyse(): void {
    const input = this.#input;
    const pending = this.#pending;
    for (let i = 0; i < frameSamples; i += 1) input[i] = (pending[i] ?? 0) * (window[i] ?? 0);
    fft.realTransform(this.#spectrum, input);
    const spectrum = this.#spectrum;
    const power = this.#power;
    for (let bin = 0; bin < power.length; bin += 1) {
      const re = spectrum[2 * bin] ?? 0;
      const im = spectrum[2 * bin + 1] ?? 0;
      power[bin] = re * re + im * im;
    }
    for (let band = 0; band < melBands; band += 1) {
      const filter = filters[band];
      if (filter === undefined) break;
      const { firstBin, weights } = filter;
      let energy = 0;
      for (let i = 0; i < weights.length; i += 1) energy += (weights[i] ?? 0) * (power[firstBin + i] ?? 0);
      this.#logMel[band] = Math.log(Math.max(energy, energyFloor));
    }
    const logMel = this.#logMel;
    const [sums, differences] = [this.#sums, this.#differences];
    for (let n = 0; n < half; n += 1) {
      const [low, high] = [logMel[n] ?? 0, logMel[melBands - 1 - n] ?? 0];
      sums[n] = low + high;
      differences[n] = low - high;
    }
    for (let k = 0; k < mfccCount; k += 1) {
      const folded = k % 2 === 0 ? sums : differences;
      const row = k * half;
      let sum = 0;
      for (let n = 0; n < half; n += 1) sum += (dct[row + n] ?? 0) * (folded[n] ?? 0);
      this.#mfcc[k] = sum;
    }
  }
}

function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
}

/**
 * The cosine transform's left half, `[mfccCount][half]` row-major: even rows are symmetric and odd ones antisymmetric, so each
 * works on the sums or the differences of mirrored bands.
 */
function foldedDct(): Float64Array {
  const whole = dctMatrix(melBands, mfccCount);
  return Float64Array.from({ length: mfccCount * half }, (_, i) => whole[Math.floor(i / half) * melBands + (i % half)] ?? 0);
}
