// Normalises each caller's features by the running mean and deviation of that caller's own speech.
import { featureCount } from './mel.ts';
import type { NormalizationPrior } from './types.ts';

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
  readonly #prior: NormalizationPrior;
  /** Sums over speech frames of x - m_0 and of its square. */
  readonly #sum = new Float64Array(featureCount);
  readonly #sumOfSquares = new Float64Array(featureCount);
  #frames = 0;

  constructor(prior: NormalizationPrior) {
    this.#prior = prior;
  }

  /** Speech frames that the statistics rest on. */
  get frames(): number {
    return this.#frames;
  }

  /** Takes in a speech frame and writes its normalised features to `out[0..103]`. */
  normalize(logMel: Float32Array, mfcc: Float32Array, out: Float32Array): void {
    this.#fade();
    this.#frames += 1;
    const { mean, std, meanWeightFrames, stdWeightFrames } = this.#prior;
    const frames = this.#frames;
    for (let i = 0; i < featureCount; i += 1) {
      const raw = i < logMel.length ? logMel[i] : mfcc[i - logMel.length];
      const x = (raw ?? 0) - (mean[i] ?? 0);
      const sum = (this.#sum[i] ?? 0) + x;
      const sumOfSquares = (this.#sumOfSquares[i] ?? 0) + x * x;
      this.#sum[i] = sum;
      this.#sumOfSquares[i] = sumOfSquares;
      const priorStd = std[i] ?? 1;
      const offset = sum / (meanWeightFrames + frames);
      const squaredDeviations = Math.max(0, sumOfSquares - (sum * sum) / frames);
      const variance = (stdWeightFrames * priorStd * priorStd + squaredDeviations) / (stdWeightFrames + frames);
      const z = (x - offset) / Math.sqrt(variance);
      out[i] = Math.max(-clipDeviations, Math.min(clipDeviations, z));
    }
  }

  #fade(): void {
    const { memoryFrames } = this.#prior;
    if (this.#frames < memoryFrames) return;
    const keep = (memoryFrames - 1) / this.#frames;
    for (let i = 0; i < featureCount; i += 1) {
      this.#sum[i] = (this.#sum[i] ?? 0) * keep;
      this.#sumOfSquares[i] = (this.#sumOfSquares[i] ?? 0) * keep;
    }
    this.#frames = memoryFrames - 1;
  }
}
