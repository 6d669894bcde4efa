// The running normalisation of `normalizer.ts`, which has the formulas: a frame into a caller's statistics, its normalised features out.
import { deviationsAt, meansAt, normalizedAt, priorMeanAt, priorVarianceAt, rawAt } from '../layout';

/**
 * `frames` with this one; of the squared deviations the share `fading` is forgotten first. The prior's variance comes weighed by its
 * frames. Means are B. Welford's: sums of values far from the prior and of their squares would cancel in single precision.
 */
export function normalize(frames: f32, fading: f32, meanWeightFrames: f32, stdWeightFrames: f32, clipDeviations: f32): void {
  const lost = f32x4.splat(fading);
  const perFrame = f32x4.splat(1 / frames);
  const own = f32x4.splat(frames / (meanWeightFrames + frames));
  const perStdFrame = f32x4.splat(1 / (stdWeightFrames + frames));
  const most = f32x4.splat(clipDeviations);
  const least = f32x4.splat(-clipDeviations);
  for (let at: i32 = 0; at < 416; at += 16) {
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
    v128.store(normalizedAt + at, f32x4.max(least, f32x4.min(most, z)));
  }
}
