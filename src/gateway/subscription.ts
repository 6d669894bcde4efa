// One reader of one call: joins what the store keeps with what comes live, without gap or duplicate.
import { setTimeout as delay } from 'node:timers/promises';
import { UndertoneError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { EventStream, type Outbox } from './outbox.ts';
import type { Resume, ResyncMessage } from './protocol.ts';
import type { CallSummary, TimelineEvent, TimelinePage, TimelineStore } from './types.ts';

/** Options of {@link Subscription.open}. */
export interface SubscriptionOptions {
  readonly store: TimelineStore;
  readonly outbox: Outbox;
  readonly logger: Logger;
  readonly callId: string;
  /** Without one, from the next event on. */
  readonly resume?: Resume | undefined;
}

/** Where a reader begins, and whether that is not where it wanted to. */
interface Start {
  readonly call: CallSummary;
  readonly nextSeq: number;
  readonly resync: ResyncMessage['reason'] | null;
}

const pageEvents = 500;
/** Live events that may wait while older ones are read; beyond, they are read from the store too. */
const maxPendingEvents = 1000;
/** Reads without result after which what was announced counts as lost. */
const maxIdleReads = 3;
const firstRetryMs = 250;
const maxRetryMs = 2000;

/**
 * A store delivers an event only once it can be read. So while older events are read in pages, live ones merely wait;
 * the two are joined when the pages reach the first that waits. Whatever is odd about a live event (another epoch, a
 * gap) is settled in the same way, by reading.
 */
export class Subscription {
  readonly #options: SubscriptionOptions;
  readonly #abort = new AbortController();
  #stream: EventStream;
  #epoch = '';
  #nextSeq = 0;
  #live = false;
  #pending: TimelineEvent[] = [];
  #leave: () => void = () => undefined;

  private constructor(options: SubscriptionOptions) {
    this.#options = options;
    this.#stream = new EventStream(options.callId, 0);
  }

  /** Sends `subscribed`, then events. Rejects with UT_CALL_UNKNOWN, or UT_STORE_FAILED. */
  static async open(options: SubscriptionOptions): Promise<Subscription> {
    const subscription = new Subscription(options);
    await subscription.#open();
    return subscription;
  }

  /** Ends it: no event of it is sent any more. Safe to call twice. */
  close(): void {
    this.#abort.abort();
    this.#leave();
    this.#pending = [];
    this.#options.outbox.closeStream(this.#stream);
  }

  async #open(): Promise<void> {
    const { store, outbox, callId, resume } = this.#options;
    this.#leave = await store.subscribe(callId, (event) => this.#take(event));
    try {
      const { call, nextSeq, resync } = await this.#findStart();
      this.#epoch = call.epoch;
      this.#nextSeq = nextSeq;
      this.#stream.nextSeq = nextSeq;
      outbox.send({ type: 'subscribed', call, nextSeq });
      if (resync !== null) outbox.sendResync(this.#stream, this.#resyncMessage(resync));
    } catch (error) {
      this.close();
      throw error;
    }
    if (resume !== undefined || !this.#join()) void this.#catchUp();
  }

  async #findStart(): Promise<Start> {
    const { store, callId, resume } = this.#options;
    for (let attempt = 0; ; attempt++) {
      const call = await store.call(callId);
      if (call === null) throw unknownCall(callId);
      if (resume === undefined) return { call, nextSeq: call.lastSeq + 1, resync: null };
      const page = await store.read(callId, resume.seq, 1);
      if (page === null) throw unknownCall(callId);
      // Opened anew between the two.
      if (page.epoch !== call.epoch && attempt < maxIdleReads) continue;
      return { call, ...startOf(resume, page) };
    }
  }

  #take(event: TimelineEvent): void {
    if (this.#isClosed()) return;
    if (this.#live && event.epoch === this.#epoch && event.seq <= this.#nextSeq) {
      if (event.seq === this.#nextSeq) this.#emit(event);
      return;
    }
    const last = this.#pending.at(-1);
    const follows = last?.epoch === event.epoch && last.seq + 1 === event.seq && this.#pending.length < maxPendingEvents;
    if (follows) this.#pending.push(event);
    else this.#pending = [event];
    if (this.#live) {
      this.#live = false;
      void this.#catchUp();
    }
  }

  #emit(event: TimelineEvent): void {
    this.#nextSeq = event.seq + 1;
    this.#options.outbox.sendEvent(this.#stream, event);
  }

  /** Goes live if what waits follows without a gap. */
  #join(): boolean {
    const [first] = this.#pending;
    if (first !== undefined && (first.epoch !== this.#epoch || first.seq > this.#nextSeq)) return false;
    const pending = this.#pending;
    this.#pending = [];
    this.#live = true;
    for (const event of pending) if (event.seq === this.#nextSeq) this.#emit(event);
    return true;
  }

  async #catchUp(): Promise<void> {
    const { outbox, logger, callId } = this.#options;
    const { signal } = this.#abort;
    let failures = 0;
    let idleReads = 0;
    while (!signal.aborted) {
      try {
        await outbox.writable();
        const read = await this.#readPage();
        failures = 0;
        idleReads = read === 'nothing' ? idleReads + 1 : 0;
      } catch (error) {
        if (failures++ === 0) logger.warn({ callId, error: messageOf(error) }, 'A timeline cannot be read; trying again');
        const retryMs = Math.min(maxRetryMs, firstRetryMs * 2 ** failures);
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
        continue;
      }
      // Announced, but not to be had: an epoch that is over, or a store that lost it. The next live event tells more.
      if (idleReads >= maxIdleReads) this.#pending = [];
      if ((idleReads > 0 || this.#pending.length > 0) && this.#join()) return;
    }
  }

  /** Sends what follows. `nothing` if the store has no more. */
  async #readPage(): Promise<'events' | 'nothing'> {
    const { store, outbox, callId } = this.#options;
    const page = await store.read(callId, this.#nextSeq - 1, pageEvents);
    if (page === null || this.#isClosed()) return 'nothing';
    if (page.epoch !== this.#epoch || page.firstSeq > this.#nextSeq) {
      const reason = page.epoch === this.#epoch ? 'trimmed' : 'epoch';
      this.#epoch = page.epoch;
      this.#nextSeq = page.firstSeq;
      outbox.sendResync(this.#stream, this.#resyncMessage(reason));
      // Read for another position; the next read is for this one.
      if (reason === 'epoch') return 'events';
    }
    for (const event of page.events) {
      // What is kept waits for its reader, and so is never coalesced.
      if (!outbox.idle) await outbox.writable();
      if (this.#isClosed()) return 'nothing';
      this.#emit(event);
    }
    return page.events.length > 0 ? 'events' : 'nothing';
  }

  #isClosed(): boolean {
    return this.#abort.signal.aborted;
  }

  #resyncMessage(reason: ResyncMessage['reason']): ResyncMessage {
    return { type: 'resync', callId: this.#options.callId, epoch: this.#epoch, nextSeq: this.#nextSeq, reason };
  }
}

function startOf(resume: Resume, page: TimelinePage): Omit<Start, 'call'> {
  const { firstSeq, lastSeq } = page;
  const wantedSeq = resume.seq + 1;
  if (resume.epoch !== undefined && resume.epoch !== page.epoch) return { nextSeq: firstSeq, resync: 'epoch' };
  // The whole of what is kept: that something older was trimmed is no surprise.
  if (resume.epoch === undefined && resume.seq === 0) return { nextSeq: firstSeq, resync: null };
  if (wantedSeq < firstSeq) return { nextSeq: firstSeq, resync: 'trimmed' };
  if (wantedSeq > lastSeq + 1) return { nextSeq: lastSeq + 1, resync: 'trimmed' };
  return { nextSeq: wantedSeq, resync: null };
}

function unknownCall(callId: string): UndertoneError {
  return new UndertoneError('UT_CALL_UNKNOWN', `Expected a call that is known here, got \`${callId}\``);
}
