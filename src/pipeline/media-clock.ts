// Where a track's media clock lies on the wall clock, and how far the two have drifted apart.

/** A stretch of arrivals of which the least delayed packet counts: at least this long, and of so many packets. */
const blockMs = 5000;
const blockPackets = 25;
/** Blocks that the least delay is taken over. */
const blocks = 3;
/** Drift is followed from here on, ms; less may be the network. */
const toleranceMs = 3;
/** Fastest drift of two clocks that is believed, ms a second of media (200 ppm): twice what crystals do. */
const maxDriftMsPerSecond = 0.2;

const samplesPerMs = 16;

/**
 * Each packet says where the media clock began, late by its own delay, so the least delayed of the last 10 to 15 s is
 * believed. What is told to others moves slowly after it: at most 200 ppm, so that the sender's clock is followed and a
 * network that is slow for a while is not, and only from 3 ms on.
 *
 * Positions themselves never come from here: they are the sender's timestamps. It places them on the wall clock, for all
 * participants of a call alike, and a new stream behind an old one.
 */
export class MediaClock {
  /** Least `arrival - media time` of the blocks before the one at hand, newest last, ms. */
  readonly #least: number[] = [];
  /** The least of them. */
  #leastBeforeMs = Infinity;
  #blockLeastMs = Infinity;
  #blockPackets = 0;
  #blockStartMs = 0;
  /** What is told; null before any packet. */
  #originMs: number | null = null;
  #told = false;
  /** Media time up to which drift has been made up for, ms. */
  #followedMs = 0;

  /** Takes the arrival of the packet that begins at a position, in any order. */
  arrived(startSample: number, arrivalMs: number): void {
    const mediaMs = startSample / samplesPerMs;
    const originMs = arrivalMs - mediaMs;
    if (this.#blockPackets === 0) this.#blockStartMs = arrivalMs;
    this.#blockPackets += 1;
    this.#blockLeastMs = Math.min(this.#blockLeastMs, originMs);
    if (!this.#told) this.#originMs = Math.min(this.#originMs ?? Infinity, originMs);
    if (this.#blockPackets < blockPackets || arrivalMs - this.#blockStartMs < blockMs) return;
    this.#least.push(this.#blockLeastMs);
    if (this.#least.length > blocks) this.#least.shift();
    this.#leastBeforeMs = Math.min(...this.#least);
    this.#blockLeastMs = Infinity;
    this.#blockPackets = 0;
    this.#follow(mediaMs);
  }

  /**
   * Wall time of a position, ms; 0 before any packet. From the first call on, later positions are later, and the same
   * position moves by no more than the drift between two calls.
   */
  wallMsOf(sample: number): number {
    this.#told = this.#originMs !== null;
    return this.#originMs === null ? 0 : this.#originMs + sample / samplesPerMs;
  }

  /** The position of media that arrives, undelayed, at a wall time; 0 before any packet. */
  sampleAt(arrivalMs: number): number {
    const originMs = this.#leastMs();
    return Number.isFinite(originMs) ? Math.round((arrivalMs - originMs) * samplesPerMs) : 0;
  }

  #leastMs(): number {
    return Math.min(this.#blockLeastMs, this.#leastBeforeMs);
  }

  #follow(mediaMs: number): void {
    const elapsedMs = mediaMs - this.#followedMs;
    if (this.#originMs === null || elapsedMs <= 0) return;
    this.#followedMs = mediaMs;
    if (!this.#told) this.#originMs = this.#leastMs();
    const awayMs = this.#leastMs() - this.#originMs;
    if (Math.abs(awayMs) <= toleranceMs) return;
    const mostMs = (elapsedMs / 1000) * maxDriftMsPerSecond;
    this.#originMs += Math.max(-mostMs, Math.min(mostMs, awayMs));
  }
}
