// How sure one can be of figures: the bootstrap over speakers.
import type { Random } from '../callers/random.ts';

/** Bounds that 95 % of the resampled figures lie between. */
export type Interval = readonly [low: number, high: number];

const resamples = 1000;

/**
 * 95 % intervals by the percentile bootstrap over speakers: clips of one speaker are not independent, so speakers are
 * drawn anew, each with all clips. Figures that are taken of the same draws may be told apart by their names.
 * @param statistics takes the figures of the speakers drawn; null where there is nothing to take one of
 * @returns null with fewer than two speakers; a figure's interval is null where no draw had it
 */
export function bootstrap<T, K extends string>(
  speakers: readonly T[],
  statistics: (drawn: readonly T[]) => Readonly<Record<K, number | null>>,
  random: Random,
): Record<K, Interval | null> | null {
  if (speakers.length < 2) return null;
  const draws = Array.from({ length: resamples }, () =>
    statistics(speakers.flatMap(() => speakers[Math.floor(random() * speakers.length)] ?? [])),
  );
  const names = Object.keys(draws[0] ?? {}) as K[];
  const intervals = names.map((name) => [name, intervalOf(draws.flatMap((draw) => draw[name] ?? []))] as const);
  return Object.fromEntries(intervals) as Record<K, Interval | null>;
}

function intervalOf(values: readonly number[]): Interval | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return [quantile(sorted, 0.025), quantile(sorted, 0.975)];
}

function quantile(sorted: readonly number[], at: number): number {
  const position = at * (sorted.length - 1);
  const low = sorted[Math.floor(position)] ?? NaN;
  const high = sorted[Math.ceil(position)] ?? NaN;
  return low + (high - low) * (position - Math.floor(position));
}
