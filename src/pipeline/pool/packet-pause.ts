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
 * been read. It sleeps less the more it has to do, and not at all where it is busy or where few packets come; and it gets up for
 * what the threads have to say.
 */
export class PacketPause {
  /** One Int32: who has something for this thread rings it, see bell.ts. */
  readonly bell = new SharedArrayBuffer(4);
  readonly #bell = new Int32Array(this.bell);
  readonly #everyMs: number;
  readonly #onTaken: () => void;
  readonly #minPackets: number;
  #worthIt = false;
  #packets = 0;
  #lookedMs = performance.now();
  /** When the burst at hand is complete. */
  #nextMs = 0;
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
      setImmediate(this.#end);
    }
    return this.#worthIt;
  }

  readonly #end = (): void => {
    this.#due = false;
    const nowMs = performance.now();
    if (nowMs - this.#lookedMs >= lookMs) this.#look(nowMs);
    if (!this.#worthIt) return;
    if (this.#nextMs - nowMs <= leastPauseMs) {
      this.#onTaken();
      // What was done counts: a thread that is busy for as long does not sleep.
      this.#nextMs = Math.max(this.#nextMs + this.#everyMs, nowMs);
    }
    this.#sleep(this.#nextMs - nowMs);
    // What has come meanwhile is read in the next turn of the event loop and, of mediasoup's channel, handed out at the end of that turn.
    this.#due = true;
    setImmediate(this.#afterRead);
  };

  readonly #afterRead = (): void => {
    setImmediate(this.#end);
  };

  #sleep(ms: number): void {
    if (ms <= leastPauseMs) return;
    const beganMs = performance.now();
    // Rung before it could be heard: there is something to do.
    if (Atomics.exchange(this.#bell, 0, 0) === 0) Atomics.wait(this.#bell, 0, 0, ms);
    this.#pausedMs += performance.now() - beganMs;
  }

  #look(nowMs: number): void {
    const expected = (this.#packets * this.#everyMs) / (nowMs - this.#lookedMs);
    // Those that were promised it.
    if (this.#worthIt) this.#onTaken();
    this.#worthIt = expected >= this.#minPackets;
    this.#packets = 0;
    this.#lookedMs = nowMs;
  }
}
