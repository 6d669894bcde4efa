// How fast a caller's front end shall go, told while it runs and across threads: how often windows are made, and whether it waits.

/** What a front end reads before each packet and window. */
export interface PaceReading {
  /** Hops of the model between two windows, at least 1. */
  readonly hopFactor: number;
  /** Whether packets are left undecoded, as silence. */
  readonly waiting: boolean;
}

/** A window each hop, and nobody waits. */
export const fullPace: PaceReading = { hopFactor: 1, waiting: false };

const [factorSlot, waitingSlot, slots] = [0, 1, 2];

/** A pace in shared memory: what one thread sets, another reads with its next packet, whatever queues between them. */
export class Pace implements PaceReading {
  /** To be handed to another thread, which makes a pace of its own from it. */
  readonly memory: SharedArrayBuffer;
  /** Zeros mean the full pace: the factor is stored less one. */
  readonly #values: Int32Array;

  constructor(memory = new SharedArrayBuffer(slots * Int32Array.BYTES_PER_ELEMENT)) {
    this.memory = memory;
    this.#values = new Int32Array(memory);
  }

  get hopFactor(): number {
    return Atomics.load(this.#values, factorSlot) + 1;
  }

  set hopFactor(factor: number) {
    Atomics.store(this.#values, factorSlot, factor - 1);
  }

  get waiting(): boolean {
    // Read for each packet, and nothing else is read in its order: V8 makes a call of an atomic load, which costs as much as the parser.
    return this.#values[waitingSlot] !== 0;
  }

  set waiting(waiting: boolean) {
    Atomics.store(this.#values, waitingSlot, Number(waiting));
  }
}
