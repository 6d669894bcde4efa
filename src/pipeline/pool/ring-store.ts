// Memory of rings that callers have left, for the next ones: made and dropped for each, it lies in malloc's heap in ever more pieces.
import type { FrontEndSpec } from '../types.ts';
import { createRingMemory } from './block-ring.ts';

/** What a {@link RingStore} is made from. */
export interface RingStoreOptions {
  /** As {@link createRingMemory}: for so long a window may wait, and so may its ring after its caller has left, ms. */
  readonly spareMs: number;
  /** @default performance.now */
  readonly now?: () => number;
}

interface Left {
  readonly memory: SharedArrayBuffer;
  readonly spec: FrontEndSpec;
  readonly atMs: number;
}

/** So many wait for a caller however few there are. */
const leastKept = 16;

/**
 * Keeps no more rings than are in use, or 16. A ring is used again once its last windows are too old to be worth anything; who reads
 * them even so can tell, for the numbers of its blocks go on.
 */
export class RingStore {
  readonly #spareMs: number;
  readonly #now: () => number;
  /** In the order in which they were left. */
  readonly #left: Left[] = [];
  #inUse = 0;

  constructor({ spareMs, now = () => performance.now() }: RingStoreOptions) {
    this.#spareMs = spareMs;
    this.#now = now;
  }

  /** Rings that wait for a caller. */
  get size(): number {
    return this.#left.length;
  }

  take(spec: FrontEndSpec): SharedArrayBuffer {
    this.#inUse += 1;
    const oldest = this.#left[0];
    const oldEnough = oldest !== undefined && this.#now() - oldest.atMs >= this.#spareMs;
    if (!oldEnough || oldest.spec !== spec) return createRingMemory(spec, this.#spareMs);
    this.#left.shift();
    return oldest.memory;
  }

  /** A caller has left, and its thread has said so: nobody writes there any more. */
  giveBack(memory: SharedArrayBuffer, spec: FrontEndSpec): void {
    this.#inUse -= 1;
    this.#left.push({ memory, spec, atMs: this.#now() });
    while (this.#left.length > Math.max(leastKept, this.#inUse)) this.#left.shift();
  }

  /** A caller's thread died, and may not quite be gone: its ring is not used again. */
  forget(): void {
    this.#inUse -= 1;
  }
}
