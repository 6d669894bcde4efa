// Finds where a track's media clock begins on the wall clock.
import type { RawRtp } from './sfu/types.ts';

/** Packets that are looked at: the first 2 s, as a rule. */
const maxPackets = 100;
/** A packet that would place the origin this much earlier than the ones before it is of another clock. */
const maxDelayMs = 1000;
const headerBytes = 12;

/**
 * The first packet alone would make its own delay that of every event: while callers join and decoders start, it may wait
 * long to be read. Each of the first packets says where the origin is, late by its own delay, so the earliest is the best.
 */
export class TrackOrigin {
  readonly #ticksPerMs: number;
  #firstTimestamp = 0;
  #earliestMs = Infinity;
  #packets = 0;
  #fixed = false;

  /** @param clockRateHz of the RTP timestamps */
  constructor(clockRateHz: number) {
    this.#ticksPerMs = clockRateHz / 1000;
  }

  /** Takes the track's next packet off the wire. What is no RTP is passed over. */
  arrived({ data, arrivalMs }: RawRtp): void {
    if (this.#fixed || this.#packets >= maxPackets || data.length < headerBytes) return;
    const timestamp = new DataView(data.buffer, data.byteOffset, data.byteLength).getUint32(4);
    this.#packets += 1;
    if (this.#packets === 1) this.#firstTimestamp = timestamp;
    // The difference of 32-bit numbers as a signed one: right across the wrap, and for a packet before the first.
    const mediaMs = ((timestamp - this.#firstTimestamp) | 0) / this.#ticksPerMs;
    const originMs = arrivalMs - mediaMs;
    if (originMs < this.#earliestMs && (this.#packets === 1 || originMs > this.#earliestMs - maxDelayMs)) this.#earliestMs = originMs;
  }

  /** Wall time of the track's sample 0, ms; from the first call on it stays the same, so that no event moves. 0 before any packet. */
  fix(): number {
    this.#fixed = this.#packets > 0;
    return this.#fixed ? this.#earliestMs : 0;
  }
}
