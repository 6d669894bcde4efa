// Gathers what the threads of a load test report, second by second.
import { LatencyHistogram } from './latency-histogram.ts';
import { cpuMsBetween, droppedBetween, mapParts, type Reading } from './meters.ts';
import type { Sample } from './run.ts';
import type { HeardReport } from './subscribers.ts';

/** Gathers what the threads report. */
export class Recorder {
  readonly samples: Sample[] = [];
  readonly latency = new LatencyHistogram();
  readonly late = new LatencyHistogram();
  senderCpuMs = 0;
  measuring = false;
  readonly #lateNow = new LatencyHistogram();
  #events = 0;
  #hopMs: number | null = null;
  #waitedMs = 0;

  /** A second of listening. */
  heard({ events, latency, hopMs, waitedMs }: HeardReport): void {
    this.#events += events;
    this.#waitedMs += waitedMs;
    if (hopMs !== null) this.#hopMs = Math.max(this.#hopMs ?? 0, hopMs);
    this.latency.merge(latency);
  }

  /** What went out since the last report. */
  sent(late: Parameters<LatencyHistogram['merge']>[0], cpuMs: number): void {
    this.#lateNow.merge(late);
    if (!this.measuring) return;
    this.late.merge(late);
    this.senderCpuMs += cpuMs;
  }

  /** Makes the sample of the time since the last one. */
  sample(of: Pick<Sample, 'atSeconds' | 'callers'>, idle: Reading, before: Reading, now: Reading): Sample {
    const seconds = (now.atUnixMs - before.atUnixMs) / 1000;
    const cpuMs = cpuMsBetween(before, now);
    const sample = {
      ...of,
      events: this.#events / seconds,
      latencyMs: this.latency.percentiles,
      hopMs: this.#hopMs,
      waiting: this.#waitedMs / 1000 / seconds,
      cpuMs: cpuMs === null ? null : mapParts(cpuMs, (ms) => ms / seconds),
      serverBytes: now.serverBytes,
      mediaWorkersBytes: now.mediaWorkersBytes,
      droppedWindows: droppedBetween(idle, now),
      senderLateMs: this.#lateNow.percentiles,
    };
    this.samples.push(sample);
    this.#events = 0;
    this.#hopMs = null;
    this.#waitedMs = 0;
    this.latency.reset();
    this.#lateNow.reset();
    return sample;
  }
}
