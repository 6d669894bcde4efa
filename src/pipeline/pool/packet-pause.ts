// Lets packets gather with the system: where many come, the main thread takes them a few milliseconds' worth at a time.

/** Options of a {@link PacketPause}. */
export interface PacketPauseOptions {
  /** From one burst to the next, ms; 0: never pauses. */
  readonly everyMs: number;
  /** Told when all packets of a burst were taken. */
  readonly onTaken: () => void;
  /** Packets that must be expected in that time for a pause to be worth it. @default 4 */
  readonly minPackets?: number;
}

/** How often it is looked how many packets come, ms. */
const lookMs = 250;
/** What sleeping and waking cost is more than a shorter pause saves, ms. */
const leastPauseMs = 0.25;

/**
 * A packet that finds the main thread idle costs it several times what it costs behind another: a wake-up, a turn of the event loop, a read,
 * and caches that other threads have used meanwhile. mediasoup's channel brings each by itself. So where many come, this thread
 * sleeps after each burst until the next is due: the socket holds the packets, which is where they would else be collected after having
 * been read. It sleeps less the more it has to do, and not at all where it is busy or where few packets come.
 */
export class PacketPause {
  readonly #everyMs: number;
  readonly #onTaken: () => void;
  readonly #minPackets: number;
  /** Nobody wakes it; the system's own timers keep to a tenth of a millisecond. */
  readonly #bed = new Int32Array(new SharedArrayBuffer(4));
  #worthIt = false;
  #packets = 0;
  #lookedMs = performance.now();
  #wokeMs = 0;
  #pausedMs = 0;
  #due = false;

  constructor({ everyMs, onTaken, minPackets = 4 }: PacketPauseOptions) {
    this.#everyMs = everyMs;
    this.#onTaken = onTaken;
    this.#minPackets = minPackets;
  }

  /** How long this thread has slept since the beginning, ms; Node counts it as work. */
  get pausedMs(): number {
    return this.#pausedMs;
  }

  /** A packet came. Whether `onTaken` will be called soon; it is not where few packets come. */
  arrived(): boolean {
    this.#packets += 1;
    if (!this.#due && this.#everyMs > 0) {
      this.#due = true;
      // In the turn of the loop that follows: the rest of what was read with this packet is handed out in this one.
      setImmediate(this.#end);
    }
    return this.#worthIt;
  }

  readonly #end = (): void => {
    this.#due = false;
    if (this.#worthIt) this.#onTaken();
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs >= lookMs) this.#look(nowMs);
    if (!this.#worthIt) return;
    const pauseMs = this.#wokeMs + this.#everyMs - nowMs;
    if (pauseMs > leastPauseMs) Atomics.wait(this.#bed, 0, 0, pauseMs);
    this.#wokeMs = performance.now();
    this.#pausedMs += this.#wokeMs - nowMs;
  };

  #look(nowMs: number): void {
    const expected = (this.#packets * this.#everyMs) / (nowMs - this.#lookedMs);
    this.#worthIt = expected >= this.#minPackets;
    this.#packets = 0;
    this.#lookedMs = nowMs;
  }
}
