// A step of the voice-activity network of `voice-network.ts`: two frames through a dense layer, a GRU, two probabilities.
import { sigmoid4, sum1 } from '../../../assembly/vectors';

/**
 * `weights`: dense in blocks of 8 rows and its bias, the GRU's input and state matrices in blocks of 24 rows, each with its bias, the
 * two rows of the output, two biases. A block is its first column, then its second, and so on. `scratch` holds 2 dense
 * and 6 hidden numbers. The probabilities go to `said`.
 */
export function stepVoice(inputs: i32, dense: i32, hidden: i32, weights: i32, pair: i32, state: i32, scratch: i32, said: i32): void {
  const columns = 2 * dense;
  const rows = 3 * hidden;
  const features = scratch;
  const fromInput = features + 4 * columns;
  const fromState = fromInput + 4 * rows;
  let at = weights;
  denseLayer(at, inputs, dense, pair, features);
  at += 4 * dense * (inputs + 1);
  multiply(at, rows, columns, features, fromInput);
  at += 4 * rows * (columns + 1);
  multiply(at, rows, hidden, state, fromState);
  at += 4 * rows * (hidden + 1);
  const gate = 4 * hidden;
  for (let unit: i32 = 0; unit < gate; unit += 16) {
    const input = fromInput + unit;
    const recurrent = fromState + unit;
    const reset = sigmoid4(f32x4.add(v128.load(input), v128.load(recurrent)));
    const update = sigmoid4(f32x4.add(v128.load(input + gate), v128.load(recurrent + gate)));
    const drive = f32x4.add(v128.load(input + 2 * gate), f32x4.mul(reset, v128.load(recurrent + 2 * gate)));
    // The hyperbolic tangent.
    const half = sigmoid4(f32x4.add(drive, drive));
    const fresh = f32x4.sub(f32x4.add(half, half), f32x4.splat(1));
    v128.store(state + unit, f32x4.add(fresh, f32x4.mul(update, f32x4.sub(v128.load(state + unit), fresh))));
  }
  let first = f32x4.splat(0);
  let second = f32x4.splat(0);
  for (let unit: i32 = 0; unit < gate; unit += 16) {
    const value = v128.load(state + unit);
    first = f32x4.add(first, f32x4.mul(v128.load(at + unit), value));
    second = f32x4.add(second, f32x4.mul(v128.load(at + gate + unit), value));
  }
  const bias = at + 2 * gate;
  const logits = f32x4.replace_lane(f32x4.splat(sum1(first) + load<f32>(bias)), 1, sum1(second) + load<f32>(bias, 4));
  v128.store64_lane(said, sigmoid4(logits), 0);
}

/** Both frames side by side, so that each weight is read once; what is negative becomes 0. */
function denseLayer(weights: i32, inputs: i32, dense: i32, pair: i32, output: i32): void {
  const zero = f32x4.splat(0);
  const second = 4 * inputs;
  const bias = weights + 4 * dense * inputs;
  let at = weights;
  for (let row: i32 = 0; row < 4 * dense; row += 32) {
    let a0 = v128.load(bias + row);
    let a1 = v128.load(bias + row, 16);
    let b0 = a0;
    let b1 = a1;
    for (let column = pair; column < pair + second; column += 4) {
      const w0 = v128.load(at);
      const w1 = v128.load(at, 16);
      const a = v128.load32_splat(column);
      const b = v128.load32_splat(column + second);
      a0 = f32x4.add(a0, f32x4.mul(w0, a));
      a1 = f32x4.add(a1, f32x4.mul(w1, a));
      b0 = f32x4.add(b0, f32x4.mul(w0, b));
      b1 = f32x4.add(b1, f32x4.mul(w1, b));
      at += 32;
    }
    const to = output + row;
    v128.store(to, f32x4.max(a0, zero));
    v128.store(to, f32x4.max(a1, zero), 16);
    v128.store(to + 4 * dense, f32x4.max(b0, zero));
    v128.store(to + 4 * dense, f32x4.max(b1, zero), 16);
  }
}

function multiply(weights: i32, rows: i32, columns: i32, input: i32, output: i32): void {
  const bias = weights + 4 * rows * columns;
  let at = weights;
  for (let row: i32 = 0; row < 4 * rows; row += 96) {
    let a = v128.load(bias + row);
    let b = v128.load(bias + row, 16);
    let c = v128.load(bias + row, 32);
    let d = v128.load(bias + row, 48);
    let e = v128.load(bias + row, 64);
    let f = v128.load(bias + row, 80);
    for (let column = input; column < input + 4 * columns; column += 4) {
      const value = v128.load32_splat(column);
      a = f32x4.add(a, f32x4.mul(v128.load(at), value));
      b = f32x4.add(b, f32x4.mul(v128.load(at, 16), value));
      c = f32x4.add(c, f32x4.mul(v128.load(at, 32), value));
      d = f32x4.add(d, f32x4.mul(v128.load(at, 48), value));
      e = f32x4.add(e, f32x4.mul(v128.load(at, 64), value));
      f = f32x4.add(f, f32x4.mul(v128.load(at, 80), value));
      at += 96;
    }
    const to = output + row;
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
    v128.store(to, e, 64);
    v128.store(to, f, 80);
  }
}
