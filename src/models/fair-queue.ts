// A queue of at most one item a track that is fair between calls, and within a call between tracks.

/** An item of a {@link FairQueue}. */
export interface Queued {
  readonly callId: string;
  readonly trackId: string;
  /** From when on its wait counts, ms. */
  readonly sinceMs: number;
}

/**
 * Calls take turns, and within a call its tracks take turns. A call that was served goes to the end of the ring, so
 * a call with many tracks cannot crowd out one with few.
 */
export class FairQueue<T extends Queued> {
  /** Calls in order of turn, each with its tracks in order of turn: a Map keeps the order of insertion. */
  readonly #calls = new Map<string, Map<string, T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** When the longest-waiting item began to wait, ms; Infinity if there is none. */
  get oldestSinceMs(): number {
    let oldest = Infinity;
    for (const tracks of this.#calls.values()) for (const item of tracks.values()) oldest = Math.min(oldest, item.sinceMs);
    return oldest;
  }

  /** Adds an item, or replaces its track's, which keeps its turn. */
  put(item: T): void {
    let tracks = this.#calls.get(item.callId);
    if (tracks === undefined) {
      tracks = new Map();
      this.#calls.set(item.callId, tracks);
    }
    if (!tracks.has(item.trackId)) this.#size += 1;
    tracks.set(item.trackId, item);
  }

  /** Takes the item whose turn it is. */
  take(): T | undefined {
    const [call] = this.#calls;
    if (call === undefined) return undefined;
    const [callId, tracks] = call;
    const [item] = tracks.values();
    this.#calls.delete(callId);
    if (item === undefined) return this.take();
    tracks.delete(item.trackId);
    this.#size -= 1;
    if (tracks.size > 0) this.#calls.set(callId, tracks);
    return item;
  }

  remove(callId: string, trackId: string): void {
    const tracks = this.#calls.get(callId);
    if (tracks?.delete(trackId) !== true) return;
    this.#size -= 1;
    if (tracks.size === 0) this.#calls.delete(callId);
  }

  clear(): void {
    this.#calls.clear();
    this.#size = 0;
  }
}
