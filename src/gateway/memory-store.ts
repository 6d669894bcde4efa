// The timeline store of a single node: everything in memory, every dimension bounded.
/* eslint-disable @typescript-eslint/require-await -- async, so that a refusal is a rejection as in every other store */
import { UndertoneError, messageOf } from '../errors.ts';
import { systemClock, type Clock } from '../clock.ts';
import type { Logger } from '../log.ts';
import { EventLog } from './event-log.ts';
import { brokenOrder, checkBatch, staleEpoch, storeClosed } from './store-errors.ts';
import { emptySummary } from './summary.ts';
import type { CallSummary, TimelineEvent, TimelinePage, TimelineStore } from './types.ts';

/** Options of a {@link MemoryTimelineStore}. */
export interface MemoryTimelineStoreOptions {
  /** Events kept of one call; the oldest go first. @default 20000 */
  readonly maxEvents?: number;
  /** How long an ended call is kept. @default 3600 */
  readonly ttlSeconds?: number;
  /** Calls kept; the ones that ended first go first. @default 1000 */
  readonly maxCalls?: number;
  /** @default systemClock */
  readonly clock?: Clock;
  readonly logger?: Logger;
}

interface Kept {
  summary: CallSummary;
  readonly log: EventLog;
  /** Seq of the newest event that can be read: behind the summary's while a batch is told of. */
  lastSeq: number;
  endedAtMs: number | null;
}

type Listener = (event: TimelineEvent) => void;

const maxSweepMs = 60_000;

/** Keeps timelines in this process's memory. */
export class MemoryTimelineStore implements TimelineStore {
  readonly #maxEvents: number;
  readonly #ttlMs: number;
  readonly #maxCalls: number;
  readonly #clock: Clock;
  readonly #logger: Logger | undefined;
  /** In the order in which they were opened. */
  readonly #calls = new Map<string, Kept>();
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #sweeper: NodeJS.Timeout;
  #closed = false;

  constructor(options: MemoryTimelineStoreOptions = {}) {
    this.#maxEvents = options.maxEvents ?? 20_000;
    this.#ttlMs = (options.ttlSeconds ?? 3600) * 1000;
    this.#maxCalls = options.maxCalls ?? 1000;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger;
    this.#sweeper = setInterval(() => this.#sweep(), Math.min(maxSweepMs, this.#ttlMs));
    this.#sweeper.unref();
  }

  /** Whether operations can be expected to work. */
  get ready(): boolean {
    return !this.#closed;
  }

  async open(call: Omit<CallSummary, 'lastSeq' | 'participants' | 'live'>): Promise<void> {
    this.#check();
    if (this.#calls.get(call.callId)?.summary.epoch === call.epoch) return;
    this.#calls.delete(call.callId);
    this.#makeRoom();
    this.#calls.set(call.callId, { summary: emptySummary(call), log: new EventLog(this.#maxEvents), lastSeq: 0, endedAtMs: null });
  }

  async append(events: readonly TimelineEvent[], summary: CallSummary): Promise<void> {
    this.#check();
    checkBatch(events);
    const kept = this.#calls.get(summary.callId);
    if (kept?.summary.epoch !== summary.epoch) throw staleEpoch(summary.callId);
    const { lastSeq } = kept;
    // A batch that is sent again, its answer having been lost, is taken once.
    const fresh = (events[0]?.seq ?? 0) > lastSeq ? events : events.filter((event) => event.seq > lastSeq);
    const [first] = fresh;
    if (first === undefined) return;
    if (first.seq !== lastSeq + 1) throw brokenOrder(lastSeq + 1, first.seq);
    kept.summary = summary;
    // One by one: an event's text is made once for the log and its readers.
    for (const event of fresh) {
      kept.log.push(event);
      kept.lastSeq = event.seq;
      this.#tell(event);
    }
    if (summary.live) return;
    kept.endedAtMs = this.#clock.nowMs();
    kept.log.seal();
  }

  async read(callId: string, afterSeq: number, limit: number): Promise<TimelinePage | null> {
    this.#check();
    const kept = this.#kept(callId);
    if (kept === undefined) return null;
    const { lastSeq, log, summary } = kept;
    const firstSeq = lastSeq + 1 - log.length;
    return { epoch: summary.epoch, firstSeq, lastSeq, events: log.read(Math.max(0, afterSeq + 1 - firstSeq), limit) };
  }

  async calls(): Promise<readonly CallSummary[]> {
    this.#check();
    this.#sweep();
    return [...this.#calls.values()].map((kept) => kept.summary);
  }

  async call(callId: string): Promise<CallSummary | null> {
    this.#check();
    return this.#kept(callId)?.summary ?? null;
  }

  async subscribe(callId: string, listener: Listener): Promise<() => void> {
    this.#check();
    const listeners = this.#listeners.get(callId) ?? new Set();
    this.#listeners.set(callId, listeners);
    // A wrapper, so that one function subscribed twice is two subscriptions.
    const own: Listener = (event) => listener(event);
    listeners.add(own);
    return () => {
      listeners.delete(own);
      if (listeners.size === 0 && this.#listeners.get(callId) === listeners) this.#listeners.delete(callId);
    };
  }

  close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#sweeper);
    this.#listeners.clear();
    this.#calls.clear();
    return Promise.resolve();
  }

  #check(): void {
    if (this.#closed) throw storeClosed();
  }

  #tell(event: TimelineEvent): void {
    for (const listener of this.#listeners.get(event.callId) ?? []) {
      try {
        listener(event);
      } catch (error) {
        this.#logger?.error({ callId: event.callId, error: messageOf(error) }, 'A timeline listener threw');
      }
    }
  }

  #kept(callId: string): Kept | undefined {
    const kept = this.#calls.get(callId);
    return kept !== undefined && this.#expired(kept) ? undefined : kept;
  }

  #expired({ endedAtMs }: Kept): boolean {
    return endedAtMs !== null && this.#clock.nowMs() - endedAtMs >= this.#ttlMs;
  }

  #sweep(): void {
    for (const [callId, kept] of this.#calls) if (this.#expired(kept)) this.#calls.delete(callId);
  }

  #makeRoom(): void {
    if (this.#calls.size < this.#maxCalls) return;
    this.#sweep();
    if (this.#calls.size < this.#maxCalls) return;
    let oldest: { readonly callId: string; readonly endedAtMs: number } | undefined;
    for (const [callId, { endedAtMs }] of this.#calls) {
      if (endedAtMs !== null && endedAtMs < (oldest?.endedAtMs ?? Infinity)) oldest = { callId, endedAtMs };
    }
    if (oldest === undefined) {
      throw new UndertoneError('UT_SERVER_OVERLOADED', `Expected at most \`${this.#maxCalls}\` live calls, got one more`);
    }
    this.#calls.delete(oldest.callId);
  }
}
