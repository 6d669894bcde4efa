// Runs a server with simulated callers for a while and records all that can be told of it from outside.
import { setTimeout as delay } from 'node:timers/promises';
import type { CallerTotals, Said } from '../../tools/callers/types.ts';
import { readCpuSeconds, type CpuSeconds } from '../../src/cpu-usage.ts';
import { scrape, type Scrape } from '../../tools/bench/scrape.ts';
import { startCallsServer } from '../../tools/bench/server-process.ts';
import { TimelineReader, type Received } from '../../tools/bench/timeline-reader.ts';

/** Memory of the server's process at one time. */
export interface MemorySample {
  /** Since the callers began, s. */
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  readonly heapTotalBytes: number;
}

/** What was recorded. */
export interface Recording {
  readonly said: readonly Said[];
  readonly totals: readonly CallerTotals[];
  readonly received: readonly Received[];
  readonly readerFaults: number;
  readonly callStartedAtUnixMs: number;
  readonly memory: readonly MemorySample[];
  /** Heap of the server that survives a full collection, after the warm-up and at the end, bytes. */
  readonly liveHeapBytes: { readonly warm: number; readonly end: number };
  /** Between the two, s. */
  readonly liveHeapSeconds: number;
  /** CPU time that the whole run took, s. */
  readonly cpuSeconds: CpuSeconds;
  readonly metrics: Scrape;
}

/** How long to record, and whom. */
export interface RecordingOptions {
  readonly callers: number;
  readonly seconds: number;
  /** Time after which memory may grow no more, s. */
  readonly warmUpSeconds: number;
}

const callId = 'soak';
const sampleIntervalSeconds = 5;
/** Few enough that the timeline is full, and grows no more, within the first minute. */
const maxEvents = 1000;

/** Records a run. Rejects if the server cannot start or ends by itself. */
export async function record({ callers, seconds, warmUpSeconds }: RecordingOptions): Promise<Recording> {
  const said: Said[] = [];
  const settings = { timeline: { maxEvents }, log: { level: 'warn' } };
  const server = await startCallsServer({ calls: [{ callId, callers }], settings }, (_callId, one) => said.push(one));
  try {
    const reader = await TimelineReader.connect({ serverUrl: server.url, token: server.token, callId });
    const memory: MemorySample[] = [];
    const startMs = performance.now();
    const elapsedSeconds = (): number => (performance.now() - startMs) / 1000;
    const cpuBefore = readCpuSeconds(server.pid);
    let warm: { readonly bytes: number; readonly atSeconds: number } | undefined;
    while (elapsedSeconds() < seconds) {
      await delay(sampleIntervalSeconds * 1000);
      const metrics = await scrape(server.url);
      memory.push({
        atSeconds: elapsedSeconds(),
        rssBytes: metrics.get('process_resident_memory_bytes'),
        heapUsedBytes: metrics.get('nodejs_heap_size_used_bytes'),
        heapTotalBytes: metrics.get('nodejs_heap_size_total_bytes'),
      });
      if (warm === undefined && elapsedSeconds() >= warmUpSeconds) {
        warm = { bytes: await server.collect(), atSeconds: elapsedSeconds() };
      }
    }
    const cpuAfter = readCpuSeconds(server.pid);
    const end = { bytes: await server.collect(), atSeconds: elapsedSeconds() };
    const totals = await server.hangUp();
    await quiet(server.url, reader);
    const metrics = await scrape(server.url);
    reader.close();
    return {
      said,
      totals,
      received: reader.received,
      readerFaults: reader.faults,
      callStartedAtUnixMs: reader.callStartedAtUnixMs,
      memory,
      liveHeapBytes: { warm: (warm ?? end).bytes, end: end.bytes },
      liveHeapSeconds: end.atSeconds - (warm ?? end).atSeconds,
      cpuSeconds: difference(cpuAfter, cpuBefore),
      metrics,
    };
  } finally {
    await server.close();
  }
}

/** Waits until all that the server has written has been read, and it writes no more. */
async function quiet(serverUrl: string, reader: TimelineReader): Promise<void> {
  for (let before = -1; ;) {
    const written = (await scrape(serverUrl)).sum('undertone_events_total');
    if (written === before && reader.received.length === written) return;
    before = written;
    await delay(1000);
  }
}

function difference(after: CpuSeconds, before: CpuSeconds): CpuSeconds {
  return {
    main: after.main - before.main,
    pipeline: after.pipeline - before.pipeline,
    inference: after.inference - before.inference,
    callers: after.callers - before.callers,
    helpers: after.helpers - before.helpers,
    mediasoup: after.mediasoup - before.mediasoup,
  };
}
