// The figures of a load test: what a run's record comes to, and what is wrong with it.
import type { Machine } from '../bench/report.ts';
import { robustSlope } from '../bench/statistics.ts';
import type { Percentiles } from './latency-histogram.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { cpuMsBetween, droppedBetween, eventLoopDelayMs, lostBetween, type CpuParts, type DroppedWindows, type Reading } from './meters.ts';
import type { LoadOptions } from './options.ts';
import type { RunRecord, Sample } from './run.ts';
import { stretchesOf, type StretchFigures } from './stretches.ts';

/** The figures of one run. Times are ms; what a server does not tell is null. */
export interface RunFigures {
  readonly callers: number;
  /** Time that was measured. */
  readonly seconds: number;
  /** From the arrival of the packet that completes a window to its point at a subscriber, of all points of the measurement. */
  readonly eventLatencyMs: Nullable<Percentiles>;
  /** Points that came, of the whole run, each once. */
  readonly points: number;
  /** Points that what was sent must give, less those that the server said it would leave out (`hopMs`, waits); equal to `points` where nothing is missing. */
  readonly expectedPoints: number;
  readonly missingPoints: number;
  /** Points beyond what was sent can give: 0, or the tool or the server is wrong. */
  readonly excessPoints: number;
  /** Windows that were made and not scored: superseded, expired or failed. */
  readonly droppedWindows: number;
  /** The same, by why. */
  readonly droppedBy: DroppedWindows;
  readonly seqGaps: number;
  readonly duplicates: number;
  /** Events left out for a slow reader. */
  readonly skippedEvents: number;
  /** `gap` events: media that the server says it did not score. */
  readonly gapEvents: number;
  /** The hop of the model, and the widest that was in force; wider is beyond what the server can. */
  readonly hopMs: { readonly model: number; readonly widest: number };
  /** Points of the measurement at a wider hop than the model's. */
  readonly widenedPoints: number;
  /** Time that callers waited during the measurement, as the server tells, over all of them. */
  readonly waitedSeconds: number;
  readonly cpuMsPerCallerSecond: CpuParts | null;
  /** The same while the listeners talk and while they listen; null where they do not alternate. */
  readonly stretches: StretchFigures | null;
  /** What the callers added to the resident memory of the server and its media workers, by caller. */
  readonly rssMbPerCaller: number;
  readonly memoryMb: { readonly idle: number; readonly end: number; readonly mediaWorkersIdle: number; readonly mediaWorkersEnd: number };
  readonly eventLoopDelayMs: { readonly p50: number | null; readonly p99: number | null };
  /** `received` counts what reached the server's pipelines, where comfort noise of G.711 does not belong. */
  readonly packets: { readonly sent: number; readonly comfortNoise: number; readonly lostOnPurpose: number; readonly received: number };
  /** The load generator itself: how much later than due packets went out, and what it took. Not part of the server's figures. */
  readonly generator: { readonly lateMs: Nullable<Percentiles>; readonly cpuMsPerCallerSecond: number };
  readonly calls: number;
  readonly subscribers: number;
  /** Callers who left, each for a new one. */
  readonly replaced: number;
  readonly interrupted: boolean;
  /** What must not be: each makes the test fail. */
  readonly failures: readonly string[];
  /** What casts doubt on the figures. */
  readonly warnings: readonly string[];
}

/** What a load test leaves behind: the figures of its run, or of the greatest that passed, and how it came about. */
export interface LoadFigures extends RunFigures {
  readonly format: 'undertone-load/1';
  readonly machine: Machine;
  /** Its address, or `own`. */
  readonly server: string;
  readonly voices: string;
  readonly options: Omit<LoadOptions, 'token'>;
  /** Callers that the server carries; null where the limit was not looked for. */
  readonly limitCallers: number | null;
  /** Each step of the search, in the order of the callers. */
  readonly curve: readonly StepFigures[];
  /** What one more caller takes, by the steps that passed; null of fewer than three. */
  readonly growth: GrowthFigures | null;
}

/** Slopes of the lines through a search's steps (Theil and Sen's), by caller. */
export interface GrowthFigures {
  /** Of resident memory, server and media workers. */
  readonly rssMb: number;
  /** Of the CPU time a second. */
  readonly cpuMsPerSecond: number | null;
}

/** A step of the search for the limit. */
export interface StepFigures {
  readonly callers: number;
  readonly passed: boolean;
  /** Why it did not pass. */
  readonly reason: string | null;
  readonly figures: RunFigures | null;
}

type Nullable<T> = { readonly [K in keyof T]: T[K] | null };

/** The highest latency at which a server still carries its callers, by the 99th percentile. */
export const limitP99Ms = 500;
/** Packets that go out later than this make the generator the one who is slow. */
const lateP99Ms = 20;
const bytesPerMb = 1e6;
/** Windows that an utterance may have more where a wait cut it in two. */
const extraPerWait = 2;
/** Samples at the end that memory is taken from. */
const lastSamples = 5;

/** Makes the figures of a run. */
export function figuresOf(run: RunRecord): RunFigures {
  const { idle, from, to, last } = run.readings;
  const latency = new LatencyHistogram();
  latency.merge(run.heard.latency);
  const callerSeconds = run.callers * run.measuredSeconds;
  const cpuMs = cpuMsBetween(from, to);
  const end = memoryAtEnd(run.samples, to);
  const memoryMb = {
    idle: idle.serverBytes / bytesPerMb,
    end: end.serverBytes / bytesPerMb,
    mediaWorkersIdle: idle.mediaWorkersBytes / bytesPerMb,
    mediaWorkersEnd: end.mediaWorkersBytes / bytesPerMb,
  };
  const figures = {
    callers: run.callers,
    seconds: round(run.measuredSeconds),
    eventLatencyMs: nullable(latency.percentiles),
    ...countPoints(run),
    droppedWindows: droppedBetween(idle, last),
    droppedBy: lostBetween(idle, last),
    seqGaps: run.heard.seqGaps,
    duplicates: run.heard.duplicates,
    skippedEvents: run.heard.skipped,
    gapEvents: run.heard.gapEvents,
    hopMs: run.heard.hopMs,
    widenedPoints: run.heard.widenedPoints,
    waitedSeconds: round(run.heard.waitedMs / 1000),
    cpuMsPerCallerSecond: cpuMs === null || callerSeconds === 0 ? null : perCaller(cpuMs, callerSeconds),
    stretches: roundStretches(run.stretchSeconds === null ? null : stretchesOf(run.samples, run.stretchSeconds, run.warmUpSeconds)),
    rssMbPerCaller: round((memoryMb.end + memoryMb.mediaWorkersEnd - memoryMb.idle - memoryMb.mediaWorkersIdle) / run.callers),
    memoryMb: mapValues(memoryMb, round),
    eventLoopDelayMs: nullable({ p50: eventLoopDelayMs(from, to, 0.5), p99: eventLoopDelayMs(from, to, 0.99) }),
    packets: packetsOf(run),
    generator: {
      lateMs: nullable(run.senderLate.percentiles),
      cpuMsPerCallerSecond: callerSeconds === 0 ? 0 : round(run.senderCpuMs / callerSeconds),
    },
    calls: run.calls,
    subscribers: run.sockets,
    replaced: run.replaced,
    interrupted: run.interrupted,
  };
  return { ...figures, failures: failuresOf(figures, run), warnings: warningsOf(figures, run) };
}

/** Why a run is beyond a server's limit; null where it is not. */
export function beyondLimit({ failures, eventLatencyMs, points, hopMs, waitedSeconds }: RunFigures): string | null {
  if (failures[0] !== undefined) return failures[0];
  if (waitedSeconds > 0) return 'expected all callers to be measured all the time, got some who waited';
  if (hopMs.widest > hopMs.model) return `expected a point each ${hopMs.model} ms, got a hop of ${hopMs.widest} ms`;
  if (points === 0) return 'expected points, got none';
  const { p99 } = eventLatencyMs;
  return p99 !== null && p99 > limitP99Ms ? `expected a p99 of at most ${limitP99Ms} ms, got ${p99.toFixed(0)} ms` : null;
}

function packetsOf({ packets, readings }: RunRecord): RunFigures['packets'] {
  const { sent, comfortNoise, lost } = packets;
  return { sent, comfortNoise, lostOnPurpose: lost, received: readings.last.packets - readings.idle.packets };
}

/** What one more caller takes. Unlike a step's own figures it does not hold what any load takes. */
export function growthOf(curve: readonly StepFigures[]): GrowthFigures | null {
  const passed = curve.flatMap(({ passed, figures }) => (passed && figures !== null ? [figures] : []));
  if (passed.length < 3) return null;
  const along = (value: (figures: RunFigures) => number): number =>
    round(robustSlope(passed.map((one) => ({ x: one.callers, y: value(one) }))));
  const cpu = along(({ callers, cpuMsPerCallerSecond }) => callers * (cpuMsPerCallerSecond?.total ?? NaN));
  return { rssMb: along(({ memoryMb }) => memoryMb.end + memoryMb.mediaWorkersEnd), cpuMsPerSecond: Number.isNaN(cpu) ? null : cpu };
}

/** Callers that a core carries, by the CPU time of a run in which nothing is missing; null of any other. */
export function callersPerCore({ cpuMsPerCallerSecond, missingPoints }: RunFigures): number | null {
  return cpuMsPerCallerSecond === null || missingPoints > 0 ? null : Math.floor(1000 / cpuMsPerCallerSecond.total);
}

/**
 * Compares caller by caller, so that what one has too few does not hide behind another. Where a server's timers decide between
 * two counts, either is right, and so is what lies between. What the server said it would leave out is not missing.
 */
function countPoints({ heard, expected }: RunRecord): Pick<RunFigures, 'points' | 'expectedPoints' | 'missingPoints' | 'excessPoints'> {
  let [points, expectedPoints, missingPoints, excessPoints] = [0, 0, 0, 0];
  for (const { participantId, least, most } of expected) {
    const got = heard.points.get(participantId) ?? 0;
    const leftOut = heard.leftOut.get(participantId);
    const leastHere = Math.max(0, least - (leftOut?.windows ?? 0));
    const mostHere = most + (leftOut?.waits ?? 0) * extraPerWait;
    points += got;
    expectedPoints += Math.min(mostHere, Math.max(leastHere, got));
    missingPoints += Math.max(0, leastHere - got);
    excessPoints += Math.max(0, got - mostHere);
  }
  return { points, expectedPoints, missingPoints, excessPoints };
}

function failuresOf(figures: Omit<RunFigures, 'failures' | 'warnings'>, run: RunRecord): string[] {
  const { missingPoints, excessPoints, expectedPoints, points, seqGaps, duplicates } = figures;
  return [
    ...(missingPoints > 0 ? [`expected ${expectedPoints} points, got ${missingPoints} too few`] : []),
    ...(excessPoints > 0 ? [`expected ${points - excessPoints} points, got ${excessPoints} too many`] : []),
    ...(seqGaps > 0 ? [`expected seqs without a gap, got ${seqGaps} missing`] : []),
    ...(duplicates > 0 ? [`expected each event once, got ${duplicates} again`] : []),
    ...run.faults,
    ...run.heard.faults,
  ];
}

function warningsOf(figures: Omit<RunFigures, 'failures' | 'warnings'>, run: RunRecord): string[] {
  const { packets, generator } = figures;
  const late = generator.lateMs.p99;
  const unheard = packets.sent - packets.comfortNoise - packets.received;
  return [
    ...(late !== null && late > lateP99Ms
      ? [`the load generator was late: 1 % of its packets by ${late.toFixed(0)} ms or more, so the machine is too small for both`]
      : []),
    ...(run.ownServer && unheard > 0 ? [`${unheard} of ${packets.sent} packets that were sent did not reach the server's pipelines`] : []),
    ...(figures.cpuMsPerCallerSecond === null && figures.seconds > 0
      ? ['the server does not tell CPU time by part: it runs on no Linux, or is older']
      : []),
    ...(figures.hopMs.widest > figures.hopMs.model || figures.waitedSeconds > 0 ? [overloadNote(figures)] : []),
    ...(run.interrupted ? ['the run was interrupted: the figures are of what there is'] : []),
  ];
}

function overloadNote({ hopMs, widenedPoints, waitedSeconds }: Omit<RunFigures, 'failures' | 'warnings'>): string {
  const waited = waitedSeconds > 0 ? `, and callers waited, ${waitedSeconds.toFixed(0)} s in all` : '';
  return `this was more than the server can do at ${hopMs.model} ms: ${widenedPoints} points have a hop of up to ${hopMs.widest} ms${waited}`;
}

function memoryAtEnd(samples: readonly Sample[], to: Reading): Pick<Sample, 'serverBytes' | 'mediaWorkersBytes'> {
  const last = samples.slice(-lastSamples);
  if (last.length === 0) return to;
  const mean = (of: (sample: Sample) => number): number => last.reduce((sum, sample) => sum + of(sample), 0) / last.length;
  return { serverBytes: mean(({ serverBytes }) => serverBytes), mediaWorkersBytes: mean(({ mediaWorkersBytes }) => mediaWorkersBytes) };
}

function perCaller(cpuMs: CpuParts, callerSeconds: number): CpuParts {
  return mapValues(cpuMs, (ms) => round(ms / callerSeconds));
}

function roundStretches(figures: StretchFigures | null): StretchFigures | null {
  if (figures === null) return null;
  const { pairs, talking, listening, ratio, pairRatios } = figures;
  return {
    pairs,
    talking: mapValues(talking, round),
    listening: mapValues(listening, round),
    ratio: round(ratio),
    pairRatios: pairRatios.map(round),
  };
}

function mapValues<T extends object>(values: T, map: (value: number) => number): T {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, map(value as number)])) as T;
}

function nullable<T extends object>(values: T): Nullable<T> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, Number.isNaN(value) ? null : round(value as number)]),
  ) as Nullable<T>;
}

/** To a thousandth: nothing here is known better. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
