// Calibrated class probabilities: of a window from its logits, and of an utterance from the mean over its windows.
import { UndertoneError } from '../errors.ts';
import type { Posterior } from './types.ts';

/**
 * `softmax(logits / temperature)`, with the largest logit taken off first so that nothing overflows (C. Guo et al.,
 * "On Calibration of Modern Neural Networks", ICML 2017, section 4.2).
 * Throws UT_ENGINE_FAILED where a logit is not finite: a score made from it would be an invention.
 */
export function calibrate(logits: Float32Array, temperature: number): Posterior {
  // Loops, not iterators and callbacks: for six numbers those take ten times as long, for each window of each caller.
  let greatest = -Infinity;
  for (let index = 0; index < logits.length; index++) {
    const logit = logits[index] ?? NaN;
    if (!Number.isFinite(logit)) {
      throw new UndertoneError('UT_ENGINE_FAILED', `Expected logit ${String(index)} to be finite, got \`${String(logit)}\``);
    }
    if (logit > greatest) greatest = logit;
  }
  const weights = new Float64Array(logits.length);
  let sum = 0;
  for (let index = 0; index < logits.length; index++) {
    const weight = Math.exp(((logits[index] ?? 0) - greatest) / temperature);
    weights[index] = weight;
    sum += weight;
  }
  const probabilities = new Float32Array(logits.length);
  for (let index = 0; index < logits.length; index++) probabilities[index] = (weights[index] ?? 0) / sum;
  return { probabilities };
}

/** Chosen by the UAR of one run with 10 % of the packets lost in bursts; without loss it changes nothing. */
const heardPower = 10;

/**
 * What a window weighs in the verdict on its utterance: its share of speech (0 to 1) to the manifest's `verdictPower`, times the share
 * of that speech that was heard and not concealed, to the power of 10.
 */
export function verdictWeight(window: { readonly speechRatio: number; readonly concealedRatio: number }, power: number): number {
  // A window is only scored where something was heard in it; the least share keeps a mean defined without that.
  return Math.max(window.speechRatio, 1e-3) ** power * Math.max(1 - window.concealedRatio, 1e-3) ** heardPower;
}

/**
 * The verdict on windows heard together, from the mean of their posteriors: `mean ^ (1 / temperature)`, normalised. A
 * mean over windows that agree is less sure than it could be; below 1 the temperature makes up for that. `mean` sums to 1.
 */
export function sharpen(mean: ArrayLike<number>, temperature: number): Float64Array {
  const greatest = Math.max(...Array.from(mean));
  const powers = Float64Array.from(mean, (probability) => (probability / greatest) ** (1 / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
