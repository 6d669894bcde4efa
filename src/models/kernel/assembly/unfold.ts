// What each output of a convolution of the stem sees, as a row of a product.

/**
 * Of a map of 16-bit numbers `[time][band][channels]`, whose times lie each `timeBytes`, rows for `times` times each `timeStride`
 * and `bands` bands each second band: three times of three bands, `chunk` bytes (a multiple of 16) each.
 */
export function unfold(map: i32, timeBytes: i32, times: i32, timeStride: i32, bands: i32, chunk: i32, to: i32): void {
  const bandStride = (2 * chunk) / 3;
  for (let time: i32 = 0; time < times; time += 1) {
    const first = map + time * timeStride * timeBytes;
    for (let band: i32 = 0; band < bands; band += 1) {
      let from = first + band * bandStride;
      for (let tap: i32 = 0; tap < 3; tap += 1) {
        for (let at: i32 = 0; at < chunk; at += 16) v128.store(to + at, v128.load(from + at));
        to += chunk;
        from += timeBytes;
      }
    }
  }
}

/**
 * Of a map `[time][band]` rows of 16 numbers for `times` times each second and `bands` bands each second: three times of five
 * bands, and one that is anything. Writes 4 bytes beyond the last row.
 */
export function unfoldBands(map: i32, timeBytes: i32, times: i32, bands: i32, to: i32): void {
  for (let time: i32 = 0; time < times; time += 1) {
    let from = map + 2 * time * timeBytes;
    for (let band: i32 = 0; band < bands; band += 1) {
      v128.store(to, v128.load(from));
      v128.store(to + 10, v128.load(from + timeBytes));
      v128.store(to + 20, v128.load(from + 2 * timeBytes));
      to += 32;
      from += 4;
    }
  }
}
