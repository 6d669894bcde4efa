// Carries the media counts of open tracks over into the server's metrics.
import type { Metrics } from './metrics.ts';
import { createMediaCounts } from './pipeline/media-counts.ts';
import type { MediaCounts, MediaLevels } from './pipeline/types.ts';

const fates = ['received', 'played', 'late', 'duplicate', 'malformed', 'ignored', 'overflow', 'lost'] as const;

/** Adds what tracks counted since the last time to the counters: when metrics are read, and when a track ends. */
export class MediaMeter {
  readonly #metrics: Metrics;
  readonly #tracks = new Map<string, { readonly counts: MediaCounts; readonly reported: MediaCounts; readonly levels: MediaLevels }>();

  readonly #collect = (): void => {
    for (const trackId of this.#tracks.keys()) this.#report(trackId);
    this.#reportLevels();
  };

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Begins to report the counts of a track. */
  add(trackId: string, counts: MediaCounts, levels: MediaLevels): void {
    this.#tracks.set(trackId, { counts, reported: createMediaCounts(), levels });
    this.#metrics.beforeCollect.add(this.#collect);
  }

  /** Reports the last of a track's counts and forgets it. */
  remove(trackId: string): void {
    this.#report(trackId);
    this.#tracks.delete(trackId);
    if (this.#tracks.size > 0) return;
    this.#metrics.beforeCollect.delete(this.#collect);
    this.#reportLevels();
  }

  /** The mean over the open tracks and the highest of them. */
  #reportLevels(): void {
    const levels = [...this.#tracks.values()].map((track) => track.levels);
    for (const [gauge, name] of [
      [this.#metrics.jitterMs, 'jitterMs'],
      [this.#metrics.playoutDelayMs, 'playoutDelayMs'],
    ] as const) {
      const values = levels.map((level) => level[name]);
      gauge.set({ of: 'mean' }, values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length));
      gauge.set({ of: 'max' }, Math.max(0, ...values));
    }
  }

  #report(trackId: string): void {
    const entry = this.#tracks.get(trackId);
    if (entry === undefined) return;
    const { counts, reported } = entry;
    for (const fate of fates) this.#metrics.rtpPackets.inc({ fate }, risen(counts[fate], reported[fate]));
    this.#metrics.decodeErrors.inc(counts.decodeErrors - reported.decodeErrors);
    this.#metrics.concealedSamples.inc(counts.concealedSamples - reported.concealedSamples);
    this.#metrics.recoveredSamples.inc(counts.recoveredSamples - reported.recoveredSamples);
    this.#metrics.skippedSamples.inc(counts.skippedSamples - reported.skippedSamples);
    Object.assign(reported, counts, { lost: Math.max(counts.lost, reported.lost) });
  }
}

/** A counter cannot fall: where what was given up for lost came after all, the next losses make up for it. */
function risen(count: number, reported: number): number {
  return Math.max(0, count - reported);
}
