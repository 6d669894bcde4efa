// The running normalisation of `normalizer.ts`, which has the formulas: a frame into a caller's statistics, its normalised features out, in whole steps.
import { deviationsAt, meansAt, priorMeanAt, priorVarianceAt, rawAt, stepsAt } from '../layout';

/**
 * `frames` with this one; of the squared deviations the share `fading` is forgotten first. The prior's variance comes weighed by its
 * frames. Means are B. Welford's: sums of values far from the prior and of their squares would cancel in single precision.
 */
export function normalize(
  frames: f32,
  fading: f32,
  meanWeightFrames: f32,
  stdWeightFrames: f32,
  clipDeviations: f32,
  stepsPerDeviation: f32,
): void {
  const lost = f32x4.splat(fading);
  const perFrame = f32x4.splat(1 / frames);
  const own = f32x4.splat(frames / (meanWeightFrames + frames));
  const perStdFrame = f32x4.splat(1 / (stdWeightFrames + frames));
  const scale = f32x4.splat(stepsPerDeviation);
  const most = f32x4.splat(clipDeviations * stepsPerDeviation);
  for (let at: i32 = 0; at < 416; at += 32) {
    const low = steps4(at, lost, perFrame, own, perStdFrame, scale, most);
    const high = steps4(at + 16, lost, perFrame, own, perStdFrame, scale, most);
    v128.store(stepsAt + (at >> 1), i16x8.narrow_i32x4_s(low, high));
  }
}

/** Four features, in whole steps; half a step goes to the even one, as in the training's fixture. */
function steps4(at: i32, lost: v128, perFrame: v128, own: v128, perStdFrame: v128, scale: v128, most: v128): v128 {
  const x = f32x4.sub(v128.load(rawAt + at), v128.load(priorMeanAt + at));
  const before = v128.load(meansAt + at);
  const distance = f32x4.sub(x, before);
  const mean = f32x4.add(before, f32x4.mul(distance, perFrame));
  const kept = v128.load(deviationsAt + at);
  const more = f32x4.sub(f32x4.mul(distance, f32x4.sub(x, mean)), f32x4.mul(kept, lost));
  const deviations = f32x4.max(f32x4.splat(0), f32x4.add(kept, more));
  v128.store(meansAt + at, mean);
  v128.store(deviationsAt + at, deviations);
  const variance = f32x4.mul(f32x4.add(v128.load(priorVarianceAt + at), deviations), perStdFrame);
  const z = f32x4.div(f32x4.sub(x, f32x4.mul(mean, own)), f32x4.sqrt(variance));
  const limited = f32x4.max(f32x4.neg(most), f32x4.min(most, f32x4.mul(z, scale)));
  return i32x4.trunc_sat_f32x4_s(f32x4.nearest(limited));
}
