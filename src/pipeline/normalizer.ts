// Normalises each caller's features by the running mean and deviation of that caller's own speech.
import { frontEndKernel, type FrontEndKernel } from './kernel/kernel.ts';
import { featureCount } from './mel.ts';
import { featureSteps, type FeatureFrame, type NormalizationPrior } from './types.ts';

/** What is normalised of a frame. */
export type FrameFeatures = Pick<FeatureFrame, 'logMel' | 'mfcc' | 'pitch'>;

/** Normalised values beyond this many deviations are clipped, so that a click cannot swamp the network. */
export const clipDeviations = 5;

/**
 * Running statistics over a caller's speech frames, blended with a prior from the model's manifest:
 *
 *     mean_t = (w_m m_0 + sum x) / (w_m + n)          var_t = (w_s s_0^2 + M_2) / (w_s + n)
 *
 * with n speech frames so far and M_2 the sum of squared deviations from their own mean. Beyond `memoryFrames`
 * the sums are scaled down, so that old frames fade. A frame is normalised by the statistics that include it;
 * `training/undertone/normalize.py` computes the same.
 */
export class Normalizer {
  readonly #kernel = frontEndKernel();
  readonly #prior: NormalizationPrior;
  /** Mean over speech frames of x - m_0, then the sum of squared deviations from it. */
  readonly #statistics = new Float32Array(2 * featureCount);
  #frames = 0;

  constructor(prior: NormalizationPrior) {
    this.#prior = shared(prior);
  }

  /** Speech frames that the statistics rest on. */
  get frames(): number {
    return this.#frames;
  }

  /** Takes in a speech frame, in whose row the pitch stands for the last cepstra where there is one, and writes its normalised features, 104 of them in {@link featureSteps} of a deviation, to `out` from `offset` on. */
  normalize({ logMel, mfcc, pitch }: FrameFeatures, out: Int16Array, offset = 0): void {
    const { functions, rawLogMel, rawMfcc, rawPitch, statistics, steps } = this.#kernel;
    const prior = this.#prior;
    const { meanWeightFrames, stdWeightFrames, memoryFrames } = prior;
    const fades = this.#frames >= memoryFrames;
    const fading = fades ? 1 - (memoryFrames - 1) / this.#frames : 0;
    this.#frames = fades ? memoryFrames : this.#frames + 1;
    if (loadedPrior !== prior) loadPrior(this.#kernel, prior);
    rawLogMel.set(logMel);
    rawMfcc.set(mfcc);
    if (pitch !== undefined) rawPitch.set(pitch);
    statistics.set(this.#statistics);
    functions.normalize(this.#frames, fading, meanWeightFrames, stdWeightFrames, clipDeviations, featureSteps);
    this.#statistics.set(statistics);
    out.set(steps, offset);
  }
}

/** The prior that came last: a thread is sent a copy of the same one for each caller. */
let lastPrior: NormalizationPrior | null = null;

/** An object for all priors that are alike, so that the kernel's need not be laid anew for every other caller. */
function shared(prior: NormalizationPrior): NormalizationPrior {
  if (lastPrior === null || !isSame(lastPrior, prior)) lastPrior = prior;
  return lastPrior;
}

function isSame(one: NormalizationPrior, other: NormalizationPrior): boolean {
  return (
    one.meanWeightFrames === other.meanWeightFrames &&
    one.stdWeightFrames === other.stdWeightFrames &&
    one.memoryFrames === other.memoryFrames &&
    one.mean.every((value, i) => value === other.mean[i]) &&
    one.std.every((value, i) => value === other.std[i])
  );
}

/** The prior that lies in the kernel of this thread: as a rule all callers have the same. */
let loadedPrior: NormalizationPrior | null = null;

function loadPrior({ priorMean, priorVariance }: FrontEndKernel, prior: NormalizationPrior): void {
  priorMean.set(prior.mean);
  priorVariance.set(prior.std.map((std) => prior.stdWeightFrames * std * std));
  loadedPrior = prior;
}
