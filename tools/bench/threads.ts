// What pipeline threads cost and what they take off the main thread: the same callers with none, one and two, by turns.
import { setTimeout as delay } from 'node:timers/promises';
import { readCpuSeconds, type CpuSeconds } from '../../src/cpu-usage.ts';
import type { BenchmarkOptions, BenchmarkResult } from './report.ts';
import { scrape } from './scrape.ts';
import { startCallsServer } from './server-process.ts';
import { percentile } from './statistics.ts';
import { TimelineReader } from './timeline-reader.ts';

const callCount = 2;
const callersPerCall = 15;
const rounds = 3;
/** Time for callers to begin and code to be compiled, before anything is measured. */
const warmUpMs = 8000;
const parts = ['main', 'pipeline', 'inference', 'helpers', 'mediasoup'] as const;

interface Round {
  readonly cpuMs: Readonly<Record<(typeof parts)[number], number>>;
  readonly latenciesMs: readonly number[];
  readonly busy: number;
  readonly missed: number;
}

/** Measures each setting for `seconds` in all, in rounds in which each has its turn. */
export async function measureThreads({ seconds }: BenchmarkOptions): Promise<BenchmarkResult> {
  const runs = new Map<number, Round[]>([0, 1, 2].map((workers) => [workers, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const [workers, list] of runs) list.push(await run(workers, (seconds * 1000) / rounds));
  }
  const callerSeconds = callCount * callersPerCall * seconds;
  const rows = [...runs].map(([workers, list]) => {
    const cpuMs = parts.map((part): [string, number] => [part, list.reduce((sum, { cpuMs: of }) => sum + of[part], 0) / callerSeconds]);
    const latenciesMs = list.flatMap((one) => one.latenciesMs);
    return {
      'pipeline threads': String(workers),
      ...Object.fromEntries(cpuMs.map(([part, ms]) => [`${part} ms`, ms])),
      'total ms': cpuMs.reduce((sum, [, ms]) => sum + ms, 0),
      'main thread busy': list.reduce((sum, { busy }) => sum + busy, 0) / rounds,
      'p50 ms': percentile(latenciesMs, 0.5),
      'p99 ms': percentile(latenciesMs, 0.99),
      points: latenciesMs.length,
      'windows not scored': list.reduce((sum, { missed }) => sum + missed, 0),
    };
  });
  const about =
    `CPU time per caller and second of ${String(callCount * callersPerCall)} callers who speak as they like, by thread; the share of the ` +
    `time that the main thread was busy; and the latency of points as in \`latency\`. ${String(rounds)} rounds, ${String(seconds)} s each in all.`;
  return { name: 'threads', about, rows, failures: [] };
}

async function run(workers: number, forMs: number): Promise<Round> {
  const calls = Array.from({ length: callCount }, (_, index) => ({ callId: `call-${String(index)}`, callers: callersPerCall }));
  const server = await startCallsServer({ calls, settings: { log: { level: 'warn' }, pipeline: { workers } } });
  try {
    const { url: serverUrl, token, pid } = server;
    const readers = await Promise.all(calls.map(({ callId }) => TimelineReader.connect({ serverUrl, token, callId })));
    await delay(warmUpMs);
    const before = readCpuSeconds(pid);
    const metricsBefore = await scrape(serverUrl);
    const pointsBefore = readers.map(({ points }) => points.length);
    await delay(forMs);
    const after = readCpuSeconds(pid);
    const metrics = await scrape(serverUrl);
    const points = readers.flatMap((reader, index) => reader.points.slice(pointsBefore[index]));
    for (const reader of readers) reader.close();
    const missed = ['superseded', 'expired', 'failed'].reduce((sum, fate) => {
      const series = `undertone_windows_total{fate="${fate}"}`;
      return sum + metrics.get(series) - metricsBefore.get(series);
    }, 0);
    return {
      cpuMs: difference(after, before),
      latenciesMs: points.map(({ event, atUnixMs }) => atUnixMs - event.arrivedAtUnixMs),
      busy: metrics.get('nodejs_eventloop_utilization_ratio'),
      missed,
    };
  } finally {
    await server.close();
  }
}

function difference(after: CpuSeconds, before: CpuSeconds): Round['cpuMs'] {
  const of = (part: (typeof parts)[number]): number => (after[part] - before[part]) * 1000;
  return { main: of('main'), pipeline: of('pipeline'), inference: of('inference'), helpers: of('helpers'), mediasoup: of('mediasoup') };
}
