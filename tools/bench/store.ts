// What a Redis carries that joins several nodes: events of many calls, written one at a time as a timeline does.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { readCpuSeconds, type CpuSeconds } from '../../src/cpu-usage.ts';
import { createLogger } from '../../src/log.ts';
import { RedisTimelineStore } from '../../src/gateway/redis-store.ts';
import { emptySummary, reduceSummary } from '../../src/gateway/summary.ts';
import type { CallSummary, TimelineEvent } from '../../src/gateway/types.ts';
import { freePort } from './free-port.ts';
import type { BenchmarkResult } from './report.ts';

const callCounts = [10, 100, 1000];
const seconds = 3;
const labels = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'];

interface Call {
  summary: CallSummary;
  seq: number;
}

/** Appends points as fast as Redis answers, each call one append at a time; left out where there is no redis-server. */
export async function measureStore(): Promise<BenchmarkResult> {
  const about =
    `Points appended one at a time through the Redis store, all calls at once, ${String(seconds)} s each; redis-server on the same machine, ` +
    'on one core of its own at most, without persistence. "ours" is this process.';
  const port = await freePort();
  const child = spawn('redis-server', ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    stdio: 'ignore',
  });
  const failed = await Promise.race([once(child, 'error').then(() => true), delay(500).then(() => false)]);
  if (failed || child.pid === undefined) return { name: 'store', about: `${about} No redis-server is there.`, rows: [], failures: [] };
  const store = await RedisTimelineStore.create({ url: `redis://127.0.0.1:${String(port)}`, logger: createLogger('silent') });
  const rows: Record<string, string | number>[] = [];
  for (const count of callCounts) rows.push(await measure(store, child.pid, count));
  await store.close();
  child.kill();
  return { name: 'store', about, rows, failures: [] };
}

async function measure(store: RedisTimelineStore, redisPid: number, count: number): Promise<Record<string, string | number>> {
  const startedAtUnixMs = Date.now();
  const calls = await Promise.all(
    Array.from({ length: count }, async (_, index): Promise<Call> => {
      const call = {
        callId: `bench-${String(count)}-${String(index)}`,
        epoch: String(startedAtUnixMs),
        startedAtUnixMs,
        purpose: 'bench',
        node: 'bench',
        region: 'EU',
      };
      await store.open(call);
      return { summary: emptySummary(call), seq: 0 };
    }),
  );
  const sum = (parts: CpuSeconds): number => Object.values<number>({ ...parts }).reduce((a, b) => a + b);
  const before = { redis: sum(readCpuSeconds(redisPid)), own: process.cpuUsage() };
  const startMs = performance.now();
  let events = 0;
  let bytes = 0;
  await Promise.all(
    calls.map(async (call) => {
      while (performance.now() - startMs < seconds * 1000) {
        const event = pointOf(call);
        call.summary = reduceSummary(call.summary, event);
        await store.append([event], call.summary);
        bytes += JSON.stringify(event).length;
        events += 1;
      }
    }),
  );
  const elapsedSeconds = (performance.now() - startMs) / 1000;
  const own = process.cpuUsage(before.own);
  return {
    calls: count,
    'events/s': events / elapsedSeconds,
    'bytes an event': bytes / events,
    'redis us of CPU an event': (1e6 * (sum(readCpuSeconds(redisPid)) - before.redis)) / events,
    'ours us of CPU an event': (own.user + own.system) / events,
  };
}

function pointOf(call: Call): TimelineEvent {
  call.seq += 1;
  const { callId, epoch } = call.summary;
  const probabilities = Object.fromEntries(labels.map((label, i) => [label, i === 0 ? 0.4321 : 0.1136]));
  return {
    type: 'point',
    callId,
    epoch,
    seq: call.seq,
    participantId: 'caller-1',
    startMs: call.seq * 240,
    atMs: call.seq * 240 + 2400,
    label: 'anger',
    confidence: 0.4321,
    probabilities,
    speechRatio: 0.8125,
    concealedRatio: 0,
    unreliable: false,
    hopMs: 240,
    arrivedAtUnixMs: Date.now(),
  };
}
