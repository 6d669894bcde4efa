// Moves rows about.

/** Copies `count` rows of `bytes` bytes, from each `fromStride` bytes to each `toStride`. */
export function copyRows(from: i32, fromStride: i32, to: i32, toStride: i32, bytes: i32, count: i32): void {
  for (let row: i32 = 0; row < count; row += 1) {
    memory.copy(to, from, bytes);
    from += fromStride;
    to += toStride;
  }
}
