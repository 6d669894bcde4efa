// Logits to calibrated class probabilities: a softmax at the manifest's temperature.
import { UndertoneError } from '../errors.ts';
import type { Posterior } from './types.ts';

/**
 * `softmax(logits / temperature)`, with the largest logit taken off first so that nothing overflows (C. Guo et al.,
 * "On Calibration of Modern Neural Networks", ICML 2017, section 4.2).
 * Throws UT_ENGINE_FAILED where a logit is not finite: a score made from it would be an invention.
 */
export function calibrate(logits: Float32Array, temperature: number): Posterior {
  let greatest = -Infinity;
  for (const [index, logit] of logits.entries()) {
    if (!Number.isFinite(logit)) {
      throw new UndertoneError('UT_ENGINE_FAILED', `Expected logit ${String(index)} to be finite, got \`${String(logit)}\``);
    }
    greatest = Math.max(greatest, logit);
  }
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - greatest) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return { probabilities: Float32Array.from(weights, (weight) => weight / sum) };
}
