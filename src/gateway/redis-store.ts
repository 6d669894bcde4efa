// The timeline store that several nodes share: Redis Streams through ioredis.
import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { UndertoneError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import { RedisReader, blockMs, parsePosition } from './redis-reader.ts';
import {
  appendScript,
  callScript,
  callsScript,
  openScript,
  positionScript,
  readScript,
  redisKeys,
  type RedisKeys,
  type Script,
} from './redis-scripts.ts';
import { brokenOrder, checkBatch, liveElsewhere, staleEpoch, storeClosed } from './store-errors.ts';
import { emptySummary } from './summary.ts';
import type { CallSummary, TimelineEvent, TimelinePage, TimelineStore } from './types.ts';

/** Options of a {@link RedisTimelineStore}. */
export interface RedisTimelineStoreOptions {
  /** `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS. Redis 6.2 or newer, not a cluster. */
  readonly url: string;
  /** Leads every key. @default 'undertone:' */
  readonly keyPrefix?: string;
  /** Events kept of one call, about; the oldest go first. @default 20000 */
  readonly maxEvents?: number;
  /** How long an ended call is kept. @default 3600 */
  readonly ttlSeconds?: number;
  /** After this time of silence a node's calls count as not live. @default 10000 */
  readonly ownerTtlMs?: number;
  /** How long the first connection may take. @default 5000 */
  readonly connectTimeoutMs?: number;
  readonly logger: Logger;
}

/** A call that this process writes. */
interface Written {
  readonly epoch: string;
  readonly ordinal: string;
  ackedSeq: number;
  live: boolean;
}

const commandTimeoutMs = 3000;

/** Keeps timelines in Redis. Every failure to reach it rejects with UT_STORE_FAILED, retryable, and heals by itself. */
export class RedisTimelineStore implements TimelineStore {
  readonly #options: Required<RedisTimelineStoreOptions>;
  /** Names this store in this process: what it opened is live while its key is. */
  readonly #ownerId = randomUUID();
  readonly #keys: RedisKeys;
  readonly #commands: Redis;
  readonly #reader: RedisReader;
  readonly #written = new Map<string, Written>();
  readonly #beat: NodeJS.Timeout;
  #closed: Promise<void> | undefined;

  private constructor(options: Required<RedisTimelineStoreOptions>, commands: Redis, blocking: Redis) {
    this.#options = options;
    this.#keys = redisKeys(options.keyPrefix);
    this.#commands = commands;
    const wakeKey = this.#keys.wake(this.#ownerId);
    this.#reader = new RedisReader({
      connection: blocking,
      wakeKey,
      positionOf: async (streamKey) => {
        const callKey = this.#keys.call(streamKey.slice(this.#keys.stream('').length));
        return parsePosition(String(await this.#run(positionScript, [callKey, streamKey], [])));
      },
      wake: async () => {
        await commands.multi().xadd(wakeKey, 'MAXLEN', '~', 1, '*', 'w', '1').pexpire(wakeKey, 60_000).exec();
      },
      logger: options.logger,
    });
    this.#beat = setInterval(() => void this.#sayAlive(), options.ownerTtlMs / 3);
    this.#beat.unref();
    commands.on('ready', () => void this.#sayAlive());
  }

  /** Connects. Rejects with UT_STORE_FAILED if Redis cannot be reached in time. */
  static async create(options: RedisTimelineStoreOptions): Promise<RedisTimelineStore> {
    const full = { keyPrefix: 'undertone:', maxEvents: 20_000, ttlSeconds: 3600, ownerTtlMs: 10_000, connectTimeoutMs: 5000, ...options };
    const commands = connect(full, { connectionName: 'undertone', commandTimeout: commandTimeoutMs });
    // A dead peer is noticed because each blocking read answers in `blockMs`, if with nothing.
    const blocking = connect(full, { connectionName: 'undertone-reader', socketTimeout: 3 * blockMs });
    const timeout = AbortSignal.timeout(full.connectTimeoutMs);
    try {
      await Promise.all([firstReady(commands, timeout), firstReady(blocking, timeout)]);
    } catch (error) {
      commands.disconnect();
      blocking.disconnect();
      throw error;
    }
    const store = new RedisTimelineStore(full, commands, blocking);
    await store.#sayAlive();
    return store;
  }

  /** Whether operations can be expected to work. */
  get ready(): boolean {
    return this.#closed === undefined && this.#commands.status === 'ready';
  }

  async open(call: Omit<CallSummary, 'lastSeq' | 'participants' | 'live'>): Promise<void> {
    const { callId, epoch } = call;
    const { ttlSeconds } = this.#options;
    const summary = JSON.stringify(emptySummary(call));
    const keys = [this.#keys.call(callId), this.#keys.calls];
    const reply = await this.#run(openScript, keys, [callId, epoch, this.#ownerId, this.#keys.owner(''), ttlSeconds, summary]);
    const [verdict, ordinal] = strings(reply);
    if (verdict !== 'ok' || ordinal === undefined) throw liveElsewhere(callId);
    this.#written.set(callId, { epoch, ordinal, ackedSeq: 0, live: true });
  }

  async append(events: readonly TimelineEvent[], summary: CallSummary): Promise<void> {
    checkBatch(events);
    const { callId, epoch, live } = summary;
    const { maxEvents, ttlSeconds } = this.#options;
    const written = this.#written.get(callId);
    const [first] = events;
    const last = events.at(-1);
    if (first === undefined || last === undefined) return;
    if (written?.epoch !== epoch || first.callId !== callId || first.epoch !== epoch) throw staleEpoch(callId);
    const keys = [this.#keys.call(callId), this.#keys.stream(callId), this.#keys.calls];
    const facts = [callId, epoch, this.#ownerId, written.ordinal, written.ackedSeq, first.seq, live ? 1 : 0, JSON.stringify(summary)];
    const entries = events.map((event) => JSON.stringify(event));
    const [verdict, expectedSeq] = strings(await this.#run(appendScript, keys, [...facts, maxEvents, ttlSeconds, ...entries]));
    if (verdict === 'order') throw brokenOrder(Number(expectedSeq), first.seq);
    if (verdict !== 'ok') {
      this.#written.delete(callId);
      throw staleEpoch(callId);
    }
    written.ackedSeq = Math.max(written.ackedSeq, last.seq);
    written.live = live;
    if (!live) this.#written.delete(callId);
  }

  async read(callId: string, afterSeq: number, limit: number): Promise<TimelinePage | null> {
    const keys = [this.#keys.call(callId), this.#keys.stream(callId)];
    const [epoch, lastSeqText, firstId, ...entries] = strings(await this.#run(readScript, keys, [Math.max(0, afterSeq) + 1, limit]));
    if (epoch === undefined) return null;
    const lastSeq = Number(lastSeqText);
    const firstSeq = firstId === undefined || firstId === '' ? lastSeq + 1 : parsePosition(firstId).seq;
    return { epoch, firstSeq, lastSeq, events: entries.map((entry) => JSON.parse(entry) as TimelineEvent) };
  }

  async calls(): Promise<readonly CallSummary[]> {
    const reply = strings(await this.#run(callsScript, [this.#keys.calls], [this.#keys.call(''), this.#keys.owner('')]));
    const summaries: CallSummary[] = [];
    for (let index = 0; index + 1 < reply.length; index += 2) summaries.push(summaryOf(reply[index], reply[index + 1]));
    return summaries.sort((a, b) => a.startedAtUnixMs - b.startedAtUnixMs);
  }

  async call(callId: string): Promise<CallSummary | null> {
    const [json, alive] = strings(await this.#run(callScript, [this.#keys.call(callId)], [this.#keys.owner('')]));
    return json === undefined ? null : summaryOf(json, alive);
  }

  async subscribe(callId: string, listener: (event: TimelineEvent) => void): Promise<() => void> {
    if (this.#closed !== undefined) throw storeClosed();
    return await this.#reader.subscribe(this.#keys.stream(callId), listener);
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#beat);
    await this.#reader.close();
    try {
      await this.#commands.del(this.#keys.owner(this.#ownerId), this.#keys.wake(this.#ownerId));
    } catch {
      // Unreachable: the keys expire.
    }
    this.#commands.disconnect();
  }

  async #sayAlive(): Promise<void> {
    if (this.#closed !== undefined) return;
    try {
      const { ownerTtlMs, ttlSeconds } = this.#options;
      const batch = this.#commands.pipeline().set(this.#keys.owner(this.#ownerId), '1', 'PX', ownerTtlMs);
      for (const [callId, { live }] of this.#written) {
        // A call may be silent for longer than an ended one is kept.
        if (live) batch.expire(this.#keys.call(callId), ttlSeconds).expire(this.#keys.stream(callId), ttlSeconds);
      }
      await batch.exec();
    } catch {
      // The next beat tries again, and so does the next connection.
    }
  }

  async #run(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown> {
    if (this.#closed !== undefined) throw storeClosed();
    try {
      try {
        return await this.#commands.evalsha(script.sha1, keys.length, ...keys, ...args);
      } catch (error) {
        if (!messageOf(error).startsWith('NOSCRIPT')) throw error;
        return await this.#commands.eval(script.lua, keys.length, ...keys, ...args);
      }
    } catch (cause) {
      throw new UndertoneError('UT_STORE_FAILED', `Redis cannot be reached or refused: ${messageOf(cause)}`, { retryable: true, cause });
    }
  }
}

interface ConnectionOptions {
  readonly connectionName: string;
  readonly commandTimeout?: number;
  readonly socketTimeout?: number;
}

function connect({ url, logger, connectTimeoutMs }: Required<RedisTimelineStoreOptions>, options: ConnectionOptions): Redis {
  const redis = new Redis(url, {
    // One shape of replies, whatever the server speaks.
    protocol: 2,
    connectTimeout: connectTimeoutMs,
    // A caller that must wait retries; a queue here would hide the outage and grow.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(1000, 50 * 2 ** Math.min(attempt, 5)),
    ...options,
  });
  let wasReady = false;
  redis.on('error', (error: Error) => logger.debug({ error: error.message }, 'Redis connection error'));
  redis.on('close', () => {
    if (wasReady && redis.status !== 'end') logger.warn('The connection to Redis is lost; connecting again');
    wasReady = false;
  });
  redis.on('ready', () => {
    wasReady = true;
    logger.info('Connected to Redis');
  });
  return redis;
}

function firstReady(redis: Redis, timeout: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let cause: unknown;
    redis.on('error', (error) => (cause = error));
    redis.once('ready', resolve);
    timeout.addEventListener('abort', () => {
      const why = cause === undefined ? 'no answer' : messageOf(cause);
      reject(new UndertoneError('UT_STORE_FAILED', `Expected a Redis at the configured URL, got: ${why}`, { retryable: true, cause }));
    });
  });
}

function strings(reply: unknown): string[] {
  return Array.isArray(reply) ? reply.map(String) : [];
}

function summaryOf(json: string | undefined, alive: string | undefined): CallSummary {
  const summary = JSON.parse(json ?? 'null') as CallSummary;
  return alive === '1' ? summary : { ...summary, live: false };
}
