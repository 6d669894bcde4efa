// One reader of one call: its position, what it hears, and its async iterator.
import { createEmitter, type Listener } from './emitter.ts';
import { UndertoneClientError } from './errors.ts';
import type { CallSummary, EventType, Resync, Skipped, TimelineEvent, TimelineEventOf, TimelinePosition } from './types.ts';

/** Where to begin: with the next event, with the oldest that is kept, or right after a position. */
export type SubscribeFrom = 'now' | 'start' | TimelinePosition;

/** What a subscription tells, by name. */
export type SubscriptionEvents = {
  readonly [T in EventType]: TimelineEventOf<T>;
} & {
  /** Every event, whatever its type. */
  readonly event: TimelineEvent;
  /** The call as it stands: once subscribed, and again after each reconnect. */
  readonly call: CallSummary;
  /** What was derived from earlier events is void. */
  readonly resync: Resync;
  /** Points that the server left out because this reader is slow. */
  readonly skipped: Skipped;
  readonly error: UndertoneClientError;
  /** Nothing follows. */
  readonly close: undefined;
};

/** A reader of one call's timeline. Each event comes once and in order, across reconnects. */
export interface Subscription {
  readonly callId: string;
  /** The call as last announced; null until subscribed. */
  readonly call: CallSummary | null;
  /** Up to where events have been delivered; null until known. Keep it to resume later. */
  readonly position: TimelinePosition | null;
  readonly closed: boolean;
  /** Adds a listener and gives the function that takes it off. */
  on<K extends keyof SubscriptionEvents>(type: K, listener: Listener<SubscriptionEvents[K]>): () => void;
  /** Ends it. Safe to call twice. */
  unsubscribe(): void;
  /**
   * Reads events from this moment on. Ends when the subscription does; throws the error that ended it, or
   * `UT_CLIENT_READER_SLOW` once more than 10 000 events wait.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<TimelineEvent>;
}

/** The side of a subscription that the client works. */
export interface Reader {
  readonly handle: Subscription;
  /** What this reader would resume from; null for "now", seq 0 without an epoch for the start. */
  resume(): TimelinePosition | { readonly seq: 0 } | null;
  subscribed(call: CallSummary, nextSeq: number, resumed: boolean): void;
  resync(resync: Resync): void;
  skipped(skipped: Skipped): ReadResult;
  event(event: TimelineEvent): ReadResult;
  error(error: UndertoneClientError): void;
  close(error: UndertoneClientError | null): void;
}

/** `gap`: events before it are missing, so it was not taken. */
export type ReadResult = 'taken' | 'ignored' | 'gap';

/** Most events that may wait in an iterator. */
const maxWaitingEvents = 10_000;

/** Makes a subscription that calls `onUnsubscribe` once when its owner ends it. */
export function createReader(callId: string, from: SubscribeFrom, onUnsubscribe: () => void): Reader {
  const emitter = createEmitter<SubscriptionEvents>();
  let position: TimelinePosition | null = typeof from === 'object' ? { epoch: from.epoch, seq: from.seq } : null;
  let call: CallSummary | null = null;
  let closed = false;
  let endedBy: UndertoneClientError | null = null;
  let pastEpoch: string | null = null;
  // Whether missing events have been asked for again, and whether that was answered.
  let recovery: 'none' | 'asked' | 'answered' = 'none';

  const restart = (resync: Resync): void => {
    if (position !== null && position.epoch !== resync.epoch) pastEpoch = position.epoch;
    position = { epoch: resync.epoch, seq: resync.nextSeq - 1 };
    emitter.emit('resync', resync);
  };

  /** Whether what starts at `seq` must wait until what lies before it was sent again; a second time it is given up. */
  const missing = (at: TimelinePosition, seq: number): boolean => {
    if (seq <= at.seq + 1) return false;
    if (recovery !== 'answered') {
      recovery = 'asked';
      return true;
    }
    restart({ callId, epoch: at.epoch, nextSeq: seq, reason: 'trimmed' });
    return false;
  };

  const reader: Reader = {
    resume: () => position ?? (from === 'start' ? { seq: 0 } : null),
    subscribed(next, nextSeq, resumed) {
      call = next;
      if (recovery === 'asked') recovery = 'answered';
      if (position === null) {
        // If another reader of this call asked for older events, then this one's "now" is where the call stands.
        position = { epoch: next.epoch, seq: from === 'now' && resumed ? next.lastSeq : nextSeq - 1 };
      } else if (position.epoch !== next.epoch) {
        restart({ callId, epoch: next.epoch, nextSeq, reason: 'epoch' });
      } else if (position.seq + 1 < nextSeq) {
        restart({ callId, epoch: next.epoch, nextSeq, reason: 'trimmed' });
      }
      emitter.emit('call', next);
    },
    resync(resync) {
      if (position === null || (position.epoch === resync.epoch && position.seq + 1 >= resync.nextSeq)) return;
      restart(resync);
    },
    skipped(skipped) {
      if (position === null || skipped.toSeq <= position.seq) return 'ignored';
      if (missing(position, skipped.fromSeq)) return 'gap';
      recovery = 'none';
      position = { epoch: position.epoch, seq: skipped.toSeq };
      emitter.emit('skipped', skipped);
      return 'taken';
    },
    event(event) {
      if (position === null || event.epoch === pastEpoch) return 'ignored';
      if (event.epoch !== position.epoch) restart({ callId, epoch: event.epoch, nextSeq: 1, reason: 'epoch' });
      if (event.seq <= position.seq) return 'ignored';
      if (missing(position, event.seq)) return 'gap';
      recovery = 'none';
      position = { epoch: event.epoch, seq: event.seq };
      emitter.emit('event', event);
      emitter.emit(event.type, event);
      return 'taken';
    },
    error(error) {
      emitter.emit('error', error);
    },
    close(error) {
      if (closed) return;
      closed = true;
      endedBy = error;
      if (error !== null) emitter.emit('error', error);
      emitter.emit('close', undefined);
      emitter.clear();
    },
    handle: {
      callId,
      get call() {
        return call;
      },
      get position() {
        return position;
      },
      get closed() {
        return closed;
      },
      on: (type, listener) => emitter.on(type, listener),
      unsubscribe() {
        if (closed) return;
        onUnsubscribe();
        reader.close(null);
      },
      [Symbol.asyncIterator]: () =>
        iterate(
          (listener) => emitter.on('event', listener),
          (listener) =>
            closed
              ? (listener(endedBy), () => undefined)
              : emitter.on('close', () => {
                  listener(endedBy);
                }),
          callId,
        ),
    },
  };
  return reader;
}

type Subscribe<T> = (listener: (value: T) => void) => () => void;

function iterate(
  onEvent: Subscribe<TimelineEvent>,
  onClose: Subscribe<UndertoneClientError | null>,
  callId: string,
): AsyncIterableIterator<TimelineEvent> {
  const events: TimelineEvent[] = [];
  const waiting: { resolve: (result: IteratorResult<TimelineEvent>) => void; reject: (error: Error) => void }[] = [];
  let ended = false;
  let error: UndertoneClientError | null = null;

  const finish = (reason: UndertoneClientError | null): void => {
    if (ended) return;
    ended = true;
    error = reason;
    offEvent();
    offClose();
    for (const { resolve, reject } of waiting.splice(0)) {
      if (reason === null) resolve({ done: true, value: undefined });
      else reject(reason);
    }
  };
  const offEvent = onEvent((event) => {
    const next = waiting.shift();
    if (next !== undefined) next.resolve({ done: false, value: event });
    else if (events.push(event) > maxWaitingEvents) {
      const message = `Expected at most ${String(maxWaitingEvents)} events to wait, got more`;
      finish(new UndertoneClientError('UT_CLIENT_READER_SLOW', message, { callId }));
    }
  });
  let offClose = (): void => undefined;
  offClose = onClose(finish);

  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      const event = events.shift();
      if (event !== undefined) return Promise.resolve({ done: false, value: event });
      if (error !== null) {
        const failure = error;
        error = null;
        return Promise.reject(failure);
      }
      if (ended) return Promise.resolve({ done: true, value: undefined });
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
      });
    },
    return() {
      finish(null);
      events.length = 0;
      error = null;
      return Promise.resolve({ done: true, value: undefined });
    },
  };
}
