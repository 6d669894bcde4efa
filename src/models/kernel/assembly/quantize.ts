// Floats to whole numbers of 13 bits, and what one of their steps is worth.

/** Greatest whole number: what the weights' sums are bounded for, so that no product overflows 32 bits. */
const most: f32 = 4095;
/** Added to a number of less than 2^22, its lowest bits are that number, rounded to the nearest whole one. */
const rounding: f32 = 12582912;

/**
 * Rows of `segments` pieces of `floats` numbers (a multiple of 8), a piece each `segmentStride` bytes, rows each `rowStride`
 * bytes, `group` rows and then on to the next group after `groupStride` bytes. They are written one after the other, and what a
 * step of each is worth to `scales`.
 */
export function quantizeRows(
  from: i32,
  rows: i32,
  rowStride: i32,
  group: i32,
  groupStride: i32,
  segments: i32,
  segmentStride: i32,
  floats: i32,
  to: i32,
  scales: i32,
): void {
  let inGroup: i32 = 0;
  let row = from;
  for (let index: i32 = 0; index < rows; index += 1) {
    let a = f32x4.splat(0);
    let b = a;
    for (let segment: i32 = 0; segment < segments; segment += 1) {
      const first = row + segment * segmentStride;
      for (let at = first; at < first + 4 * floats; at += 32) {
        a = f32x4.pmax(a, f32x4.abs(v128.load(at)));
        b = f32x4.pmax(b, f32x4.abs(v128.load(at, 16)));
      }
    }
    const greatest = greatestOf(f32x4.pmax(a, b));
    store<f32>(scales + 4 * index, greatest / most);
    const factor = f32x4.splat(stepsPerUnit(greatest));
    for (let segment: i32 = 0; segment < segments; segment += 1) {
      const first = row + segment * segmentStride;
      for (let at = first; at < first + 4 * floats; at += 32) {
        v128.store(to, whole8(v128.load(at), v128.load(at, 16), factor));
        to += 16;
      }
    }
    inGroup += 1;
    row += rowStride;
    if (inGroup == group) {
      inGroup = 0;
      from += groupStride;
      row = from;
    }
  }
}

/**
 * A map `[times][floats]`, each time's numbers (a multiple of 8) with `margin` bytes before and behind them that stay as they
 * are. Returns what a step is worth.
 */
export function quantizeMap(from: i32, times: i32, floats: i32, margin: i32, to: i32): f32 {
  let a = f32x4.splat(0);
  let b = a;
  const bytes = 4 * floats;
  for (let at = from; at < from + times * bytes; at += 32) {
    a = f32x4.pmax(a, f32x4.abs(v128.load(at)));
    b = f32x4.pmax(b, f32x4.abs(v128.load(at, 16)));
  }
  const greatest = greatestOf(f32x4.pmax(a, b));
  const factor = f32x4.splat(stepsPerUnit(greatest));
  for (let time: i32 = 0; time < times; time += 1) {
    to += margin;
    for (const end = from + bytes; from < end; from += 32) {
      v128.store(to, whole8(v128.load(from), v128.load(from, 16), factor));
      to += 16;
    }
    to += margin;
  }
  return greatest / most;
}

/** Eight numbers, none beyond 16 bits once multiplied, rounded to the nearest whole ones. */
export function whole8(a: v128, b: v128, factor: v128): v128 {
  const bias = f32x4.splat(rounding);
  const bits = i32x4.splat(0x4b400000);
  return i16x8.narrow_i32x4_s(
    i32x4.sub(f32x4.add(f32x4.mul(a, factor), bias), bits),
    i32x4.sub(f32x4.add(f32x4.mul(b, factor), bias), bits),
  );
}

/** Of all zeros none; of what is so small that a step would be worth nothing, too. */
function stepsPerUnit(greatest: f32): f32 {
  return greatest > 1e-30 ? most / greatest : 0;
}

function greatestOf(values: v128): f32 {
  const pairs = f32x4.pmax(values, v128.shuffle<f32>(values, values, 2, 3, 0, 1));
  return max(f32x4.extract_lane(pairs, 0), f32x4.extract_lane(pairs, 1));
}
