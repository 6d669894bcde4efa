// Seeded random numbers, so that a demo call or a benchmark can be run again as it was.

/** Draws numbers in [0, 1). */
export type Random = () => number;

/** Mulberry32: small, fast, and good enough to choose clips and pauses. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
