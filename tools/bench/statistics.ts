// The few statistics that the benchmarks and the soak test report.

/** The value below which a share of the values lies, by the nearest rank; NaN of none. `share` is above 0 and at most 1. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** The middle value, or the mean of the middle two; NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** A point of a line to fit. */
export interface Sample {
  readonly x: number;
  readonly y: number;
}

/** Slope of the least-squares line through the samples, in units of y per unit of x; 0 of fewer than two. */
export function slope(samples: readonly Sample[]): number {
  const meanX = samples.reduce((sum, { x }) => sum + x, 0) / samples.length;
  const meanY = samples.reduce((sum, { y }) => sum + y, 0) / samples.length;
  let covariance = 0;
  let variance = 0;
  for (const { x, y } of samples) {
    covariance += (x - meanX) * (y - meanY);
    variance += (x - meanX) ** 2;
  }
  return variance > 0 ? covariance / variance : 0;
}

/** The median slope between any two samples (Theil and Sen): outliers, as long as they are few, do not move it. NaN of fewer than two. */
export function robustSlope(samples: readonly Sample[]): number {
  const slopes = samples.flatMap((a, i) => samples.slice(i + 1).flatMap((b) => (a.x === b.x ? [] : [(b.y - a.y) / (b.x - a.x)])));
  return median(slopes);
}
