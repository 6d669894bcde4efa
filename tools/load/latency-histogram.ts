// A histogram of times that takes any number of values in little memory; its percentiles are right to one percent.

/** What is below is one bucket. */
const leastMs = 0.1;
const growth = 1.01;
const bucketCount = 1400;
const logGrowth = Math.log(growth);

/** Counts of times, as plain data. */
export interface HistogramData {
  readonly counts: Uint32Array;
  readonly maxMs: number;
}

/** Percentiles of times, ms; NaN where there were none. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** Buckets that grow by 1 % each, from 0.1 ms to 100 s. */
export class LatencyHistogram {
  readonly #counts = new Uint32Array(bucketCount);
  #maxMs = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Takes a time. What is below 0, as between two machines' clocks, counts as 0. */
  add(ms: number): void {
    const bucket = ms <= leastMs ? 0 : Math.min(bucketCount - 1, Math.ceil(Math.log(ms / leastMs) / logGrowth));
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#maxMs = Math.max(this.#maxMs, ms);
    this.#count += 1;
  }

  /** Takes all that another has counted. */
  merge({ counts, maxMs }: HistogramData): void {
    for (const [bucket, count] of counts.entries()) {
      this.#counts[bucket] = (this.#counts[bucket] ?? 0) + count;
      this.#count += count;
    }
    this.#maxMs = Math.max(this.#maxMs, maxMs);
  }

  /** A copy of the counts. */
  get data(): HistogramData {
    return { counts: this.#counts.slice(), maxMs: this.#maxMs };
  }

  /** The time that a share of all does not exceed (the nearest rank, at most 1 % too high), ms. */
  percentile(share: number): number {
    if (this.#count === 0) return NaN;
    let left = Math.max(1, Math.ceil(share * this.#count));
    for (const [bucket, count] of this.#counts.entries()) {
      left -= count;
      if (left <= 0) return Math.min(this.#maxMs, leastMs * growth ** bucket);
    }
    return this.#maxMs;
  }

  get percentiles(): Percentiles {
    const max = this.#count === 0 ? NaN : this.#maxMs;
    return { p50: this.percentile(0.5), p95: this.percentile(0.95), p99: this.percentile(0.99), max };
  }

  reset(): void {
    this.#counts.fill(0);
    this.#maxMs = 0;
    this.#count = 0;
  }
}
