// The thread's kernel of features, voice inputs and normalisation: its tables filled in, and views into its memory.
import { dctMatrix, featureCount, melBands, melFilterBank, mfccCount } from '../mel.ts';
import { lagBands, lagCosts, lowPassTaps, lowRateBefore, pitchCount, pitchStateCount } from '../pitch.ts';
import { sampleRateHz } from '../types.ts';
import * as at from './layout.ts';
import { instantiateKernel, type KernelFunctions } from './module.ts';

/** Length of an analysis frame: 25 ms. */
export const frameSamples = 400;
/** Step from frame to frame: 10 ms. */
export const hopSamples = 160;
/** Most frames that are analysed at a time. */
export const mostFrames = 10;
/** What the signal's memory holds: as many frames, and up to a hop more. */
export const signalSamples = frameSamples + mostFrames * hopSamples;
/** Numbers of a frame's voice inputs, and of the levels that a caller keeps for them. */
export const voiceInputCount = melBands + 17;
export const voiceLevelCount = 20;

const fftSize = 512;
const lowHz = 40;
const highHz = 7800;
const lanes = 4;
const half = melBands / 2;

/** Features of a frame, views into memory that all callers of a thread share. */
export interface FeatureRow {
  readonly logMel: Float32Array;
  readonly mfcc: Float32Array;
}

/**
 * What the stages share: they copy in what they need, call, and copy out what they keep, all before they emit.
 */
export interface FrontEndKernel {
  readonly functions: KernelFunctions;
  readonly signal: Float32Array;
  /** The first samples of `signal`: what a caller keeps between two chunks. */
  readonly pending: Float32Array;
  readonly rows: readonly FeatureRow[];
  /** The features of digital silence. */
  readonly silence: FeatureRow;
  /** What a caller keeps of the pitch and the low rate between two chunks, and the pitch of frames. */
  readonly pitchMemory: Float32Array;
  readonly pitchRows: readonly Float32Array[];
  readonly voiceLogMel: Float32Array;
  readonly voiceLevels: Float32Array;
  readonly voiceValues: Float32Array;
  readonly rawLogMel: Float32Array;
  readonly rawMfcc: Float32Array;
  /** In place of the last cepstra. */
  readonly rawPitch: Float32Array;
  /** Of the normalised frame. */
  readonly steps: Int16Array;
  /** Means, then squared deviations. */
  readonly statistics: Float32Array;
  readonly priorMean: Float32Array;
  readonly priorVariance: Float32Array;
}

let shared: FrontEndKernel | null = null;

/** The kernel of this thread. */
export function frontEndKernel(): FrontEndKernel {
  shared ??= createKernel();
  return shared;
}

function createKernel(): FrontEndKernel {
  const { memory, functions } = instantiateKernel(at.memoryBytes);
  const floats = (from: number, count: number): Float32Array => new Float32Array(memory, from, count);
  floats(at.windowAt, frameSamples).set(hann(frameSamples));
  fillTwiddles(floats);
  fillFilters(memory, floats);
  fillCosines(floats(at.dctAt, half * mfccCount));
  const taps = lowPassTaps(sampleRateHz);
  floats(at.lowPassAt, taps.length).set(taps);
  const costs = lagCosts();
  floats(at.lagCostsAt, costs.length).set(costs);
  const bandBytes = lagBands().flatMap(({ first, end }) => [4 * first, 4 * end]);
  new Uint32Array(memory, at.lagBandsAt, bandBytes.length).set(bandBytes);
  const rows = Array.from({ length: mostFrames }, (_, row) => {
    const from = at.featuresAt + 4 * row * featureCount;
    return { logMel: floats(from, melBands), mfcc: floats(from + 4 * melBands, mfccCount) };
  });
  functions.analyse(1);
  const silence = { logMel: floats(at.featuresAt, melBands).slice(), mfcc: floats(at.featuresAt + 4 * melBands, mfccCount).slice() };
  return {
    functions,
    signal: floats(at.signalAt, signalSamples),
    pending: floats(at.signalAt, frameSamples),
    rows,
    silence,
    pitchMemory: floats(at.pitchStateAt, pitchStateCount + lowRateBefore),
    pitchRows: Array.from({ length: mostFrames }, (_, row) => floats(at.pitchAt + 4 * row * pitchCount, pitchCount)),
    voiceLogMel: floats(at.voiceLogMelAt, melBands),
    voiceLevels: floats(at.voiceLevelsAt, voiceLevelCount),
    voiceValues: floats(at.voiceValuesAt, voiceInputCount),
    rawLogMel: floats(at.rawAt, melBands),
    rawMfcc: floats(at.rawAt + 4 * melBands, mfccCount),
    rawPitch: floats(at.rawAt + 4 * (featureCount - pitchCount), pitchCount),
    steps: new Int16Array(memory, at.stepsAt, featureCount),
    statistics: floats(at.meansAt, 2 * featureCount),
    priorMean: floats(at.priorMeanAt, featureCount),
    priorVariance: floats(at.priorVarianceAt, featureCount),
  };
}

type Floats = (from: number, count: number) => Float32Array;

/** Periodic. */
function hann(length: number): Float64Array {
  return Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length));
}

/** Of each pass the turns by one angle, its double and its triple, real before imaginary part. */
function fillTwiddles(floats: Floats): void {
  const turn = (p: number, size: number): number[] =>
    [1, 2, 3].flatMap((times) => {
      const angle = (-2 * Math.PI * times * p) / size;
      return [Math.cos(angle), Math.sin(angle)];
    });
  const first = floats(at.firstTwiddlesAt, 6 * 64);
  for (let p = 0; p < 64; p += 1) {
    const block = 6 * lanes * Math.floor(p / lanes);
    turn(p, 256).forEach((value, i) => (first[block + lanes * i + (p % lanes)] = value));
  }
  const others = (quarter: number): number[] => Array.from({ length: quarter }, (_, p) => turn(p, 4 * quarter)).flat();
  floats(at.secondTwiddlesAt, 6 * 16).set(others(16));
  floats(at.thirdTwiddlesAt, 6 * 4).set(others(4));
  const real = floats(at.realTwiddlesAt, fftSize / 2);
  for (let k = 1; k <= fftSize / 4; k += 1) {
    real[k - 1] = Math.cos((2 * Math.PI * k) / fftSize);
    real[fftSize / 4 + k - 1] = Math.sin((2 * Math.PI * k) / fftSize);
  }
}

/** Of four bands at a time: how many fours of bins, where they begin, their weights, a quarter for the power comes fourfold. */
function fillFilters(memory: ArrayBuffer, floats: Floats): void {
  const filters = melFilterBank({ bands: melBands, fftSize, sampleRateHz, lowHz, highHz });
  const counts = new Uint32Array(memory, at.melCountsAt, melBands / lanes);
  const offsets = new Uint32Array(memory, at.melOffsetsAt, melBands);
  const all = floats(at.melWeightsAt, (at.melWeightsEnd - at.melWeightsAt) / 4);
  let next = 0;
  for (let group = 0; group < counts.length; group += 1) {
    const four = filters.slice(lanes * group, lanes * (group + 1));
    const count = Math.ceil(Math.max(...four.map(({ weights }) => weights.length)) / lanes);
    counts[group] = count;
    four.forEach(({ firstBin }, band) => (offsets[lanes * group + band] = 4 * firstBin));
    for (let bin = 0; bin < lanes * count; bin += lanes) {
      for (const { weights } of four) {
        for (let lane = 0; lane < lanes; lane += 1) all[next + lane] = (weights[bin + lane] ?? 0) / 4;
        next += lanes;
      }
    }
  }
  if (next > all.length) throw new RangeError(`Expected at most ${all.length} weights of mel filters, got ${next}`);
}

/**
 * The cosine transform's left half, a column at a time, even rows before odd ones: even rows are symmetric and odd ones
 * antisymmetric, so each works on the sums or the differences of mirrored bands.
 */
function fillCosines(table: Float32Array): void {
  const whole = dctMatrix(melBands, mfccCount);
  for (let n = 0; n < half; n += 1) {
    for (let k = 0; k < mfccCount; k += 1) {
      const row = (k % 2) * (mfccCount / 2) + Math.floor(k / 2);
      table[n * mfccCount + row] = whole[k * melBands + n] ?? 0;
    }
  }
}
