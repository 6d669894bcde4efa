// One run of a load test: so many callers for so long against a server, and all that can be told of it.
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { messageOf } from '../../src/errors.ts';
import { loadManifest } from '../../src/models/manifest.ts';
import { Callers } from './callers.ts';
import type { Cast } from './caller-stream.ts';
import type { Expected } from './expectation.ts';
import { workOutExpected } from './expectations.ts';
import type { LatencyHistogram, Percentiles } from './latency-histogram.ts';
import { readingOf, type CpuParts, type Reading } from './meters.ts';
import type { LoadOptions } from './options.ts';
import { Recorder } from './recorder.ts';
import { seatCallers } from './seats.ts';
import { Senders } from './senders.ts';
import { dealCalls, Subscribers, type HeardTotals } from './subscribers.ts';
import { Target } from './target.ts';
import type { Voices } from './voices.ts';

/** A second of a run. */
export interface Sample {
  /** Since the callers began, s. */
  readonly atSeconds: number;
  readonly callers: number;
  /** Events that came in this second. */
  readonly events: number;
  /** Of the points that came in this second. */
  readonly latencyMs: Percentiles;
  /** The widest hop that a point of this second says; null where there was none. */
  readonly hopMs: number | null;
  /** Callers who waited, on average over this second, as far as the server told of it. */
  readonly waiting: number;
  /** CPU time a second, ms; null where the server does not tell. */
  readonly cpuMs: CpuParts | null;
  readonly serverBytes: number;
  readonly mediaWorkersBytes: number;
  /** Windows that were not scored, so far. */
  readonly droppedWindows: number;
  /** How much later than due the packets of this second went out. */
  readonly senderLateMs: Percentiles;
}

/** Where a run stands. */
export type Progress =
  | { readonly phase: 'opening'; readonly done: number; readonly of: number }
  | { readonly phase: 'running'; readonly sample: Sample; readonly leftSeconds: number; readonly measuring: boolean }
  | { readonly phase: 'ending' }
  | { readonly phase: 'expecting'; readonly share: number };

/** What a run is given. */
export interface RunOptions {
  readonly options: LoadOptions;
  readonly callers: number;
  readonly voices: Voices;
  readonly onProgress: (progress: Progress) => void;
  /** Ends the run early, with what there is. */
  readonly signal: AbortSignal;
}

/** All that a run told. */
export interface RunRecord {
  readonly callers: number;
  readonly calls: number;
  readonly sockets: number;
  readonly ownServer: boolean;
  readonly url: string;
  /** How long the listeners talk and listen in turns, s; null where they do not. */
  readonly stretchSeconds: number | null;
  /** From the callers' first packets to the measurement, s. */
  readonly warmUpSeconds: number;
  /** Time that was measured, s; shorter than asked for where the run was interrupted. */
  readonly measuredSeconds: number;
  readonly interrupted: boolean;
  readonly samples: readonly Sample[];
  /** Before anybody called, at the measurement's beginning and end, and when everybody had left. */
  readonly readings: { readonly idle: Reading; readonly from: Reading; readonly to: Reading; readonly last: Reading };
  readonly heard: HeardTotals;
  readonly expected: readonly Expected[];
  readonly packets: { readonly sent: number; readonly lost: number; readonly comfortNoise: number };
  readonly senderLate: LatencyHistogram;
  /** CPU time of the sending thread while it was measured, ms. */
  readonly senderCpuMs: number;
  readonly replaced: number;
  /** What went wrong without ending the run. */
  readonly faults: readonly string[];
}

const tapsTimeoutMs = 10_000;
const tapsIntervalMs = 100;
/** From the last tap's opening to its first packet. */
const settleMs = 300;
/** From the order to send to the first packet: the streams of all callers are made meanwhile. */
const leadMs = 200;
/** From the end of the calls to the last event at the subscribers. */
const endTimeoutMs = 10_000;
const sampleMs = 1000;

/** Runs once, against a server that it starts and ends where none runs. Rejects where the server refuses or goes away. */
export async function runOnce(run: RunOptions): Promise<RunRecord> {
  const target = await Target.open(run.options);
  try {
    return await runAgainst(target, run);
  } finally {
    await target.close();
  }
}

async function runAgainst(target: Target, { options, callers: count, voices, onProgress, signal }: RunOptions): Promise<RunRecord> {
  const { codec, seed, talkRatio, listenerShare, stretchSeconds, mute, lossPercent, jitterMs, callSize, audioLevel } = options;
  const read = async (): Promise<Reading> => readingOf(await target.scrape(), systemClock.nowMs());
  const seatsByCall = seatCallers(count, callSize);
  const cast: Cast = { voices, talkRatio, listenerShare, stretchSeconds, mute, lossPercent, jitterMs, audioLevel, seed, seatsByCall };
  const callers = new Callers({ target, codec, audioLevel, seatsByCall, runId: randomBytes(4).toString('hex'), seed });
  const sockets = dealCalls(callers.callIds, options.subscribers ?? seatsByCall.length);
  const { manifest } = await loadManifest(target.modelDir);
  const hopMs = (manifest.hopFrames * manifest.hopSamples * 1000) / manifest.sampleRateHz;
  const idle = await read();
  const open: { senders?: Senders; subscribers?: Subscribers } = {};
  try {
    onProgress({ phase: 'opening', done: 0, of: count });
    await callers.open((done) => {
      onProgress({ phase: 'opening', done, of: count });
    }, signal);
    if (signal.aborted) throw new Error('Expected time for the callers to join, got an interruption');
    const recorder = new Recorder();
    open.subscribers = await Subscribers.open({ serverUrl: target.url, token: target.token, sockets, hopMs }, (report) => {
      recorder.heard(report);
    });
    await untilTapped(read, idle.taps + count);
    open.senders = await Senders.open({ cast, ipv6: callers.ipv6 }, (report) => {
      recorder.sent(report.late, report.cpuMs);
    });
    const originUnixMs = systemClock.nowMs() + leadMs;
    callers.begin(open.senders, originUnixMs);
    const measured = await measure({ options, callers, read, recorder, subscribers: open.subscribers, originUnixMs, onProgress, signal });
    onProgress({ phase: 'ending' });
    await callers.end();
    const ended = await Promise.race([open.subscribers.ended.then(() => true), delay(endTimeoutMs, false, { ref: false })]);
    const last = await read();
    const heard = await open.subscribers.close();
    delete open.subscribers;
    onProgress({ phase: 'expecting', share: 0 });
    const expected = await workOutExpected(cast, callers.gone, target.modelDir, (share) => {
      onProgress({ phase: 'expecting', share });
    });
    return {
      callers: count,
      calls: seatsByCall.length,
      sockets: sockets.length,
      ownServer: target.own,
      url: target.url,
      stretchSeconds,
      warmUpSeconds: (measured.from.atUnixMs - originUnixMs) / 1000,
      measuredSeconds: (measured.to.atUnixMs - measured.from.atUnixMs) / 1000,
      interrupted: signal.aborted,
      samples: recorder.samples,
      readings: { idle, from: measured.from, to: measured.to, last },
      heard,
      expected,
      packets: { sent: callers.gone.reduce((sum, { packets }) => sum + packets, 0), ...callers.packets },
      senderLate: recorder.late,
      senderCpuMs: recorder.senderCpuMs,
      replaced: measured.replaced,
      faults: [...measured.faults, ...(ended ? [] : ['the calls did not end in time at the subscribers'])],
    };
  } catch (error) {
    // A server of one's own goes away with them; one that ran before is left as it was.
    await callers.end().catch(() => undefined);
    await open.subscribers?.close().catch(() => undefined);
    throw error;
  } finally {
    await open.senders?.close();
  }
}

interface Measuring extends Pick<RunOptions, 'options' | 'onProgress' | 'signal'> {
  readonly callers: Callers;
  readonly read: () => Promise<Reading>;
  readonly recorder: Recorder;
  readonly subscribers: Subscribers;
  readonly originUnixMs: number;
}

/** The warm-up and the measurement: samples each second, and callers who come and go. */
async function measure({ options, callers, read, recorder, subscribers, originUnixMs, onProgress, signal }: Measuring) {
  const { warmUpSeconds, seconds, churnPerMinute } = options;
  const started = await read();
  const churn = new Churn(callers, churnPerMinute, originUnixMs);
  let from = started;
  let before = started;
  const sampled = (now: Reading): void => {
    const atSeconds = (now.atUnixMs - originUnixMs) / 1000;
    const sample = recorder.sample({ atSeconds, callers: callers.active }, started, before, now);
    before = now;
    const leftSeconds = Math.max(0, warmUpSeconds + seconds - atSeconds);
    onProgress({ phase: 'running', sample, leftSeconds, measuring: recorder.measuring });
    churn.due();
  };
  const pass = async (untilSeconds: number): Promise<void> => {
    for (let next = Math.floor((systemClock.nowMs() - originUnixMs) / sampleMs) + 1; !signal.aborted; next += 1) {
      const untilMs = originUnixMs + Math.min(next * sampleMs, untilSeconds * 1000);
      await delay(Math.max(0, untilMs - systemClock.nowMs()), undefined, { signal }).catch(() => undefined);
      sampled(await read());
      if (systemClock.nowMs() >= originUnixMs + untilSeconds * 1000) return;
    }
  };
  if (warmUpSeconds > 0) await pass(warmUpSeconds);
  from = before;
  recorder.measuring = true;
  subscribers.measure(from.atUnixMs, Infinity);
  await pass(warmUpSeconds + seconds);
  subscribers.measure(from.atUnixMs, before.atUnixMs);
  recorder.measuring = false;
  await churn.stop();
  return { from, to: before, replaced: churn.replaced, faults: churn.faults };
}

/** Replaces callers at even times. */
class Churn {
  replaced = 0;
  readonly faults: string[] = [];
  readonly #callers: Callers;
  readonly #intervalMs: number;
  readonly #underWay = new Set<Promise<void>>();
  #nextUnixMs: number;

  constructor(callers: Callers, perMinute: number, originUnixMs: number) {
    this.#callers = callers;
    this.#intervalMs = 60_000 / perMinute;
    this.#nextUnixMs = originUnixMs + this.#intervalMs;
  }

  /** Replaces those whose time has come. */
  due(): void {
    for (; this.#nextUnixMs <= systemClock.nowMs(); this.#nextUnixMs += this.#intervalMs) {
      const replacing = this.#callers.replaceOne().then(
        () => {
          this.replaced += 1;
        },
        (error: unknown) => {
          this.faults.push(messageOf(error));
        },
      );
      this.#underWay.add(replacing);
      void replacing.then(() => this.#underWay.delete(replacing));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#underWay);
  }
}

/** Waits until the server listens to so many, as far as it tells, so that it hears their first packets. */
async function untilTapped(read: () => Promise<Reading>, taps: number): Promise<void> {
  const untilMs = performance.now() + tapsTimeoutMs;
  while ((await read()).taps < taps && performance.now() < untilMs) await delay(tapsIntervalMs);
  await delay(settleMs);
}
