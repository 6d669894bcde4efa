// What a window's steps come to: attention, weighted means and deviations.
import { exp4, sum1 } from '../../../assembly/vectors';
import { tanh4 } from './math';

/**
 * For each window, the weights of its `count` steps (a multiple of 2), padded with zeros to a multiple of 4: a softmax over the
 * scores, which are the hyperbolic tangents of the hidden sums (each worth its output's `steps`, plus `bias`) times `scores`; and even
 * ones. Steps in which nothing was heard (a count of frames each `stepBytes` from `heardAt`) have none, unless all are such; sums
 * before a window's first step (`firsts`) are not read.
 */
export function attend(
  sums: i32,
  windows: i32,
  count: i32,
  hidden: i32,
  steps: i32,
  bias: i32,
  scores: i32,
  heardAt: i32,
  stepBytes: i32,
  firsts: i32,
  attention: i32,
  even: i32,
): void {
  const padded = (count + 3) & ~3;
  for (let window: i32 = 0; window < windows; window += 1) {
    let greatest: f32 = -Infinity;
    let heard: f32 = 0;
    const first = load<i32>(firsts + 4 * window);
    for (let step: i32 = 0; step < first; step += 1) {
      store<f32>(attention + 4 * step, -Infinity);
      store<f32>(even + 4 * step, 0);
    }
    sums += 4 * hidden * first;
    heardAt += stepBytes * first;
    for (let step = first; step < count; step += 1) {
      let total = f32x4.splat(0);
      for (let at: i32 = 0; at < 4 * hidden; at += 16) {
        const value = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(sums + at)), v128.load(steps + at)), v128.load(bias + at));
        total = f32x4.add(total, f32x4.mul(tanh4(value), v128.load(scores + at)));
      }
      sums += 4 * hidden;
      const one: f32 = load<f32>(heardAt) > 0 ? 1 : 0;
      heardAt += stepBytes;
      const score = sum1(total) + (one - 1) * 1e4;
      greatest = max(greatest, score);
      heard += one;
      store<f32>(attention + 4 * step, score);
      store<f32>(even + 4 * step, one);
    }
    let all: f32 = 0;
    for (let step: i32 = count; step < padded; step += 1) {
      store<f32>(attention + 4 * step, -Infinity);
      store<f32>(even + 4 * step, 0);
    }
    for (let at: i32 = 0; at < 4 * padded; at += 16) {
      const value = exp4(f32x4.sub(v128.load(attention + at), f32x4.splat(greatest)));
      v128.store(attention + at, value);
    }
    for (let step = first; step < count; step += 1) all += load<f32>(attention + 4 * step);
    for (let step: i32 = 0; step < first; step += 1) store<f32>(attention + 4 * step, 0);
    const share = f32x4.splat(1 / all);
    const evenShare = f32x4.splat(1 / max(heard, 1));
    for (let at: i32 = 0; at < 4 * padded; at += 16) {
      v128.store(attention + at, f32x4.mul(v128.load(attention + at), share));
      v128.store(even + at, f32x4.mul(v128.load(even + at), evenShare));
    }
    attention += 4 * padded;
    even += 4 * padded;
  }
}

/**
 * Weighted means and deviations of `floats` numbers (a multiple of 8) over `count` rows each `rowStride` bytes, of windows each
 * `windowStride`; their weights each `weightStride`. To `means` and `deviations`, each `toStride` for the next window. A
 * deviation is the root of the variance and 1e-3.
 */
export function pool(
  rows: i32,
  windows: i32,
  count: i32,
  rowStride: i32,
  windowStride: i32,
  floats: i32,
  weights: i32,
  weightStride: i32,
  firsts: i32,
  means: i32,
  deviations: i32,
  toStride: i32,
): void {
  for (let window: i32 = 0; window < windows; window += 1) {
    const first = load<i32>(firsts + 4 * window);
    const from = rows + first * rowStride;
    for (let at: i32 = 0; at < 4 * floats; at += 32) {
      let a = f32x4.splat(0);
      let b = a;
      let row = from + at;
      for (let step: i32 = 4 * first; step < 4 * count; step += 4) {
        const weight = v128.load32_splat(weights + step);
        a = f32x4.add(a, f32x4.mul(weight, v128.load(row)));
        b = f32x4.add(b, f32x4.mul(weight, v128.load(row, 16)));
        row += rowStride;
      }
      let c = f32x4.splat(1e-3);
      let d = c;
      row = from + at;
      for (let step: i32 = 4 * first; step < 4 * count; step += 4) {
        const weight = v128.load32_splat(weights + step);
        const low = f32x4.sub(v128.load(row), a);
        const high = f32x4.sub(v128.load(row, 16), b);
        c = f32x4.add(c, f32x4.mul(weight, f32x4.mul(low, low)));
        d = f32x4.add(d, f32x4.mul(weight, f32x4.mul(high, high)));
        row += rowStride;
      }
      v128.store(means + at, a);
      v128.store(means + at, b, 16);
      v128.store(deviations + at, f32x4.sqrt(c));
      v128.store(deviations + at, f32x4.sqrt(d), 16);
    }
    rows += windowStride;
    weights += weightStride;
    means += toStride;
    deviations += toStride;
  }
}

/** Means and deviations of the 104 features, from the sums, sums of squares and counts of a window's steps, as `sums` wrote them. */
export function statistics(steps: i32, windows: i32, count: i32, stepBytes: i32, means: i32, deviations: i32, toStride: i32): void {
  for (let window: i32 = 0; window < windows; window += 1) {
    let frames: f32 = 0;
    for (let step: i32 = 0; step < count; step += 1) frames += load<f32>(steps + step * stepBytes, 832);
    const share = f32x4.splat(1 / max(frames, 1));
    for (let at: i32 = 0; at < 416; at += 16) {
      let total = f32x4.splat(0);
      let squares = total;
      let from = steps + at;
      for (let step: i32 = 0; step < count; step += 1) {
        total = f32x4.add(total, v128.load(from));
        squares = f32x4.add(squares, v128.load(from, 416));
        from += stepBytes;
      }
      const mean = f32x4.mul(total, share);
      const variance = f32x4.sub(f32x4.mul(squares, share), f32x4.mul(mean, mean));
      v128.store(means + at, mean);
      v128.store(deviations + at, f32x4.sqrt(f32x4.add(f32x4.pmax(f32x4.splat(0), variance), f32x4.splat(1e-3))));
    }
    steps += count * stepBytes;
    means += toStride;
    deviations += toStride;
  }
}

/** The first step of each window in which something was heard (a count of frames each `stepBytes` from `heardAt`), 0 where nothing was. */
export function first(heardAt: i32, windows: i32, count: i32, stepBytes: i32, firsts: i32): void {
  for (let window: i32 = 0; window < windows; window += 1) {
    let step: i32 = 0;
    while (step < count && load<f32>(heardAt + step * stepBytes) == 0) step += 1;
    store<i32>(firsts + 4 * window, step == count ? 0 : step);
    heardAt += count * stepBytes;
  }
}
