// Reads a server's `/metrics`.

/** The values of one reading, by name and labels as they stand in the text: `undertone_events_total{type="point"}`. */
export class Scrape {
  readonly #values = new Map<string, number>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const at = line.lastIndexOf(' ');
      if (at > 0 && !line.startsWith('#')) this.#values.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
  }

  /** A value; 0 where it was never counted. */
  get(series: string): number {
    return this.#values.get(series) ?? 0;
  }

  /** The cumulative counts of a histogram without labels, by upper bound, in rising order; the last bound is Infinity. */
  buckets(name: string): (readonly [upTo: number, count: number])[] {
    const start = `${name}_bucket{le="`;
    const found = [...this.#values].flatMap(([series, value]) => {
      if (!series.startsWith(start)) return [];
      const bound = series.slice(start.length, -2);
      return [[bound === '+Inf' ? Infinity : Number(bound), value] as const];
    });
    return found.sort(([a], [b]) => a - b);
  }

  /** Whether there is such a series. */
  has(series: string): boolean {
    return this.#values.has(series);
  }

  /** The sum over all labels of a metric. */
  sum(name: string): number {
    let sum = 0;
    for (const [series, value] of this.#values) if (series === name || series.startsWith(`${name}{`)) sum += value;
    return sum;
  }
}

/** Reads the metrics of a server. @throws Error if it does not answer with them. */
export async function scrape(serverUrl: string): Promise<Scrape> {
  const response = await fetch(new URL('/metrics', serverUrl));
  if (!response.ok) throw new Error(`Expected the metrics of the server, got status ${String(response.status)}`);
  return new Scrape(await response.text());
}
