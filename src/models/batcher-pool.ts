// A batcher for each engine, and which of them each track keeps to.
import type { FeatureWindow } from '../pipeline/types.ts';
import { Batcher, type BatcherOptions } from './batcher.ts';
import type { Engine } from './types.ts';

/** Options of a {@link BatcherPool}: those of its batchers, but for the engine. */
export interface BatcherPoolOptions extends Omit<BatcherOptions, 'engine'> {
  /** Run side by side; at least one. */
  readonly engines: readonly Engine[];
}

interface Lane {
  readonly engine: Engine;
  readonly batcher: Batcher;
  tracks: number;
}

/**
 * A track's windows go to the engine that has its stream. It moves, between two of its windows, where that engine is down
 * and another is up, or where another has less to do by two tracks; its stream then begins anew, which changes no score.
 */
export class BatcherPool {
  readonly #lanes: readonly Lane[];
  readonly #laneOf = new Map<string, Lane>();
  #closing: Promise<void> | undefined;

  constructor({ engines, ...options }: BatcherPoolOptions) {
    this.#lanes = engines.map((engine) => ({ engine, batcher: new Batcher({ ...options, engine }), tracks: 0 }));
  }

  /** Windows waiting and windows with the engines, over all tracks. */
  get pending(): number {
    return this.#lanes.reduce((sum, { batcher }) => sum + batcher.pending, 0);
  }

  /** As {@link Batcher.oldestArrivalMs}, over all. */
  get oldestArrivalMs(): number {
    return Math.min(...this.#lanes.map(({ batcher }) => batcher.oldestArrivalMs));
  }

  /** As {@link Batcher.busyMs}, of each engine. */
  get busyMs(): readonly number[] {
    return this.#lanes.map(({ batcher }) => batcher.busyMs);
  }

  /** Takes a window. Its track is kept in mind until {@link cancelTrack}. */
  submit(window: FeatureWindow): void {
    this.#place(window.track.trackId)?.batcher.submit(window);
  }

  /** Forgets a track; as {@link Batcher.cancelTrack}. */
  cancelTrack(trackId: string): void {
    const lane = this.#laneOf.get(trackId);
    if (lane !== undefined) this.#leave(trackId, lane);
  }

  /** Closes the batchers; as {@link Batcher.close}. The engines are left to their owner. */
  close(): Promise<void> {
    this.#closing ??= Promise.all(this.#lanes.map(({ batcher }) => batcher.close())).then(() => this.#laneOf.clear());
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #place(trackId: string): Lane | undefined {
    const present = this.#laneOf.get(trackId);
    // Moved with a window under way, a track's scores could overtake each other.
    if (present?.batcher.has(trackId) === true) return present;
    const best = this.#leastBusy();
    if (present !== undefined) {
      const better = best !== undefined && best.engine.ready && (!present.engine.ready || present.tracks > best.tracks + 1);
      if (!better) return present;
      this.#leave(trackId, present);
    }
    if (best === undefined) return undefined;
    this.#laneOf.set(trackId, best);
    best.tracks += 1;
    return best;
  }

  #leave(trackId: string, lane: Lane): void {
    this.#laneOf.delete(trackId);
    lane.tracks -= 1;
    lane.batcher.cancelTrack(trackId);
  }

  #leastBusy(): Lane | undefined {
    const ready = this.#lanes.filter(({ engine }) => engine.ready);
    const lanes = ready.length > 0 ? ready : this.#lanes;
    return lanes.reduce<Lane | undefined>((best, lane) => (best === undefined || lane.tracks < best.tracks ? lane : best), undefined);
  }
}
