// Maps RTP timestamps to positions on a track's media clock, and begins a new mapping where the old one cannot be believed.
import type { TrackCodec } from '../sfu/types.ts';
import type { MediaClock } from './media-clock.ts';
import { timestampModulus, unwrapNear } from './sequence.ts';
import { sampleRateHz } from './types.ts';

/** A timestamp may run this much further ahead than the time since the last packet; beyond, it is another clock. */
const maxLeadMs = 5000;

/** A timestamp may step back by the longest packet, 120 ms; beyond, it is another clock. */
const maxOverlapSamples = 1920;

/** Where a new clock begins, a hole no longer than this is taken for jitter and closed: half a frame's hop. */
const snapSamples = 80;

/** Where the sequence jumps, the timestamp is still believed if it agrees with the arrival to this. */
const agreeSamples = 8000;

/** What of a packet places it. */
export interface Timed {
  readonly timestamp: number;
  readonly arrivalMs: number;
}

/**
 * Positions are integer samples at 16 kHz. The first timestamp is 0; from there the sender's timestamps count, unwrapped.
 * A new mapping begins where a timestamp cannot be, and with a new stream; it goes on from where media that arrives
 * then would lie, by the {@link MediaClock}, and never back.
 */
export class MediaPositions {
  readonly #samplesPerTick: number;
  readonly #clock: MediaClock;
  /** The unwrapped timestamp `#baseTimestamp` is at sample `#baseSample`. */
  #baseTimestamp = 0;
  #baseSample = 0;
  #lastTimestamp = 0;

  constructor(codec: TrackCodec, clock: MediaClock) {
    this.#samplesPerTick = sampleRateHz / codec.clockRateHz;
    this.#clock = clock;
  }

  /** The track begins with this timestamp, at sample 0. */
  begin(timestamp: number): void {
    this.#baseTimestamp = timestamp;
    this.#lastTimestamp = timestamp;
  }

  /** Media time of a timestamp near the last one, ms; for differences alone. */
  sentMs(timestamp: number): number {
    return (unwrapNear(timestamp, this.#lastTimestamp, timestampModulus) * this.#samplesPerTick * 1000) / sampleRateHz;
  }

  /** Where a packet of the current stream lies; `nextSample` is where what was emitted before it ends. */
  locate({ timestamp, arrivalMs }: Timed, nextSample: number): number {
    const byClock = this.#byClock(timestamp);
    const byArrival = this.#clock.sampleAt(arrivalMs);
    const latest = Math.max(byArrival, nextSample) + maxLeadMs * (sampleRateHz / 1000);
    if (byClock < nextSample - maxOverlapSamples || byClock > latest) return this.#rebase(byArrival, nextSample);
    return byClock;
  }

  /**
   * A new stream begins with these packets, in order of sequence: the least delayed of them says where. `known` where only
   * the sequence jumped: then the old mapping stands if the arrivals bear it out.
   */
  follow(packets: readonly [Timed, ...Timed[]], nextSample: number, known: boolean): void {
    const [first] = packets;
    const arrivalMs = packets.reduce((least, packet) => {
      const ticks = unwrapNear(packet.timestamp, first.timestamp, timestampModulus) - first.timestamp;
      return Math.min(least, packet.arrivalMs - (ticks * this.#samplesPerTick * 1000) / sampleRateHz);
    }, Infinity);
    const byClock = this.#byClock(first.timestamp);
    const byArrival = this.#clock.sampleAt(arrivalMs);
    if (known && byClock >= nextSample && Math.abs(byClock - byArrival) <= agreeSamples) return;
    this.#rebase(byArrival, nextSample);
  }

  #byClock(timestamp: number): number {
    this.#lastTimestamp = unwrapNear(timestamp, this.#lastTimestamp, timestampModulus);
    return this.#baseSample + Math.round((this.#lastTimestamp - this.#baseTimestamp) * this.#samplesPerTick);
  }

  /** The last timestamp seen lies at `byArrival`, or where nothing is missing but jitter, just behind what was emitted. */
  #rebase(byArrival: number, nextSample: number): number {
    this.#baseTimestamp = this.#lastTimestamp;
    this.#baseSample = byArrival - nextSample > snapSamples ? byArrival : nextSample;
    return this.#baseSample;
  }
}
