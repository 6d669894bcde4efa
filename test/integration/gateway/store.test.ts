// The contract of timeline stores on both implementations, and what Redis adds: outages, owners, expiry.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { MemoryTimelineStore } from '../../../src/gateway/memory-store.ts';
import { RedisTimelineStore, type RedisTimelineStoreOptions } from '../../../src/gateway/redis-store.ts';
import { Timeline } from '../../../src/gateway/timeline.ts';
import type { TimelineEvent } from '../../../src/gateway/types.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import { freePort } from '../../../tools/bench/free-port.ts';
import { arrival, callOf, numbered, point, silentLogger, summaryAt, timelineOptions } from '../../support/timeline.ts';
import { describeStore } from './store-contract.ts';

let redis: TestRedis;
let prefixes = 0;

beforeAll(async () => {
  redis = await startRedis();
});

afterAll(async () => {
  await redis.close();
});

function openStore(options: Partial<RedisTimelineStoreOptions> = {}): Promise<RedisTimelineStore> {
  return RedisTimelineStore.create({ url: redis.url, logger: silentLogger, keyPrefix: `t${++prefixes}:`, ...options });
}

describeStore('memory', () => Promise.resolve(new MemoryTimelineStore({ maxEvents: 200 })));
describeStore('redis', () => openStore({ maxEvents: 200 }));

describe('RedisTimelineStore', () => {
  it('refuses a Redis that is not there, without echoing the password', async () => {
    const url = `redis://user:secret-word@127.0.0.1:${await freePort()}`;
    const failure = await RedisTimelineStore.create({ url, logger: silentLogger, connectTimeoutMs: 300 }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'UT_STORE_FAILED', message: expect.stringContaining('ECONNREFUSED') });
    expect(String(failure)).not.toContain('secret-word');
  });

  it('shares calls and live events between two stores', async () => {
    const a = await openStore({ keyPrefix: 'shared:' });
    const b = await openStore({ keyPrefix: 'shared:' });
    await a.open(callOf('c', 'e1'));
    const seen: number[] = [];
    await b.subscribe('c', (event) => seen.push(event.seq));
    await a.append(numbered('c', 'e1', 1, 20), summaryAt('c', 'e1', 20));
    await vi.waitFor(() => expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index + 1)), { timeout: 10_000 });
    expect(await b.calls()).toEqual([summaryAt('c', 'e1', 20)]);
    await Promise.all([a.close(), b.close()]);
  });

  it('lets no second node open a live call, until its owner is gone', async () => {
    const a = await openStore({ keyPrefix: 'owner:' });
    const b = await openStore({ keyPrefix: 'owner:' });
    await a.open(callOf('c', 'e1'));
    await expect(b.open(callOf('c', 'e2'))).rejects.toMatchObject({ code: 'UT_REQUEST_INVALID' });
    expect(await b.call('c')).toMatchObject({ live: true });
    await a.close();
    expect(await b.call('c')).toMatchObject({ live: false });
    await b.open(callOf('c', 'e2'));
    expect(await b.call('c')).toMatchObject({ live: true, epoch: 'e2' });
    await b.close();
  });

  it('lets every key but the set of calls expire', async () => {
    const store = await openStore({ keyPrefix: 'ttl:', ttlSeconds: 1 });
    await store.open(callOf('c', 'e1'));
    await store.append(numbered('c', 'e1', 1, 3), summaryAt('c', 'e1', 3, false));
    await vi.waitFor(async () => expect(await store.call('c')).toBeNull(), { timeout: 20_000, interval: 200 });
    expect(await store.calls()).toEqual([]);
    expect(await store.read('c', 0, 10)).toBeNull();
    await store.close();
  });

  it('survives a Redis that restarts empty: writers go on, readers get what is written after it', async () => {
    const own = await startRedis();
    const store = await RedisTimelineStore.create({ url: own.url, logger: silentLogger });
    const timeline = new Timeline(timelineOptions(store, 'c'));
    const seen: TimelineEvent[] = [];
    await timeline.opened;
    await store.subscribe('c', (event) => seen.push(event));
    for (const draft of arrival('p1')) timeline.write(draft);
    timeline.write(point('p1', 1000));
    await timeline.flush();
    await vi.waitFor(() => expect(seen.length).toBe(3), { timeout: 10_000 });

    await own.kill();
    await vi.waitFor(() => expect(store.ready).toBe(false), { timeout: 10_000 });
    await expect(store.calls()).rejects.toMatchObject({ code: 'UT_STORE_FAILED', retryable: true });
    for (let atMs = 1250; atMs <= 2000; atMs += 250) timeline.write(point('p1', atMs));
    await own.start();
    await timeline.flush();
    timeline.write(point('p1', 2250));
    await timeline.flush();

    await vi.waitFor(() => expect(seen.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]), { timeout: 20_000 });
    expect(await store.read('c', 0, 100)).toMatchObject({ firstSeq: 4, lastSeq: 8, epoch: timeline.epoch });
    expect(await store.call('c')).toMatchObject({ live: true, lastSeq: 8, participants: [{ participantId: 'p1', measured: true }] });
    await timeline.end('closed');
    await store.close();
    await own.close();
  });

  it('goes on after Redis comes back with an older state', async () => {
    const store = await openStore({ keyPrefix: 'old:' });
    await store.open(callOf('c', 'e1'));
    await store.append(numbered('c', 'e1', 1, 5), summaryAt('c', 'e1', 5));
    // What a restart from an older snapshot leaves behind.
    const { Redis } = await import('ioredis');
    const raw = new Redis(redis.url);
    await raw.hset('old:call:c', 'lastSeq', 2);
    const [entry] = await raw.xrange('old:stream:c', '-', '+', 'COUNT', 1);
    const ordinal = entry?.[0].split('-')[0] ?? '';
    await raw.xdel('old:stream:c', `${ordinal}-3`, `${ordinal}-4`, `${ordinal}-5`);
    raw.disconnect();
    await store.append(numbered('c', 'e1', 6, 7), summaryAt('c', 'e1', 7));
    expect(await store.read('c', 0, 10)).toMatchObject({ firstSeq: 6, lastSeq: 7, events: [{ seq: 6 }, { seq: 7 }] });
    await store.close();
  });
});
