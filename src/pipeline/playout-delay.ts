// Chooses how long a missing packet is waited for: from the measured jitter, and from the packets that came too late.

/** Bounds of the playout delay. */
export interface PlayoutDelayOptions {
  /** @default 20 */
  readonly minDelayMs?: number;
  /** @default 200 */
  readonly maxDelayMs?: number;
}

/** A new stream's delay, until its own jitter is known, ms. */
const initialDelayMs = 60;

/** How many deviations are waited for: one packet in some hundreds comes later, if delays fall off exponentially. */
const deviations = 4;

/** Weight of a new difference in the jitter, 1/16 (RFC 3550, 6.4.1). */
const jitterGain = 1 / 16;

/** A difference beyond this is a pause, a stall or another clock, not jitter, ms. */
const maxDifferenceMs = 1000;

/** Time in which half of what a late packet taught is forgotten, ms. */
const halfLifeMs = 10_000;

/**
 * The delay is four times the interarrival jitter of RFC 3550 (6.4.1; Ramjee et al., INFOCOM 1994, wait as many mean
 * deviations), or as long as lately had to be waited for a packet that came too late, whichever is more, within bounds. It is
 * waited only where a packet is missing: packets in order never wait.
 */
export class PlayoutDelay {
  /** The longest delay there can be, ms. */
  readonly maxDelayMs: number;
  readonly #minDelayMs: number;
  #jitterMs = 0;
  /** What late packets taught, as of `#taughtAtMs`. */
  #taughtMs = initialDelayMs;
  #taughtAtMs: number | null = null;
  #lastTransitMs: number | null = null;

  constructor({ minDelayMs = 20, maxDelayMs = 200 }: PlayoutDelayOptions = {}) {
    this.#minDelayMs = minDelayMs;
    this.maxDelayMs = Math.max(minDelayMs, maxDelayMs);
  }

  /** Interarrival jitter, ms. */
  get jitterMs(): number {
    return this.#jitterMs;
  }

  /** How long a packet that is missing at `nowMs` is waited for, ms. */
  delayMs(nowMs: number): number {
    const wanted = Math.max(deviations * this.#jitterMs, this.#taught(nowMs));
    return Math.min(this.maxDelayMs, Math.max(this.#minDelayMs, wanted));
  }

  /** Takes the arrival of a packet that was sent at `sentMs` by the sender's media clock. */
  arrived(sentMs: number, arrivalMs: number): void {
    this.#taughtAtMs ??= arrivalMs;
    const transitMs = arrivalMs - sentMs;
    const differenceMs = Math.abs(transitMs - (this.#lastTransitMs ?? transitMs));
    this.#lastTransitMs = transitMs;
    if (differenceMs <= maxDifferenceMs) this.#jitterMs += (differenceMs - this.#jitterMs) * jitterGain;
  }

  /** A packet came that had been given up: it would have been there after `neededMs` of waiting. */
  cameLate(neededMs: number, nowMs: number): void {
    this.#taughtMs = Math.min(this.maxDelayMs, Math.max(neededMs, this.#taught(nowMs)));
    this.#taughtAtMs = nowMs;
  }

  /** Another stream's clock begins: the next packet's delay is compared with none before. */
  restart(): void {
    this.#lastTransitMs = null;
  }

  #taught(nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - (this.#taughtAtMs ?? nowMs));
    return this.#taughtMs * 2 ** (-elapsedMs / halfLifeMs);
  }
}
