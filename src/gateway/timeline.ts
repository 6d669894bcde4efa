// The timeline of one live call: numbers events, keeps the summary, and writes both to the store in order.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { UndertoneError, isUndertoneError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { DraftQueue, isInferred } from './draft-queue.ts';
import { emptySummary, reduceSummary } from './summary.ts';
import type { CallSummary, EventBodies, EventDraft, TimelineEvent, TimelineStore } from './types.ts';

/** Options of a {@link Timeline}. */
export interface TimelineOptions {
  readonly store: TimelineStore;
  readonly callId: string;
  readonly purpose: string;
  readonly region: string;
  readonly startedAtUnixMs: number;
  /** Name of this node, as call summaries show it. */
  readonly node: string;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Told of each event once the store has it. */
  readonly onWritten?: (event: TimelineEvent) => void;
  /** Events that may wait for the store; then points are dropped first. @default 4096 */
  readonly maxQueuedEvents?: number;
  /** How long after the end a store that fails is tried again. @default 600000 */
  readonly endTimeoutMs?: number;
  /** The former timeline of this call id on this node settles before this one opens. */
  readonly after?: Promise<unknown>;
}

const maxBatchEvents = 256;
const firstRetryMs = 50;
const maxRetryMs = 2000;

/**
 * The timeline of one live call. `write` never throws and never waits: a slow store fills a bounded queue, and what
 * is dropped there is counted and told as a `gap`. Seqs are given when a batch leaves the queue, so that they have
 * no gaps whatever was dropped. Events keep the `atMs` that they came with: those of different participants may
 * interleave slightly out of `atMs` order, and `seq` is the order.
 */
export class Timeline {
  readonly callId: string;
  /** Sorts by the time at which calls were opened, to the millisecond. */
  readonly epoch: string;
  /** Settles once the store has the call; rejects if it never will. */
  readonly opened: Promise<void>;
  /** Resolves once the call has ended and the store has all of it, or it is given up. */
  readonly settled: Promise<void>;
  readonly #options: TimelineOptions;
  readonly #queue: DraftQueue;
  readonly #measured = new Set<string>();
  readonly #abort = new AbortController();
  #summary: CallSummary;
  #state: 'live' | 'ended' | 'failed' = 'live';
  #lastAtMs = 0;
  #settle: () => void = () => undefined;
  #pumping: Promise<void> | undefined;
  #ended: Promise<void> | undefined;

  constructor(options: TimelineOptions) {
    const { callId, purpose, region, startedAtUnixMs, node, clock } = options;
    this.#options = options;
    this.callId = callId;
    this.epoch = makeEpoch(clock);
    this.#queue = new DraftQueue(options.maxQueuedEvents ?? 4096);
    this.#summary = emptySummary({ callId, epoch: this.epoch, startedAtUnixMs, node, purpose, region });
    this.settled = new Promise((resolve) => {
      this.#settle = resolve;
    });
    this.opened = this.#open();
    // Who does not ask for `opened` must not be ended by its rejection; the log has it.
    this.opened.catch(() => undefined);
  }

  /** The call as of the last event that was given a seq. */
  get summary(): CallSummary {
    return this.#summary;
  }

  /** `failed`: the store refuses this call for good, for instance because another node took it over. */
  get state(): 'live' | 'ended' | 'failed' {
    return this.#state;
  }

  /**
   * Adds an event. What is inferred from the voice of someone whose last `consent` event does not say `measured` is
   * dropped, and so is what still waits to be written when that consent ends.
   */
  write(draft: EventDraft): void {
    if (this.#state !== 'live') {
      this.#countDropped(this.#state, 1);
      return;
    }
    if (draft.type === 'end') {
      void this.end(draft.reason, draft.atMs);
      return;
    }
    if (isInferred(draft) && !this.#measured.has(draft.participantId)) {
      this.#countDropped('unmeasured', 1);
      return;
    }
    if (draft.type === 'consent' && draft.measured) this.#measured.add(draft.participantId);
    else if (draft.type === 'consent' || (draft.type === 'participant' && draft.action === 'left')) {
      this.#measured.delete(draft.participantId);
      this.#countDropped('unmeasured', this.#queue.forget(draft.participantId));
    }
    this.#enqueue(draft);
  }

  /** Resolves once all that was written before is in the store, or is given up. */
  async flush(): Promise<void> {
    while (this.#pumping !== undefined && !this.#abort.signal.aborted) {
      await unlessAborted(this.#pumping, this.#abort.signal).catch(() => undefined);
    }
  }

  /** Ends the call: nothing follows. Resolves once the store has the end, or is given up. Safe to call twice. */
  end(reason: EventBodies['end']['reason'], atMs?: number): Promise<void> {
    this.#ended ??= this.#finish(reason, atMs);
    return this.#ended;
  }

  /** Gives up what the store does not have yet. For a shutdown that cannot wait. */
  abandon(): void {
    if (this.#pumping === undefined) this.#abort.abort();
    else this.#fail('The timeline was given up');
  }

  async #finish(reason: EventBodies['end']['reason'], atMs: number | undefined): Promise<void> {
    const { clock, startedAtUnixMs } = this.#options;
    if (this.#state === 'live') {
      this.#enqueue({ type: 'end', atMs: atMs ?? Math.max(this.#lastAtMs, Math.round(clock.nowMs() - startedAtUnixMs)), reason });
      if (this.#live) this.#state = 'ended';
    }
    const timer = setTimeout(() => this.abandon(), this.#options.endTimeoutMs ?? 600_000);
    await this.flush();
    clearTimeout(timer);
    this.#settle();
  }

  /** Read through a getter, because a failed enqueue changes the state behind the compiler's back. */
  get #live(): boolean {
    return this.#state === 'live';
  }

  #enqueue(draft: EventDraft): void {
    this.#lastAtMs = Math.max(this.#lastAtMs, draft.atMs);
    const result = this.#queue.push(draft);
    if (result === 'displaced') this.#countDropped('overflow', 1);
    if (result === 'full') {
      this.#fail('The queue of a timeline is full of events that must not be dropped; the call is no longer recorded');
      return;
    }
    this.#wake();
  }

  #wake(): void {
    this.#pumping ??= this.#pump();
  }

  async #open(): Promise<void> {
    const { store, startedAtUnixMs, node, purpose, region, after } = this.#options;
    await after;
    const { callId, epoch } = this;
    await this.#persist(() => unlessAborted(store.open({ callId, epoch, startedAtUnixMs, node, purpose, region }), this.#abort.signal));
  }

  /** Never rejects. A store that hangs holds it up; who waits for it is let go when the timeline is given up. */
  async #pump(): Promise<void> {
    try {
      // Waits at least for a turn: what is written together goes to the store together.
      await this.opened;
      while (this.#queue.length > 0) {
        const events = this.#number(this.#queue.take(maxBatchEvents));
        const summary = this.#summary;
        await this.#persist(() => this.#options.store.append(events, summary));
        for (const event of events) this.#report(event);
      }
    } catch {
      // Already logged and counted by #fail; what waits is void.
      this.#countDropped('failed', this.#queue.clear());
    }
    this.#pumping = undefined;
  }

  #number(drafts: readonly EventDraft[]): TimelineEvent[] {
    return drafts.map((draft) => {
      const event: TimelineEvent = { epoch: this.epoch, seq: this.#summary.lastSeq + 1, callId: this.callId, ...draft };
      this.#summary = reduceSummary(this.#summary, event);
      return event;
    });
  }

  /** Tries until the store takes it, refuses it for good, or the timeline is abandoned. */
  async #persist(operation: () => Promise<void>): Promise<void> {
    const { signal } = this.#abort;
    for (let attempt = 0; ; attempt++) {
      try {
        signal.throwIfAborted();
        await operation();
        signal.throwIfAborted();
        if (attempt > 0) this.#options.logger.warn({ callId: this.callId, attempt }, 'The timeline store answers again');
        return;
      } catch (error) {
        if (signal.aborted || !isUndertoneError(error) || !error.retryable) {
          this.#fail(messageOf(error));
          throw error;
        }
        const { callId } = this;
        if (attempt === 0) this.#options.logger.warn({ callId, error: error.message }, 'The timeline store fails; trying again');
        const retryMs = Math.min(maxRetryMs, firstRetryMs * 2 ** attempt);
        await delay(retryMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
      }
    }
  }

  #report(event: TimelineEvent): void {
    const { metrics, clock, logger, onWritten } = this.#options;
    metrics.events.inc({ type: event.type });
    if (event.type === 'point') metrics.arrivalToEventMs.observe(Math.max(0, clock.nowMs() - event.arrivedAtUnixMs));
    try {
      onWritten?.(event);
    } catch (error) {
      logger.error({ callId: this.callId, error: messageOf(error) }, 'A listener of written events threw');
    }
  }

  #fail(message: string): void {
    if (this.#state === 'failed') return;
    this.#state = 'failed';
    this.#settle();
    this.#abort.abort(new UndertoneError('UT_STORE_FAILED', message));
    this.#countDropped('failed', this.#queue.clear());
    this.#options.logger.error({ callId: this.callId, error: message }, 'A timeline is lost');
  }

  #countDropped(reason: 'overflow' | 'unmeasured' | 'ended' | 'failed', count: number): void {
    if (count > 0) this.#options.metrics.eventsDropped.inc({ reason }, count);
  }
}

/** Settles as the operation does, or rejects at once when aborted. */
async function unlessAborted(operation: Promise<void>, signal: AbortSignal): Promise<void> {
  let onAbort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new UndertoneError('UT_STORE_FAILED', 'The timeline was given up'));
    signal.addEventListener('abort', onAbort);
  });
  try {
    await Promise.race([operation, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Unique, and sorts by time: nine base-36 digits of milliseconds last until the year 5188. */
function makeEpoch(clock: Clock): string {
  return `${Math.floor(clock.nowMs()).toString(36).padStart(9, '0')}-${randomBytes(5).toString('hex')}`;
}
