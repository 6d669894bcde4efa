// Times variants side by side: in rounds, each variant once a round, so that what slows the machine slows them all.
import { median } from './statistics.ts';

/** One way to do a piece of work. */
export interface Variant {
  readonly name: string;
  /** Units of work in one run. */
  readonly units: number;
  /** What a run needs and is not timed with. */
  readonly prepare?: () => void | Promise<void>;
  /** Does the work. A run that is timed elsewhere returns its own time, ms. */
  readonly run: () => unknown;
}

/** Time of one unit of a variant. */
export interface Timing {
  readonly name: string;
  readonly minUs: number;
  readonly medianUs: number;
}

const warmUpRounds = 2;

/** Runs every variant in each round, in turned order, and returns their times over the rounds after the warm-up. */
export async function compare(variants: readonly Variant[], rounds: number): Promise<Timing[]> {
  const times = variants.map((): number[] => []);
  for (let round = 0; round < warmUpRounds + rounds; round += 1) {
    for (let turn = 0; turn < variants.length; turn += 1) {
      const index = (round + turn) % variants.length;
      const variant = variants[index];
      if (variant === undefined) continue;
      await variant.prepare?.();
      const startMs = performance.now();
      const result = await variant.run();
      const elapsedMs = typeof result === 'number' ? result : performance.now() - startMs;
      if (round >= warmUpRounds) times[index]?.push((1000 * elapsedMs) / variant.units);
    }
  }
  return variants.map(({ name }, index) => {
    const own = times[index] ?? [];
    return { name, minUs: Math.min(...own), medianUs: median(own) };
  });
}
