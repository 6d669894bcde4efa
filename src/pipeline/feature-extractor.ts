// PCM chunks to log-mel and MFCC frames, incrementally: any chunking of the audio gives the same frames.
import type { Emit, Processor } from '../processor.ts';
import { frameSamples, frontEndKernel, hopSamples, mostFrames } from './kernel/kernel.ts';
import { initialPitchState, lowRateBefore, pitchCount, pitchSpanSamples, pitchStateCount } from './pitch.ts';
import type { FeatureFrame, PcmChunk } from './types.ts';

export { frameSamples, hopSamples };

/** Least band energy whose logarithm is taken; about 100 dB below a full-scale tone. */
export const energyFloor = 1e-7;

/**
 * A frame before voice activity is known. The arrays are those of all extractors of a thread: copy what must outlive `emit`, and
 * before another extractor is given anything in it.
 */
export type RawFrame = Omit<FeatureFrame, 'speech'>;

/** Samples before a frame that its pitch is made of, and two hops: behind so much digital silence nothing of it changes. */
const pitchReach = pitchSpanSamples - frameSamples + 2 * hopSamples;

/** Options of a {@link FeatureExtractor}. */
export interface FeatureExtractorOptions {
  /** Whether frames have pitch. @default false */
  readonly pitch?: boolean;
}

/**
 * Frame i covers samples [160 i, 160 i + 400) of the track, with no padding at the start. Each is weighted by a
 * periodic Hann window, transformed (FFT of 512), squared, summed in 64 mel bands from 40 to 7800 Hz, and its
 * natural logarithm taken above a floor of 1e-7; the 40 MFCC are that vector's orthonormal DCT-II. All of it in single
 * precision, by the thread's kernel. A band that is not a number, because a sample is none, counts as empty.
 *
 * Where it is asked for, the last 32 ms of the frame say its pitch. 24 bands of 27 numbers say how periodic they are, from 480 down to 60 Hz in eighths of an octave: the
 * greatest normalised cross-correlation (D. Talkin's RAPT, 1995) at lags of the band,
 *
 *     r(t) = sum x[n] x[n - t] / sqrt(sum x[n]^2 sum x[n - t]^2 + 1e-8)
 *
 * over 128 samples of the signal below 900 Hz at 4 kHz, and by interpolation at half lags. They reach back 49.5 ms. The three numbers before the bands:
 *
 * - the pitch in octaves from 150 Hz: the greatest peak of r, less 0.03 for each octave of lag, where it is above 0.5, with the median of it and the two
 *   frames before; else what it was last, and 0 before anything was voiced;
 * - r at that peak, at least 0;
 * - five times how far the first number rose within two frames; 0 where it jumped by more than 0.4.
 *
 * A frame counts as concealed if any sample of its last hop is.
 *
 * Chunks must follow one another without hole or overlap from sample 0; RangeError otherwise.
 */
export class FeatureExtractor implements Processor<PcmChunk, RawFrame> {
  readonly #kernel = frontEndKernel();
  /** The samples since the beginning of the next frame: fewer than a frame. */
  readonly #pending = new Float32Array(frameSamples);
  /** What the next frame's pitch needs of those before; null where no pitch is wanted. */
  readonly #pitch: Float32Array | null;
  /** What a frame of silence says of the pitch. */
  readonly #silentRow: Float32Array | undefined;
  #filled = 0;
  #nextSample = 0;
  #nextIndex = 0;
  /** Position just after the newest concealed sample. */
  #concealedEnd = 0;
  /** Position just after the newest sample, of the chunk at hand or before, that is not zero. */
  #soundEnd = 0;

  constructor({ pitch = false }: FeatureExtractorOptions = {}) {
    this.#pitch = pitch ? new Float32Array(pitchStateCount + lowRateBefore) : null;
    this.#pitch?.set(initialPitchState);
    this.#silentRow = pitch ? new Float32Array(pitchCount) : undefined;
  }

  process(chunk: PcmChunk, emit: Emit<RawFrame>): void {
    if (chunk.startSample !== this.#nextSample) {
      throw new RangeError(`Expected a chunk at sample ${this.#nextSample}, got one at ${chunk.startSample}`);
    }
    const { samples } = chunk;
    let soundSamples = samples.length;
    while (soundSamples > 0 && samples[soundSamples - 1] === 0) soundSamples -= 1;
    if (soundSamples > 0) this.#soundEnd = chunk.startSample + soundSamples;
    const most = mostFrames * hopSamples;
    if (samples.length <= most) {
      this.#take(samples, chunk, emit);
      return;
    }
    for (let taken = 0; taken < samples.length; taken += most) this.#take(samples.subarray(taken, taken + most), chunk, emit);
  }

  /** How many more samples complete the last frame of the hop, of so many frames, that the next frame belongs to. */
  samplesUntilHop(hopFrames: number): number {
    const lastIndex = this.#nextIndex - (this.#nextIndex % hopFrames) + hopFrames - 1;
    return lastIndex * hopSamples + frameSamples - this.#nextSample;
  }

  /** The last incomplete frame is dropped: it would need samples that do not exist. */
  flush(): void {
    this.#filled = 0;
  }

  close(): void {
    this.#filled = 0;
  }

  /** Takes up to `mostFrames` hops, and emits the frames that they complete once all that is kept of them is safe. */
  #take(samples: Float32Array, { concealed, arrivalMs }: PcmChunk, emit: Emit<RawFrame>): void {
    const { functions, signal, pending, rows, pitchRows, silence } = this.#kernel;
    const filled = this.#filled + samples.length;
    const firstEnd = this.#nextSample - this.#filled + frameSamples;
    const frames = filled < frameSamples ? 0 : Math.floor((filled - frameSamples) / hopSamples) + 1;
    // An hour of silence, which a caller who was muted leaves behind, comes in one go and must not hold up all others.
    const reach = this.#pitch === null ? 0 : pitchReach;
    const allSilent = this.#soundEnd <= firstEnd - frameSamples - reach;
    if (allSilent) {
      this.#pending.fill(0);
    } else {
      signal.set(this.#pending);
      signal.set(samples, this.#filled);
      if (frames > 0) {
        functions.analyse(frames);
        if (this.#pitch !== null) this.#correlate(frames, this.#pitch);
        functions.shift(frames * hopSamples, filled);
      }
      this.#pending.set(pending);
    }
    this.#nextSample += samples.length;
    this.#filled = filled - frames * hopSamples;
    const concealedBefore = this.#concealedEnd;
    if (concealed) this.#concealedEnd = this.#nextSample;
    const firstIndex = this.#nextIndex;
    this.#nextIndex += frames;
    // What was last voiced stays, nothing else is.
    if (this.#silentRow !== undefined) this.#silentRow[0] = this.#pitch?.[0] ?? 0;
    for (let i = 0; i < frames; i += 1) {
      const row = (allSilent ? undefined : rows[i]) ?? silence;
      const lastHopStart = firstEnd + (i - 1) * hopSamples;
      const { logMel, mfcc } = row;
      const index = firstIndex + i;
      const isConcealed = concealed || concealedBefore > lastHopStart;
      const pitch = this.#pitch === null ? undefined : allSilent ? this.#silentRow : pitchRows[i];
      if (pitch === undefined) emit({ index, logMel, mfcc, concealed: isConcealed, arrivalMs });
      else emit({ index, logMel, mfcc, concealed: isConcealed, arrivalMs, pitch });
    }
  }

  #correlate(frames: number, own: Float32Array): void {
    const { functions, pitchMemory } = this.#kernel;
    pitchMemory.set(own);
    functions.correlate(frames);
    functions.shiftLowRate(frames);
    own.set(pitchMemory);
  }
}
