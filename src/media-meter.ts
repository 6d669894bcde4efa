// Carries the media counts of open tracks over into the server's metrics.
import type { Metrics } from './metrics.ts';
import { createMediaCounts } from './pipeline/media-counts.ts';
import type { MediaCounts, MediaLevels } from './pipeline/types.ts';

const fates = ['received', 'played', 'late', 'duplicate', 'malformed', 'ignored', 'overflow', 'lost'] as const;

const countNames = Object.keys(createMediaCounts()) as (keyof MediaCounts)[];

interface Track {
  readonly counts: MediaCounts;
  /** What of them is in the counters. */
  readonly reported: MediaCounts;
  readonly levels: MediaLevels;
}

/** Adds what tracks counted since the last time to the counters: when metrics are read, and when a track ends. */
export class MediaMeter {
  readonly #metrics: Metrics;
  readonly #tracks = new Map<string, Track>();

  readonly #collect = (): void => {
    this.#report(this.#tracks.values());
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
    const track = this.#tracks.get(trackId);
    if (track !== undefined) this.#report([track]);
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

  /** Summed up first: a counter with a label costs more than a sum. */
  #report(tracks: Iterable<Track>): void {
    const sum = createMediaCounts();
    for (const { counts, reported } of tracks) {
      for (const name of countNames) {
        sum[name] += risen(counts[name], reported[name]);
        reported[name] = name === 'lost' ? Math.max(counts.lost, reported.lost) : counts[name];
      }
    }
    for (const fate of fates) this.#metrics.rtpPackets.inc({ fate }, sum[fate]);
    this.#metrics.decodeErrors.inc(sum.decodeErrors);
    this.#metrics.concealedSamples.inc(sum.concealedSamples);
    this.#metrics.recoveredSamples.inc(sum.recoveredSamples);
    this.#metrics.skippedSamples.inc(sum.skippedSamples);
  }
}

/** A counter cannot fall: where what was given up for lost came after all, the next losses make up for it. */
function risen(count: number, reported: number): number {
  return Math.max(0, count - reported);
}
