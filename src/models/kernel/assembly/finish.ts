// Sums of products back to what they are worth.
import { whole8 } from './quantize';

/**
 * Sums `[rows][outputs]` (a multiple of 4), each worth its row's step times its output's, and the bias. Then, where their
 * addresses are not 0: plus `residual` (rows as they are written); negative becomes 0 if `cut`; times the row's `gate`, of which
 * `perGate` rows share one. `scaleStride` is 4 or, where all rows have one scale, 0. Rows are written each `rowStride` bytes,
 * `group` of them and then on to the next group after `groupStride` bytes.
 */
export function finishRows(
  sums: i32,
  rows: i32,
  outputs: i32,
  scales: i32,
  scaleStride: i32,
  steps: i32,
  bias: i32,
  cut: bool,
  residual: i32,
  residualGroupStride: i32,
  gates: i32,
  perGate: i32,
  to: i32,
  rowStride: i32,
  group: i32,
  groupStride: i32,
): void {
  const least = f32x4.splat(cut ? 0 : -Infinity);
  let inGroup: i32 = 0;
  let inGate: i32 = 0;
  let row = to;
  let added = residual;
  for (let index: i32 = 0; index < rows; index += 1) {
    const scale = v128.load32_splat(scales);
    scales += scaleStride;
    const gate = gates ? v128.load32_splat(gates) : f32x4.splat(1);
    for (let at: i32 = 0; at < 4 * outputs; at += 16) {
      const step = f32x4.mul(scale, v128.load(steps + at));
      let value = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(sums)), step), v128.load(bias + at));
      if (residual) value = f32x4.add(value, v128.load(added + at));
      v128.store(row + at, f32x4.mul(f32x4.max(value, least), gate));
      sums += 16;
    }
    inGate += 1;
    if (inGate == perGate) {
      inGate = 0;
      gates += gates ? 4 : 0;
    }
    inGroup += 1;
    row += rowStride;
    added += rowStride;
    if (inGroup == group) {
      inGroup = 0;
      to += groupStride;
      row = to;
      residual += residual ? residualGroupStride : 0;
      added = residual;
    }
  }
}

/**
 * Sums `[rows][outputs]` (a multiple of 8), without a bias, as 16-bit numbers of 1/1024 each `rowStride` bytes; what is beyond 32
 * either way as 32.
 */
export function finishSteps(sums: i32, rows: i32, outputs: i32, scales: i32, steps: i32, to: i32, rowStride: i32): void {
  const most = f32x4.splat(32767);
  const least = f32x4.splat(-32767);
  const one = f32x4.splat(1);
  for (let row: i32 = 0; row < rows; row += 1) {
    const scale = f32x4.splat(1024 * load<f32>(scales + 4 * row));
    for (let at: i32 = 0; at < 4 * outputs; at += 32) {
      const a = f32x4.mul(f32x4.convert_i32x4_s(v128.load(sums)), f32x4.mul(scale, v128.load(steps + at)));
      const b = f32x4.mul(f32x4.convert_i32x4_s(v128.load(sums, 16)), f32x4.mul(scale, v128.load(steps + at, 16)));
      v128.store(to + (at >> 1), whole8(f32x4.max(f32x4.min(a, most), least), f32x4.max(f32x4.min(b, most), least), one));
      sums += 32;
    }
    to += rowStride;
  }
}
