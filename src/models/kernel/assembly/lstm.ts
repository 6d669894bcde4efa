// An LSTM of 96 units over the steps of windows, both ways, from products of its inputs that are there already.
import { half4, limited4, tanhAbove, tanhBelow } from './math';
import { multiply } from './product';
import { whole8 } from './quantize';

const units: i32 = 96;
const gates: i32 = 4 * units;
/** Bytes of a gate's floats, and of its 16-bit products. */
const gate: i32 = 4 * units;
const half: i32 = 2 * units;
/** What a 16-bit step of a product is worth to the cell, and to gates, whose logistic functions want half. */
const wholeStep: f32 = 1.0 / 1024;
const halfStep: f32 = 1.0 / 2048;

/**
 * Windows `[windows][count]` of steps each `stepBytes`; at each the products of forward gates, then backward ones, as 16-bit numbers
 * of 1/1024: input, output, forget, cell. Each window is run from the step on that `firsts` says, as if silence came before; `order`
 * names them by that step, the earliest first. `weights`: of one direction those of `multiply`, what a sum is worth for each gate and
 * the bias, both halved but for the cell's; then those of the other. `silences` is what `listen` made. `scratch` holds the sums of the
 * windows' gates, their cells, and their states in 16 bits. Outputs go to `[windows][count][192]` as floats, and to `wholes` as
 * 16-bit numbers of 1/4095; those of steps before the first stay what they were.
 */
export function lstm(
  products: i32,
  windows: i32,
  count: i32,
  stepBytes: i32,
  order: i32,
  firsts: i32,
  weights: i32,
  silences: i32,
  scratch: i32,
  to: i32,
  wholes: i32,
): void {
  const sums = scratch;
  const cells = sums + 4 * gates * windows;
  const states = cells + 4 * units * windows;
  for (let way: i32 = 0; way < 2; way += 1) {
    const steps = weights + 2 * gates * units;
    const bias = steps + 4 * gates;
    // Forward they join as their first step comes; backward all are there, and leave behind it.
    let running = way ? windows : 0;
    if (way) memory.fill(cells, 0, 6 * units * windows);
    for (let i: i32 = 0; i < count; i += 1) {
      const step = way ? count - 1 - i : i;
      while (running < windows && !way && firstOf(running, order, firsts) <= step) {
        const silence = silences + 6 * units * firstOf(running, order, firsts);
        memory.copy(cells + 4 * units * running, silence, 4 * units);
        memory.copy(states + 2 * units * running, silence + 4 * units, 2 * units);
        running += 1;
      }
      while (running > 0 && firstOf(running - 1, order, firsts) > step) running -= 1;
      if (!running) continue;
      multiply(states, weights, sums, running, units, gates);
      for (let row: i32 = 0; row < running; row += 1) {
        const place = load<i32>(order + 4 * row) * count + step;
        advance(
          sums + 4 * gates * row,
          products + place * stepBytes + way * 2 * gates,
          steps,
          bias,
          cells + 4 * units * row,
          states + 2 * units * row,
          to + 4 * (2 * place + way) * units,
          wholes + 2 * (2 * place + way) * units,
        );
      }
    }
    weights = bias + 4 * gates;
  }
}

/**
 * What the forward direction remembers after 0 to `count` - 1 steps of silence, cell and state of each, to `silences`. `products` are
 * those of silence, zeros.
 */
export function listen(products: i32, count: i32, weights: i32, silences: i32, scratch: i32, to: i32, wholes: i32): void {
  const steps = weights + 2 * gates * units;
  const cell = scratch + 4 * gates;
  memory.fill(cell, 0, 6 * units);
  for (let step: i32 = 0; step < count; step += 1) {
    memory.copy(silences + 6 * units * step, cell, 6 * units);
    multiply(cell + 4 * units, weights, scratch, 1, units, gates);
    advance(scratch, products, steps, steps + 4 * gates, cell, cell + 4 * units, to, wholes);
  }
}

function firstOf(row: i32, order: i32, firsts: i32): i32 {
  return load<i32>(firsts + 4 * load<i32>(order + 4 * row));
}

/** One step of one window. */
function advance(sums: i32, products: i32, steps: i32, bias: i32, cell: i32, state: i32, to: i32, wholes: i32): void {
  const most = f32x4.splat(4095);
  for (const end = sums + gate; sums < end; sums += 32) {
    const low = unit4(sums, products, steps, bias, cell);
    const high = unit4(sums + 16, products + 8, steps + 16, bias + 16, cell + 16);
    v128.store(to, low);
    v128.store(to, high, 16);
    const whole = whole8(low, high, most);
    v128.store(state, whole);
    v128.store(wholes, whole);
    products += 16;
    steps += 32;
    bias += 32;
    cell += 32;
    state += 16;
    to += 32;
    wholes += 16;
  }
}

/** Four units: their new cells are stored, their outputs returned. */
function unit4(sums: i32, products: i32, steps: i32, bias: i32, cell: i32): v128 {
  // A gate is half of 1 and the tangent of half of what drives it: (below + above) / (2 below). All is brought to one fraction, for divisions are
  // what is slow.
  const input = limited4(drive(v128.load(sums), v128.load16x4_s(products), v128.load(steps), v128.load(bias), halfStep));
  const forget = limited4(
    drive(v128.load(sums, 2 * gate), v128.load16x4_s(products, 2 * half), v128.load(steps, 2 * gate), v128.load(bias, 2 * gate), halfStep),
  );
  const fresh = limited4(
    drive(v128.load(sums, 3 * gate), v128.load16x4_s(products, 3 * half), v128.load(steps, 3 * gate), v128.load(bias, 3 * gate), wholeStep),
  );
  const inputBelow = tanhBelow(input);
  const forgetBelow = tanhBelow(forget);
  const taken = f32x4.mul(inputBelow, tanhBelow(fresh));
  const kept = f32x4.mul(f32x4.add(forgetBelow, tanhAbove(forget)), v128.load(cell));
  const added = f32x4.mul(f32x4.add(inputBelow, tanhAbove(input)), tanhAbove(fresh));
  const above = f32x4.add(f32x4.mul(kept, taken), f32x4.mul(added, forgetBelow));
  const now = f32x4.mul(half4(), f32x4.div(above, f32x4.mul(taken, forgetBelow)));
  v128.store(cell, now);
  const output = limited4(
    drive(v128.load(sums, gate), v128.load16x4_s(products, half), v128.load(steps, gate), v128.load(bias, gate), halfStep),
  );
  const outputBelow = tanhBelow(output);
  const shown = limited4(now);
  const all = f32x4.mul(f32x4.add(outputBelow, tanhAbove(output)), tanhAbove(shown));
  return f32x4.mul(half4(), f32x4.div(all, f32x4.mul(outputBelow, tanhBelow(shown))));
}

/** What drives a gate: its sum, the product of the input, the bias. */
function drive(sum: v128, product: v128, step: v128, bias: v128, productStep: f32): v128 {
  const own = f32x4.mul(f32x4.convert_i32x4_s(sum), step);
  const given = f32x4.mul(f32x4.convert_i32x4_s(product), f32x4.splat(productStep));
  return f32x4.add(f32x4.add(own, given), bias);
}
