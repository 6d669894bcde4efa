// Joins the lost windows of one track to gaps that are worth an event.
import type { Gap, ScoredWindow } from './types.ts';

type Window = ScoredWindow['window'];

/** Options of a {@link GapTracker}. */
export interface GapTrackerOptions {
  /** Samples of a frame. A lost window leaves its hop unscored. */
  readonly frameSamples: number;
  /** Windows that made room for a newer one become a gap only from this much media on, samples. @default 16000 */
  readonly leastSamples?: number;
}

const defaultLeastSamples = 16_000;

/**
 * A superseded window alone is a point that came later; it is a gap once `leastSamples` in a row went
 * unscored. A window that expired or that the engine failed on is one in any case. A long outage gives one gap each
 * `leastSamples`, not one each window.
 */
export class GapTracker {
  readonly #frameSamples: number;
  readonly #leastSamples: number;
  #open: Gap | null = null;
  #certain = false;

  constructor(options: GapTrackerOptions) {
    this.#frameSamples = options.frameSamples;
    this.#leastSamples = options.leastSamples ?? defaultLeastSamples;
  }

  /** Takes a window that was lost; the gap that it completes, if any. */
  lost(window: Window, fate: 'superseded' | 'expired' | 'failed'): Gap | null {
    const { track, endSample, hopFrames } = window;
    const startSample = this.#open?.startSample ?? Math.max(0, endSample - hopFrames * this.#frameSamples);
    const reason = fate === 'failed' || this.#open?.reason === 'engine' ? 'engine' : 'overload';
    this.#certain ||= fate !== 'superseded';
    this.#open = { track, startSample, endSample: Math.max(endSample, this.#open?.endSample ?? 0), reason };
    return this.#open.endSample - startSample >= this.#leastSamples ? this.#take() : null;
  }

  /** Ends a run of lost windows, by a scored one or the end of the utterance; the gap that this completes, if any. */
  settle(): Gap | null {
    const certain = this.#certain;
    const gap = this.#take();
    return certain ? gap : null;
  }

  #take(): Gap | null {
    const gap = this.#open;
    this.#open = null;
    this.#certain = false;
    return gap;
  }
}
