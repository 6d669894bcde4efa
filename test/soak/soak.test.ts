// Twenty simulated callers for ten minutes: the timeline keeps to their clocks, says all it must, and memory stays level.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { frontEndSpec, loadManifest } from '../../src/models/manifest.ts';
import type { FrontEndSpec } from '../../src/pipeline/types.ts';
import { median, percentile, robustSlope } from '../../tools/bench/statistics.ts';
import { demoCast, readDemoManifest } from '../../tools/callers/demo.ts';
import { callerStartMs, measureDrift, type Drift } from './drift.ts';
import { record, type Recording } from './recording.ts';
import { replay, type Replay } from './replay.ts';

/** What one caller's events say, next to what its packets must have given. */
interface Comparison {
  readonly participantId: string;
  readonly expected: Replay;
  /** From the first packet's sending to where the timeline puts it, ms. */
  readonly originErrorMs: number;
  /** Of all events, least and greatest difference from where they must lie, ms. */
  readonly spreadMs: number;
  readonly speechEvents: number;
  readonly points: number;
  /** Points that lie where no window ends. */
  readonly strayPoints: number;
}

const seconds = Number(process.env['SOAK_SECONDS'] ?? 600);
const callers = Number(process.env['SOAK_CALLERS'] ?? 20);
/** The minute, or a third of a short run. */
const warmUpSeconds = Math.min(60, seconds / 3);
const frameMs = 25;
const maxGrowthRatio = 0.05;
const maxStepRatio = 0.15;
/** Packets of a caller that may come before its tap is open. */
const maxUnheardPackets = 10;
const cast = demoCast(readDemoManifest(), callers);

let run: Recording;
let drift: Drift;
let comparisons: Comparison[];

beforeAll(
  async () => {
    run = await record({ callers, seconds, warmUpSeconds });
    const { manifest } = await loadManifest(join(import.meta.dirname, '../../assets/models/emonet'));
    comparisons = [];
    for (const index of cast.keys()) comparisons.push(await compare(index, frontEndSpec(manifest)));
    const events = run.received.map(({ event }) => event);
    drift = measureDrift(run.said, events, run.callStartedAtUnixMs, seconds);
    report();
  },
  (seconds + 300) * 1000,
);

describe(`${String(callers)} callers for ${String(seconds)} s`, () => {
  it('loses no packet and no event', () => {
    for (const fate of ['lost', 'late', 'duplicate', 'malformed', 'ignored', 'overflow']) {
      expect([fate, run.metrics.get(`undertone_rtp_packets_total{fate="${fate}"}`)]).toEqual([fate, 0]);
    }
    expect(run.metrics.get('undertone_decode_errors_total')).toBe(0);
    expect(run.metrics.get('undertone_concealed_samples_total')).toBe(0);
    const sent = run.totals.reduce((sum, { packets }) => sum + packets, 0);
    const heard = run.metrics.get('undertone_rtp_packets_total{fate="played"}');
    expect(sent - heard).toBeGreaterThanOrEqual(0);
    expect(sent - heard).toBeLessThanOrEqual(callers * maxUnheardPackets);
    expect(run.readerFaults).toBe(0);
    expect(run.metrics.sum('undertone_events_dropped_total')).toBe(0);
  });

  it('hears what the callers said, and puts each event where their packets had it', () => {
    for (const { participantId, expected, speechEvents, strayPoints, spreadMs } of comparisons) {
      const own = run.said.filter((said) => said.participantId === participantId);
      expect(expected.said).toEqual(own.map(({ clip, startSample, durationSamples }) => ({ clip, startSample, durationSamples })));
      expect([participantId, speechEvents, strayPoints]).toEqual([participantId, expected.speech.length, 0]);
      // Events are told in whole milliseconds.
      expect(spreadMs).toBeLessThanOrEqual(1);
    }
  });

  it('scores every window, or says which it did not', () => {
    const fates = (fate: string): number => run.metrics.get(`undertone_windows_total{fate="${fate}"}`);
    const expected = total(({ expected: { windowEnds } }) => windowEnds.length);
    const idle = total(({ expected: { idleWindows } }) => idleWindows);
    const points = total((comparison) => comparison.points);
    const unscored = fates('superseded') + fates('expired');
    expect(fates('scored') + unscored).toBe(expected + idle);
    expect([fates('failed'), fates('cancelled')]).toEqual([0, 0]);
    expect(points).toBeLessThanOrEqual(expected);
    expect(points + unscored).toBeGreaterThanOrEqual(expected);
    expect(points).toBeGreaterThan(0.98 * expected);
  });

  it('does not drift from the callers’ clocks', () => {
    expect(drift.unheard).toBeLessThanOrEqual(0.01 * run.said.length);
    expect(Math.abs(drift.trendMs)).toBeLessThan(frameMs);
    expect(drift.shiftsMs.length).toBeGreaterThan(callers);
    expect(Math.abs(percentile(drift.shiftsMs, 0.5))).toBeLessThan(frameMs);
    // Of a clip that begins softly, the detector hears now one onset and now another, as its noise floor has it.
    expect(percentile(drift.shiftsMs.map(Math.abs), 0.8)).toBeLessThan(frameMs);
    for (const { participantId, originErrorMs } of comparisons) {
      expect(Math.abs(originErrorMs), `where ${participantId} begins`).toBeLessThan(frameMs);
    }
  });

  it('does not grow after the first minute', () => {
    const { warm, end } = run.liveHeapBytes;
    expect(end - warm).toBeLessThan(maxGrowthRatio * warm);
    expect(growthRatio('rssBytes')).toBeLessThan(maxGrowthRatio);
    // A compiler or an allocator may take a step and stay there: that is no growth, if it stays small.
    expect(stepRatio()).toBeLessThan(maxStepRatio);
  });
});

function total(count: (comparison: Comparison) => number): number {
  return comparisons.reduce((sum, comparison) => sum + count(comparison), 0);
}

/** What the robust line through the samples grows by from the end of the warm-up to the end of the run, as a share of their median. */
function growthRatio(key: 'rssBytes' | 'heapUsedBytes'): number {
  const samples = run.memory.flatMap((sample) => (sample.atSeconds >= warmUpSeconds ? [{ x: sample.atSeconds, y: sample[key] }] : []));
  return (robustSlope(samples) * (seconds - warmUpSeconds)) / median(samples.map(({ y }) => y));
}

/** How much more memory the end of the run takes than the end of the warm-up, as a share of that. */
function stepRatio(): number {
  const after = run.memory.filter(({ atSeconds }) => atSeconds >= warmUpSeconds).map(({ rssBytes }) => rssBytes);
  const few = Math.ceil(after.length / 10);
  return median(after.slice(-few)) / median(after.slice(0, few)) - 1;
}

async function compare(index: number, frontEnd: FrontEndSpec): Promise<Comparison> {
  const { participantId, clips } = cast[index]!;
  const spec = { participantId, remote: { ip: '', port: 0 }, ssrc: 1, payloadType: 100, clips, seed: 1 + index };
  const { packets } = run.totals.find((totals) => totals.participantId === participantId)!;
  const own = run.received.flatMap(({ event }) => ('participantId' in event && event.participantId === participantId ? [event] : []));
  const speech = own.flatMap((event) => (event.type === 'speech' ? [event.atMs] : []));
  const points = own.flatMap((event) => (event.type === 'point' ? [event.atMs] : []));
  const startMs = callerStartMs(
    run.said.filter((said) => said.participantId === participantId),
    run.callStartedAtUnixMs,
  );
  for (let unheard = 0; ; unheard += 1) {
    const expected = await replay(spec, packets, unheard, frontEnd);
    const offsetMs = (speech[0] ?? NaN) - (expected.speech[0]?.atSample ?? NaN) / 16;
    const ends = new Map(expected.windowEnds.map((endSample) => [Math.round(offsetMs + endSample / 16), endSample]));
    const isNear = (atMs: number): boolean => ends.has(atMs) || ends.has(atMs - 1) || ends.has(atMs + 1);
    const strayPoints = points.filter((atMs) => !isNear(atMs)).length;
    // Which of the first packets the tap heard decides where windows end, and nothing else tells it.
    if (strayPoints > 0 && unheard < maxUnheardPackets) continue;
    const offsetsMs = speech.map((atMs, i) => atMs - (expected.speech[i]?.atSample ?? NaN) / 16);
    const spreadMs = Math.max(...offsetsMs) - Math.min(...offsetsMs);
    const counts = { speechEvents: speech.length, points: points.length, strayPoints };
    return { participantId, expected, originErrorMs: offsetMs - startMs, spreadMs, ...counts };
  }
}

/** Prints the figures of the run, and writes them to the file that `SOAK_REPORT` names. */
function report(): void {
  const latenciesMs = run.received.flatMap(({ event, atUnixMs }) => (event.type === 'point' ? [atUnixMs - event.arrivedAtUnixMs] : []));
  const { mediasoup, ...threads } = run.cpuSeconds;
  const perCaller = (cpuSeconds: number): number => (1000 * cpuSeconds) / (callers * seconds);
  const windowFates = ['scored', 'superseded', 'expired', 'failed', 'cancelled'];
  const figures = {
    callers,
    seconds,
    packetsSent: run.totals.reduce((sum, { packets }) => sum + packets, 0),
    packetsPlayed: run.metrics.get('undertone_rtp_packets_total{fate="played"}'),
    pointsExpected: total(({ expected }) => expected.windowEnds.length),
    points: total(({ points }) => points),
    idleWindows: total(({ expected }) => expected.idleWindows),
    windows: Object.fromEntries(windowFates.map((fate) => [fate, run.metrics.get(`undertone_windows_total{fate="${fate}"}`)])),
    events: run.received.length,
    latencyMs: {
      p50: percentile(latenciesMs, 0.5),
      p95: percentile(latenciesMs, 0.95),
      p99: percentile(latenciesMs, 0.99),
      max: Math.max(...latenciesMs),
    },
    drift: {
      plays: drift.plays,
      unheard: drift.unheard,
      trendMs: drift.trendMs,
      pairs: drift.shiftsMs.length,
      medianShiftMs: percentile(drift.shiftsMs, 0.5),
      p80AbsoluteShiftMs: percentile(drift.shiftsMs.map(Math.abs), 0.8),
      maxAbsoluteShiftMs: Math.max(...drift.shiftsMs.map(Math.abs)),
    },
    spreadMs: Math.max(...comparisons.map(({ spreadMs }) => spreadMs)),
    originErrorMs: { min: Math.min(...comparisons.map((c) => c.originErrorMs)), max: Math.max(...comparisons.map((c) => c.originErrorMs)) },
    memory: {
      liveHeapWarmBytes: run.liveHeapBytes.warm,
      liveHeapEndBytes: run.liveHeapBytes.end,
      rssGrowthRatio: growthRatio('rssBytes'),
      rssStepRatio: stepRatio(),
      heapUsedGrowthRatio: growthRatio('heapUsedBytes'),
      rssFirstMinuteBytes: run.memory.find(({ atSeconds }) => atSeconds >= warmUpSeconds)?.rssBytes,
      rssEndBytes: run.memory.at(-1)?.rssBytes,
    },
    cpuMsPerCallerSecond: Object.fromEntries(
      Object.entries({ ...threads, mediasoup }).map(([part, cpuSeconds]) => [part, Math.round(100 * perCaller(cpuSeconds)) / 100]),
    ),
  };
  process.stdout.write(`${JSON.stringify(figures, null, 2)}\n`);
  const file = process.env['SOAK_REPORT'];
  if (file !== undefined) writeFileSync(file, JSON.stringify({ ...figures, samples: run.memory }, null, 2));
}
