// Four exponentials and hyperbolic tangents at a time; the exponential's polynomial is of S. Moshier's Cephes library, single precision.

/** Exponential, of numbers beyond 87 either way as of 87. */
export function exp4(x: v128): v128 {
  const limited = f32x4.pmin(f32x4.splat(87), f32x4.pmax(f32x4.splat(-87), x));
  const shifted = f32x4.add(f32x4.mul(limited, f32x4.splat(1.44269504088896341)), f32x4.splat(12582912));
  const n = f32x4.sub(shifted, f32x4.splat(12582912));
  let r = f32x4.sub(limited, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.1219444e-4)));
  let y = f32x4.splat(1.98756915e-4);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.add(f32x4.mul(y, f32x4.mul(r, r)), r), f32x4.splat(1));
  return f32x4.mul(y, i32x4.shl(i32x4.add(shifted, i32x4.splat(127)), 23));
}

/**
 * Numbers that are needed so often that they lie in memory, four times each, from address 0 on: loaded, they make gates a quarter
 * quicker than as constants, of which V8 makes vectors each time. The fraction for the tangent is the one of its degrees with the least greatest error from
 * 0 to 7, 2e-6, found by iteratively reweighted least squares.
 */
export function prepare(): void {
  fill(0, 7);
  fill(16, -7);
  fill(32, 3.92999932e-6);
  fill(48, 2.27699672e-3);
  fill(64, 0.123022007);
  fill(80, 0.999995702);
  fill(96, 1.42351127e-4);
  fill(112, 2.10722372e-2);
  fill(128, 0.456340524);
  fill(144, 1);
  fill(160, 0.5);
}

function fill(at: i32, value: f32): void {
  v128.store(at, f32x4.splat(value));
}

export function half4(): v128 {
  return v128.load(160);
}

/** What {@link tanhAbove} and {@link tanhBelow} want of a number: those beyond 7 either way as 7. */
export function limited4(x: v128): v128 {
  return f32x4.pmin(v128.load(0), f32x4.pmax(v128.load(16), x));
}

/** A hyperbolic tangent's numerator; {@link tanhBelow} is its denominator. */
export function tanhAbove(x: v128): v128 {
  const square = f32x4.mul(x, x);
  let value = f32x4.add(f32x4.mul(square, v128.load(32)), v128.load(48));
  value = f32x4.add(f32x4.mul(square, value), v128.load(64));
  return f32x4.mul(f32x4.add(f32x4.mul(square, value), v128.load(80)), x);
}

/** From 1 to 90. */
export function tanhBelow(x: v128): v128 {
  const square = f32x4.mul(x, x);
  let value = f32x4.add(f32x4.mul(square, v128.load(96)), v128.load(112));
  value = f32x4.add(f32x4.mul(square, value), v128.load(128));
  return f32x4.add(f32x4.mul(square, value), v128.load(144));
}

/** Hyperbolic tangent. */
export function tanh4(x: v128): v128 {
  const limited = limited4(x);
  return f32x4.div(tanhAbove(limited), tanhBelow(limited));
}

/** The sum of the lanes of a vector. */
export function sum1(a: v128): f32 {
  const pairs = f32x4.add(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}
