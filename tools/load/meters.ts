// What a server's metrics say of its load, and of the time between two readings.
import type { Scrape } from '../bench/scrape.ts';

/** CPU time by part, s or ms. `other` is V8's and libuv's helpers; `total` is all of them. */
export interface CpuParts {
  readonly main: number;
  readonly pipeline: number;
  readonly inference: number;
  readonly mediasoup: number;
  readonly other: number;
  readonly total: number;
}

/** One reading of a server. */
export interface Reading {
  /** Wall time, ms since the Unix epoch. */
  readonly atUnixMs: number;
  /** Since the server's start; null where the server does not tell (it runs on no Linux). */
  readonly cpuSeconds: CpuParts | null;
  readonly serverBytes: number;
  readonly mediaWorkersBytes: number;
  readonly windows: Readonly<Record<WindowFate, number>>;
  /** Packets that reached the pipelines. */
  readonly packets: number;
  readonly participants: number;
  readonly taps: number;
  /** Cumulative counts of the event loop's delay by upper bound, ms. */
  readonly eventLoop: readonly (readonly [upToMs: number, count: number])[];
}

/** What became of a window. */
export type WindowFate = (typeof windowFates)[number];

const lostFates = ['superseded', 'expired', 'failed'] as const;
const windowFates = ['scored', ...lostFates, 'cancelled'] as const;
/** The parts that `total` is the sum of. */
export const partNames = ['main', 'pipeline', 'inference', 'mediasoup', 'other'] as const;

/** Parts that are made of others, one by one. */
export function mapParts(parts: CpuParts, map: (value: number, part: keyof CpuParts) => number): CpuParts {
  const of = (part: keyof CpuParts): number => map(parts[part], part);
  return {
    main: of('main'),
    pipeline: of('pipeline'),
    inference: of('inference'),
    mediasoup: of('mediasoup'),
    other: of('other'),
    total: of('total'),
  };
}

/** Takes what a load test follows out of a server's metrics. */
export function readingOf(scrape: Scrape, atUnixMs: number): Reading {
  const fates = windowFates.map((fate) => [fate, scrape.get(`undertone_windows_total{fate="${fate}"}`)]);
  return {
    atUnixMs,
    cpuSeconds: cpuOf(scrape),
    serverBytes: scrape.get('process_resident_memory_bytes'),
    mediaWorkersBytes: scrape.get('undertone_media_workers_resident_bytes'),
    windows: Object.fromEntries(fates) as Record<WindowFate, number>,
    packets: scrape.get('undertone_rtp_packets_total{fate="received"}'),
    participants: scrape.get('undertone_participants'),
    taps: scrape.get('undertone_taps'),
    eventLoop: scrape.buckets('undertone_event_loop_delay_ms'),
  };
}

/** CPU time between two readings, ms; null where the server does not tell. */
export function cpuMsBetween(before: Reading, after: Reading): CpuParts | null {
  if (before.cpuSeconds === null || after.cpuSeconds === null) return null;
  const [from, to] = [before.cpuSeconds, after.cpuSeconds];
  const part = (name: keyof CpuParts): number => 1000 * (to[name] - from[name]);
  const [main, pipeline, inference, mediasoup, other] = partNames.map(part);
  return {
    main: main ?? 0,
    pipeline: pipeline ?? 0,
    inference: inference ?? 0,
    mediasoup: mediasoup ?? 0,
    other: other ?? 0,
    total: part('total'),
  };
}

/** Windows that were made and not scored, by why. */
export type DroppedWindows = Readonly<Record<(typeof lostFates)[number], number>>;

/** Windows that were made and not scored between two readings, by why. */
export function lostBetween(before: Reading, after: Reading): DroppedWindows {
  const of = (fate: keyof DroppedWindows): number => after.windows[fate] - before.windows[fate];
  return { superseded: of('superseded'), expired: of('expired'), failed: of('failed') };
}

/** Windows that were made and not scored, between two readings. */
export function droppedBetween(before: Reading, after: Reading): number {
  const { superseded, expired, failed } = lostBetween(before, after);
  return superseded + expired + failed;
}

/** The delay of the event loop that a share of what came between two readings did not exceed, ms, between the bounds in a straight line; NaN where the server does not tell. */
export function eventLoopDelayMs(before: Reading, after: Reading, share: number): number {
  const counts = after.eventLoop.map(([upToMs, count], i) => [upToMs, count - (before.eventLoop[i]?.[1] ?? 0)] as const);
  const wanted = share * (counts.at(-1)?.[1] ?? 0);
  if (!(wanted > 0)) return NaN;
  let [belowMs, below] = [0, 0];
  for (const [upToMs, count] of counts) {
    if (count >= wanted) return upToMs === Infinity ? belowMs : belowMs + ((upToMs - belowMs) * (wanted - below)) / (count - below);
    [belowMs, below] = [upToMs, count];
  }
  return belowMs;
}

function cpuOf(scrape: Scrape): CpuParts | null {
  const series = (part: string): string => `undertone_cpu_seconds_total{part="${part}"}`;
  if (!scrape.has(series('main'))) return null;
  const [main = 0, pipeline = 0, inference = 0, mediasoup = 0, other = 0] = partNames.map((part) => scrape.get(series(part)));
  return { main, pipeline, inference, mediasoup, other, total: main + pipeline + inference + mediasoup + other };
}
