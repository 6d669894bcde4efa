// What a hop of 24 frames needs besides its products: masks, halving, sums of the features.

/**
 * Masks `[callers][24]` to what is heard in each 2, 4 and 8 frames, `[callers][12]`, `[6]` and `[3]`; how many frames are, in
 * each 8; and one over how many of each two fours are, at least 1.
 */
export function heard(mask: i32, callers: i32, twos: i32, fours: i32, eights: i32, counts: i32, shares: i32): void {
  for (let step: i32 = 0; step < 3 * callers; step += 1) {
    let count: f32 = 0;
    let steps: f32 = 0;
    for (let half: i32 = 0; half < 2; half += 1) {
      const a = load<f32>(mask);
      const b = load<f32>(mask, 4);
      const c = load<f32>(mask, 8);
      const d = load<f32>(mask, 12);
      mask += 16;
      store<f32>(twos, max(a, b));
      store<f32>(twos, max(c, d), 4);
      twos += 8;
      const four = max(max(a, b), max(c, d));
      store<f32>(fours, four);
      fours += 4;
      count += a + b + c + d;
      steps += four;
    }
    store<f32>(eights, min(steps, 1));
    store<f32>(counts, count);
    store<f32>(shares, 1 / max(steps, 1));
    eights += 4;
    counts += 4;
    shares += 4;
  }
}

/**
 * The mean of what is heard of each two rows of `floats` numbers, zero where nothing is: `[callers][6]`, to groups of 3 rows each
 * `groupStride` bytes.
 */
export function halve(rows: i32, callers: i32, floats: i32, shares: i32, to: i32, groupStride: i32): void {
  const bytes = 4 * floats;
  for (let caller: i32 = 0; caller < callers; caller += 1) {
    for (let step: i32 = 0; step < 3; step += 1) {
      const share = v128.load32_splat(shares);
      shares += 4;
      for (let at: i32 = 0; at < bytes; at += 16) {
        v128.store(to + step * bytes + at, f32x4.mul(f32x4.add(v128.load(rows + at), v128.load(rows + bytes + at)), share));
      }
      rows += 2 * bytes;
    }
    to += groupStride;
  }
}

/**
 * Sums and sums of squares of the 104 features of what is heard of each 8 frames, and how many are: `[rows][8][104]` and masks,
 * to rows each `rowStride` bytes.
 */
export function sums(features: i32, mask: i32, counts: i32, rows: i32, to: i32, rowStride: i32): void {
  for (let row: i32 = 0; row < rows; row += 1) {
    for (let at: i32 = 0; at < 416; at += 16) {
      let total = f32x4.splat(0);
      let squares = total;
      for (let frame: i32 = 0; frame < 8; frame += 1) {
        const own = f32x4.mul(v128.load(features + 416 * frame + at), v128.load32_splat(mask + 4 * frame));
        total = f32x4.add(total, own);
        squares = f32x4.add(squares, f32x4.mul(own, own));
      }
      v128.store(to + at, total);
      v128.store(to + at, squares, 416);
    }
    store<f32>(to, load<f32>(counts + 4 * row), 832);
    features += 3328;
    mask += 32;
    to += rowStride;
  }
}
