// Products of matrices: rows of 16-bit numbers by weights of 16 bits, and of floats.

/**
 * Rows `[rows][inputs]` (an even number) by weights to sums of 32 bits, `[rows][outputs]` (a multiple of 16). Weights are blocks
 * of 8 outputs; a block holds, for each pair of inputs, the pair of each output.
 */
export function multiply(x: i32, weights: i32, sums: i32, rows: i32, inputs: i32, outputs: i32): void {
  const stride = 2 * inputs;
  const sumsStride = 4 * outputs;
  const blockBytes = 16 * inputs;
  for (let output: i32 = 0; output < sumsStride; output += 32) {
    let row: i32 = 0;
    let from = x;
    let to = sums + output;
    for (; row + 4 <= rows; row += 4) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let b0 = a0;
      let b1 = a0;
      let c0 = a0;
      let c1 = a0;
      let d0 = a0;
      let d1 = a0;
      let w = weights;
      for (let at = from; at < from + stride; at += 4) {
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        w += 32;
        let pair = v128.load32_splat(at);
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pair, w0));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pair, w1));
        pair = v128.load32_splat(at + stride);
        b0 = i32x4.add(b0, i32x4.dot_i16x8_s(pair, w0));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(pair, w1));
        pair = v128.load32_splat(at + 2 * stride);
        c0 = i32x4.add(c0, i32x4.dot_i16x8_s(pair, w0));
        c1 = i32x4.add(c1, i32x4.dot_i16x8_s(pair, w1));
        pair = v128.load32_splat(at + 3 * stride);
        d0 = i32x4.add(d0, i32x4.dot_i16x8_s(pair, w0));
        d1 = i32x4.add(d1, i32x4.dot_i16x8_s(pair, w1));
      }
      v128.store(to, a0);
      v128.store(to, a1, 16);
      to += sumsStride;
      v128.store(to, b0);
      v128.store(to, b1, 16);
      to += sumsStride;
      v128.store(to, c0);
      v128.store(to, c1, 16);
      to += sumsStride;
      v128.store(to, d0);
      v128.store(to, d1, 16);
      to += sumsStride;
      from += 4 * stride;
    }
    weights += blockBytes;
  }
  multiplyLast(x, weights - (outputs >> 3) * blockBytes, sums, rows, inputs, outputs);
}

/** The rows that are no four, 16 outputs at a time. */
function multiplyLast(x: i32, weights: i32, sums: i32, rows: i32, inputs: i32, outputs: i32): void {
  const stride = 2 * inputs;
  const blockBytes = 16 * inputs;
  for (let row = rows & ~3; row < rows; row += 1) {
    const from = x + row * stride;
    let to = sums + 4 * row * outputs;
    let first = weights;
    for (let output: i32 = 0; output < outputs; output += 16) {
      let a0 = i32x4.splat(0);
      let a1 = a0;
      let a2 = a0;
      let a3 = a0;
      let w = first;
      for (let at = from; at < from + stride; at += 4) {
        const pair = v128.load32_splat(at);
        const second = w + blockBytes;
        a0 = i32x4.add(a0, i32x4.dot_i16x8_s(pair, v128.load(w)));
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(pair, v128.load(w, 16)));
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(pair, v128.load(second)));
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(pair, v128.load(second, 16)));
        w += 32;
      }
      v128.store(to, a0);
      v128.store(to, a1, 16);
      v128.store(to, a2, 32);
      v128.store(to, a3, 48);
      to += 64;
      first += 2 * blockBytes;
    }
  }
}

/**
 * Rows `[rows][inputs]` by weights in blocks of 8 outputs, to `[rows][outputs]` (a multiple of 8), with the bias; what is
 * negative becomes 0 if `cut`.
 */
export function multiplyFloats(x: i32, weights: i32, bias: i32, to: i32, rows: i32, inputs: i32, outputs: i32, cut: bool): void {
  const least = f32x4.splat(cut ? 0 : -Infinity);
  const stride = 4 * inputs;
  const toStride = 4 * outputs;
  for (let output: i32 = 0; output < toStride; output += 32) {
    const bias0 = v128.load(bias + output);
    const bias1 = v128.load(bias + output, 16);
    for (let row: i32 = 0; row < rows; row += 4) {
      // Rows that are missing are read over the first.
      const from = x + row * stride;
      const second = row + 1 < rows ? stride : 0;
      const third = row + 2 < rows ? 2 * stride : 0;
      const fourth = row + 3 < rows ? 3 * stride : 0;
      let a0 = bias0;
      let a1 = bias1;
      let b0 = bias0;
      let b1 = bias1;
      let c0 = bias0;
      let c1 = bias1;
      let d0 = bias0;
      let d1 = bias1;
      let w = weights;
      for (let at = from; at < from + stride; at += 4) {
        const w0 = v128.load(w);
        const w1 = v128.load(w, 16);
        w += 32;
        let value = v128.load32_splat(at);
        a0 = f32x4.add(a0, f32x4.mul(value, w0));
        a1 = f32x4.add(a1, f32x4.mul(value, w1));
        value = v128.load32_splat(at + second);
        b0 = f32x4.add(b0, f32x4.mul(value, w0));
        b1 = f32x4.add(b1, f32x4.mul(value, w1));
        value = v128.load32_splat(at + third);
        c0 = f32x4.add(c0, f32x4.mul(value, w0));
        c1 = f32x4.add(c1, f32x4.mul(value, w1));
        value = v128.load32_splat(at + fourth);
        d0 = f32x4.add(d0, f32x4.mul(value, w0));
        d1 = f32x4.add(d1, f32x4.mul(value, w1));
      }
      const at = to + output + row * toStride;
      if (fourth) put(at + 3 * toStride, d0, d1, least);
      if (third) put(at + 2 * toStride, c0, c1, least);
      if (second) put(at + toStride, b0, b1, least);
      put(at, a0, a1, least);
    }
    weights += 32 * inputs;
  }
}

function put(at: i32, a: v128, b: v128, least: v128): void {
  v128.store(at, f32x4.max(a, least));
  v128.store(at, f32x4.max(b, least), 16);
}
