// Follows the calls of a load test, all from one worker thread, so that sending does not make receiving late.
import { Worker } from 'node:worker_threads';
import type { LeftOut } from './hop-watch.ts';
import type { HistogramData } from './latency-histogram.ts';

/** What the thread is started with. */
export interface SubscribersData {
  readonly serverUrl: string;
  readonly token: string;
  /** The calls that each socket follows. */
  readonly sockets: readonly (readonly string[])[];
  /** The hop between points of the server's model. */
  readonly hopMs: number;
}

/** What the thread is told. */
export type SubscribersCommand =
  { readonly type: 'measure'; readonly fromUnixMs: number; readonly toUnixMs: number } | { readonly type: 'end' };

/** What the thread tells; `heard` once a second, with the events and latencies of that second. */
export type SubscribersReport =
  | { readonly type: 'ready' }
  | HeardReport
  /** Every call has ended. */
  | { readonly type: 'ended' }
  | ({ readonly type: 'totals' } & HeardTotals);

/** A second of listening. */
export interface HeardReport {
  readonly type: 'heard';
  readonly events: number;
  /** Points of all calls so far. */
  readonly points: number;
  readonly latency: HistogramData;
  /** The widest hop that points of this second say; null where there were none. */
  readonly hopMs: number | null;
  /** Time that participants were told to have waited, over all of them. */
  readonly waitedMs: number;
}

/** What was heard from beginning to end. */
export interface HeardTotals {
  /** Points by participant. */
  readonly points: ReadonlyMap<string, number>;
  /** Latencies of the points that came while it was measured. */
  readonly latency: HistogramData;
  /** What the server said that it left out, by participant. */
  readonly leftOut: ReadonlyMap<string, LeftOut>;
  /** The hop of the model, and the widest that a point of the measurement said. */
  readonly hopMs: { readonly model: number; readonly widest: number };
  /** Points of the measurement at a wider hop than the model's. */
  readonly widenedPoints: number;
  /** Time that participants waited, over all of them, as far as it was told during the measurement. */
  readonly waitedMs: number;
  /** `gap` events: media that the server says it did not score. */
  readonly gapEvents: number;
  readonly seqGaps: number;
  readonly duplicates: number;
  /** Events that the server left out because the reader was slow. */
  readonly skipped: number;
  /** What went wrong with the sockets. */
  readonly faults: readonly string[];
}

/** Most calls that the server lets one socket follow. */
const maxCallsPerSocket = 256;

/**
 * Deals calls to sockets: each call to one at least, each socket at least one call.
 * @throws Error where so few sockets cannot follow all the calls.
 */
export function dealCalls(callIds: readonly string[], sockets: number): string[][] {
  if (callIds.length > sockets * maxCallsPerSocket) {
    const least = Math.ceil(callIds.length / maxCallsPerSocket);
    throw new Error(`Expected --subscribers to be ${least} or more for ${callIds.length} calls, got \`${sockets}\``);
  }
  return Array.from({ length: sockets }, (_, index) =>
    sockets >= callIds.length
      ? callIds.slice(index % callIds.length, (index % callIds.length) + 1)
      : callIds.filter((_id, i) => i % sockets === index),
  );
}

/** Subscribers at work. */
export class Subscribers {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #ready = Promise.withResolvers<undefined>();
  readonly #ended = Promise.withResolvers<undefined>();
  readonly #totals = Promise.withResolvers<HeardTotals>();

  private constructor(data: SubscribersData, onHeard: (report: HeardReport) => void) {
    const worker = new Worker(new URL('./subscribers-thread.ts', import.meta.url), { workerData: data, name: 'load-listeners' });
    this.#worker = worker;
    this.#exited = new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => {
        resolve();
      });
    });
    this.#exited.catch(() => undefined);
    worker.on('message', (report: SubscribersReport) => {
      if (report.type === 'ready') this.#ready.resolve(undefined);
      else if (report.type === 'ended') this.#ended.resolve(undefined);
      else if (report.type === 'heard') onHeard(report);
      else this.#totals.resolve(report);
    });
  }

  /** Resolves when every call is followed from its first event on. Rejects if one cannot be. */
  static async open(data: SubscribersData, onHeard: (report: HeardReport) => void): Promise<Subscribers> {
    const subscribers = new Subscribers(data, onHeard);
    await Promise.race([subscribers.#ready.promise, subscribers.#exited]);
    return subscribers;
  }

  /** Says between which wall times latencies count. */
  measure(fromUnixMs: number, toUnixMs: number): void {
    this.#command({ type: 'measure', fromUnixMs, toUnixMs });
  }

  /** Resolves when every call has ended and all of it was heard, or the thread has failed. */
  get ended(): Promise<void> {
    return Promise.race([this.#ended.promise, this.#exited]);
  }

  /** Ends the thread; resolves to all that was heard. */
  async close(): Promise<HeardTotals> {
    this.#command({ type: 'end' });
    const totals = await Promise.race([this.#totals.promise, this.#exited.then(() => null)]);
    if (totals === null) throw new Error('Expected what the subscribers heard, got the end of their thread');
    await this.#exited;
    return totals;
  }

  #command(command: SubscribersCommand): void {
    this.#worker.postMessage(command);
  }
}
