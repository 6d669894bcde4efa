// Counts how the windows of all tracks fare in time, for whoever decides whether the server keeps up.
import type { LostFate } from './batcher.ts';

/** How the windows fared that met their fate since the last reading. */
export interface WindowPressure {
  readonly scored: number;
  /** Of those, the ones that were scored late. */
  readonly late: number;
  /** From their last packet to their score, on average, ms; 0 of none. */
  readonly meanAgeMs: number;
  /** Windows that made room for newer ones, or became too old. */
  readonly lost: number;
  /** From the last packet of the oldest window that is still to be scored to now, ms; 0 of none. */
  readonly oldestMs: number;
  /** Share of that time in which the busiest engine had a batch, 0 to 1. */
  readonly busyShare: number;
}

/** Options of a {@link LoadMeter}. */
export interface LoadMeterOptions {
  /** From a window's last packet to its score, ms; more is late. */
  readonly lateMs: number;
  /** How long each engine has had batches since the beginning, ms. */
  readonly busyMs: () => readonly number[];
  /** When the last packet came of the oldest window that is still to be scored, ms; Infinity of none. */
  readonly oldestArrivalMs: () => number;
  readonly nowMs: number;
}

/** Counts from reading to reading. */
export class LoadMeter {
  readonly #options: LoadMeterOptions;
  #scored = 0;
  #late = 0;
  #ageMs = 0;
  #lost = 0;
  #takenMs: number;
  #busyMs: readonly number[] = [];

  constructor(options: LoadMeterOptions) {
    this.#options = options;
    this.#takenMs = options.nowMs;
  }

  /** A window was scored, so long after its last packet, ms. */
  scored(ageMs: number): void {
    this.#scored += 1;
    this.#ageMs += ageMs;
    if (ageMs > this.#options.lateMs) this.#late += 1;
  }

  /** A window was not scored. Those that the engine failed on tell nothing of load. */
  lost(fate: LostFate): void {
    if (fate !== 'failed') this.#lost += 1;
  }

  /** Reads, and begins anew. */
  take(nowMs: number): WindowPressure {
    const { busyMs, oldestArrivalMs } = this.#options;
    const spanMs = nowMs - this.#takenMs;
    const before = this.#busyMs;
    this.#busyMs = busyMs();
    const shares = this.#busyMs.map((ms, index) => (spanMs > 0 ? Math.min(1, (ms - (before[index] ?? 0)) / spanMs) : 0));
    const [scored, late, lost] = [this.#scored, this.#late, this.#lost];
    const meanAgeMs = scored > 0 ? this.#ageMs / scored : 0;
    this.#scored = 0;
    this.#late = 0;
    this.#ageMs = 0;
    this.#lost = 0;
    this.#takenMs = nowMs;
    const oldestMs = Math.max(0, nowMs - oldestArrivalMs());
    return { scored, late, meanAgeMs, lost, oldestMs, busyShare: Math.max(0, ...shares) };
  }
}
