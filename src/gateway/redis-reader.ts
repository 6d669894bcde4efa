// One blocking connection that reads the streams of every subscribed call and hands each event to its listeners once.
import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { TimelineEvent } from './types.ts';

/** Where a stream stands: `<ordinal>-<seq>` as numbers. */
export interface StreamPosition {
  readonly ordinal: number;
  readonly seq: number;
}

/** Options of a {@link RedisReader}. */
export interface RedisReaderOptions {
  /** A connection of its own: a blocking read holds up all else. */
  readonly connection: Redis;
  readonly wakeKey: string;
  /** The end of a stream, as Redis knows it now. */
  readonly positionOf: (streamKey: string) => Promise<StreamPosition>;
  /** Adds an entry to the stream at `wakeKey`. */
  readonly wake: () => Promise<void>;
  readonly logger: Logger;
}

interface Subscription {
  readonly listener: (event: TimelineEvent) => void;
  /** Null until it is known where it begins; what comes before that waits in `early`. */
  after: StreamPosition | null;
  early: { readonly position: StreamPosition; readonly event: TimelineEvent }[];
}

interface Followed {
  /** The last entry read; null until Redis told where the stream stands. */
  position: StreamPosition | null;
  readonly subscriptions: Set<Subscription>;
}

/** Also the longest that a changed set of streams waits where the wake-up was lost. */
export const blockMs = 5000;
const pageEntries = 500;
const retryMs = 200;

/**
 * Follows streams by position, so that a lost connection costs time and nothing else: after it, reading goes on
 * behind the last entry that was handed out.
 */
export class RedisReader {
  readonly #options: RedisReaderOptions;
  readonly #followed = new Map<string, Followed>();
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #wakeId = '0-0';

  constructor(options: RedisReaderOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Calls back with each event added to a stream from now on. */
  async subscribe(streamKey: string, listener: (event: TimelineEvent) => void): Promise<() => void> {
    const followed = this.#followed.get(streamKey) ?? { position: null, subscriptions: new Set() };
    this.#followed.set(streamKey, followed);
    const subscription: Subscription = { listener, after: null, early: [] };
    followed.subscriptions.add(subscription);
    const unsubscribe = (): void => {
      followed.subscriptions.delete(subscription);
      if (followed.subscriptions.size === 0 && this.#followed.get(streamKey) === followed) this.#followed.delete(streamKey);
    };
    try {
      const position = await this.#options.positionOf(streamKey);
      subscription.after = position;
      if (followed.position === null) {
        followed.position = position;
        // Only a hint: without it the next read, at most `blockMs` later, includes the stream.
        this.#options.wake().catch(() => undefined);
      }
      const { early } = subscription;
      subscription.early = [];
      for (const each of early) this.#hand(subscription, each.position, each.event);
      return unsubscribe;
    } catch (error) {
      unsubscribe();
      throw error;
    }
  }

  /** Stops reading. The connection is disconnected with it, as a blocking read ends no other way. */
  async close(): Promise<void> {
    this.#abort.abort();
    this.#followed.clear();
    this.#options.connection.disconnect();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#readOnce();
      } catch {
        // The connection reconnects by itself; its owner logs that.
        await delay(retryMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  async #readOnce(): Promise<void> {
    const { connection, wakeKey } = this.#options;
    const keys = [wakeKey];
    const ids = [this.#wakeId];
    for (const [key, { position }] of this.#followed) {
      if (position === null) continue;
      keys.push(key);
      ids.push(`${position.ordinal}-${position.seq}`);
    }
    const reply = await connection.xread('COUNT', pageEntries, 'BLOCK', blockMs, 'STREAMS', ...keys, ...ids);
    for (const [key, entries] of reply ?? []) {
      if (key === wakeKey) this.#wakeId = entries.at(-1)?.[0] ?? this.#wakeId;
      else for (const [id, fields] of entries) this.#take(key, parsePosition(id), fields[1] ?? '');
    }
  }

  #take(key: string, position: StreamPosition, json: string): void {
    const followed = this.#followed.get(key);
    // Unsubscribed, and maybe subscribed anew, while the read was under way.
    if (followed === undefined || followed.position === null || !isAfter(position, followed.position)) return;
    followed.position = position;
    let event: TimelineEvent;
    try {
      event = JSON.parse(json) as TimelineEvent;
    } catch {
      this.#options.logger.error('An entry of a timeline in Redis is not JSON; something else writes there');
      return;
    }
    for (const subscription of [...followed.subscriptions]) {
      if (subscription.after === null) subscription.early.push({ position, event });
      else this.#hand(subscription, position, event);
    }
  }

  #hand(subscription: Subscription, position: StreamPosition, event: TimelineEvent): void {
    if (subscription.after === null || !isAfter(position, subscription.after)) return;
    try {
      subscription.listener(event);
    } catch (error) {
      this.#options.logger.error({ callId: event.callId, error: messageOf(error) }, 'A timeline listener threw');
    }
  }
}

/** Reads a stream id. */
export function parsePosition(id: string): StreamPosition {
  const [ordinal = '0', seq = '0'] = id.split('-');
  return { ordinal: Number(ordinal), seq: Number(seq) };
}

function isAfter(a: StreamPosition, b: StreamPosition): boolean {
  return a.ordinal > b.ordinal || (a.ordinal === b.ordinal && a.seq > b.seq);
}
