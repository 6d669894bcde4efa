// From the arrival of a window's last packet at a real server to its event at a subscriber in another process.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BenchmarkOptions, BenchmarkResult } from './report.ts';
import { scrape } from './scrape.ts';
import { startCallsServer, startCli, type CallsServerOptions, type ServerProcess } from './server-process.ts';
import { percentile } from './statistics.ts';
import { TimelineReader } from './timeline-reader.ts';

interface Scenario {
  readonly name: string;
  readonly callIds: readonly string[];
  /** Whether the product's requirement is meant for it. */
  readonly required: boolean;
  readonly start: () => Promise<ServerProcess>;
}

/** The product's requirement, with two callers. */
const maxP99Ms = 250;
const settings = { log: { level: 'warn' } };
const settleMs = 100;
const maxSettleMs = 10_000;

const scenarios: readonly Scenario[] = [
  { name: '2 callers in turns, no pause (npm start)', callIds: ['demo'], required: true, start: startDemoServer },
  inCalls('2 callers who both speak all the time', true, [
    { callId: 'first', callers: 1, talkRatio: 1 },
    { callId: 'second', callers: 1, talkRatio: 1 },
  ]),
  inCalls('20 callers who speak as they like', false, [{ callId: 'many', callers: 20 }]),
];

/** Measures each scenario for `seconds`, every point from the first one on. */
export async function measureLatency({ seconds }: BenchmarkOptions): Promise<BenchmarkResult> {
  const rows: Record<string, string | number>[] = [];
  const failures: string[] = [];
  for (const scenario of scenarios) {
    const { row, faults } = await follow(scenario, seconds);
    rows.push({ scenario: scenario.name, ...row });
    failures.push(...faults.map((fault) => `${scenario.name}: ${fault}`));
  }
  const about =
    `From the arrival of the packet that completes a window to the window's point at a WebSocket client in another process, ` +
    `${String(seconds)} s each, from the very first point on. Required with 2 callers: p99 < ${String(maxP99Ms)} ms.`;
  return { name: 'latency', about, rows, failures };
}

async function follow({ callIds, required, start }: Scenario, seconds: number) {
  const server = await start();
  try {
    const { url: serverUrl, token } = server;
    const readers = await Promise.all(callIds.map((callId) => TimelineReader.connect({ serverUrl, token, callId })));
    await delay(seconds * 1000);
    const received = (): number => readers.reduce((sum, reader) => sum + reader.points.length, 0);
    // Points are under way at any time; between two of them, all that were written have been received.
    const untilMs = performance.now() + maxSettleMs;
    let metrics = await scrape(serverUrl);
    const written = (): number => metrics.get('undertone_events_total{type="point"}');
    while (received() !== written() && performance.now() < untilMs) {
      await delay(settleMs);
      metrics = await scrape(serverUrl);
    }
    const points = received();
    const missing = written() - points;
    const latenciesMs = readers.flatMap((reader) => reader.points.map(({ event, atUnixMs }) => atUnixMs - event.arrivedAtUnixMs));
    const readerFaults = readers.reduce((sum, reader) => sum + reader.faults, 0);
    for (const reader of readers) reader.close();
    const windows = (fate: string): number => metrics.get(`undertone_windows_total{fate="${fate}"}`);
    const mean = (name: string): number => metrics.get(`${name}_sum`) / metrics.get(`${name}_count`);
    const p99Ms = percentile(latenciesMs, 0.99);
    const faults = [
      ...(points === 0 ? ['expected points, got none'] : []),
      ...(required && !(p99Ms < maxP99Ms) ? [`expected a p99 below ${String(maxP99Ms)} ms, got ${p99Ms.toFixed(1)} ms`] : []),
      ...(missing === 0 ? [] : [`expected every point that was written, got ${String(missing)} fewer`]),
      ...(readerFaults === 0 ? [] : [`expected seqs without a gap, got ${String(readerFaults)} faults`]),
    ];
    const row = {
      points,
      missing,
      'seq faults': readerFaults,
      'windows not scored': windows('superseded') + windows('expired') + windows('failed'),
      'p50 ms': percentile(latenciesMs, 0.5),
      'p95 ms': percentile(latenciesMs, 0.95),
      'p99 ms': p99Ms,
      'max ms': Math.max(...latenciesMs),
      'to engine, mean ms': mean('undertone_queue_ms'),
      'engine, mean ms': mean('undertone_inference_ms'),
    };
    return { row, faults };
  } finally {
    await server.close();
  }
}

function inCalls(name: string, required: boolean, calls: CallsServerOptions['calls']): Scenario {
  return { name, required, callIds: calls.map(({ callId }) => callId), start: () => startCallsServer({ calls, settings }) };
}

/** The product's own command line, with a demo call of two who never pause. */
async function startDemoServer(): Promise<ServerProcess> {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-bench-'));
  try {
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify({ ...settings, demo: { callId: 'demo', callers: 2, talkRatio: 1 } }));
    return await startCli(file);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
