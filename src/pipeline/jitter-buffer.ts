// Puts a track's RTP packets in order and on the media clock, and says which spans of it no packet covers.
import type { Emit, Processor } from '../processor.ts';
import type { TrackCodec } from '../sfu/types.ts';
import { parseOpusPacket } from './opus-packet.ts';
import { sequenceModulus, timestampModulus, unwrapNear } from './sequence.ts';
import { sampleRateHz, type MediaCounts, type PlayoutItem, type RtpPacket } from './types.ts';

/** Options of a {@link JitterBuffer}. */
export interface JitterBufferOptions {
  readonly codec: TrackCodec;
  /** Counts to add to; shared with the parser before and the decoder behind. @default all zero */
  readonly counts?: MediaCounts;
  /** How long a missing packet is waited for, ms, judged by the arrival of later packets. @default 60 */
  readonly maxWaitMs?: number;
  /** Most packets held while waiting. @default 64 */
  readonly maxPackets?: number;
  /** Most media held while waiting, ms. @default 200 */
  readonly maxHeldMs?: number;
}

/** A packet in the buffer; `samples` is null where it only fills its place in the sequence. */
interface Held {
  readonly sequence: number;
  readonly packet: RtpPacket;
  readonly sampleCount: number | null;
}

/** RFC 3550, appendix A.1: a sequence number further ahead or behind than this is another sequence. */
const maxDropoutPackets = 3000;
const maxMisorderPackets = 100;

/** A timestamp may run this much further ahead than the time since the last packet; beyond, it is another clock. */
const maxLeadMs = 5000;

/** A timestamp may step back by the longest packet, 120 ms; beyond, it is another clock. */
const maxOverlapSamples = 1920;

/** Where a new clock begins, a hole shorter than this is taken for jitter and closed. */
const resyncSnapMs = 60;

/** Where the sequence jumps, the timestamp is still believed if it agrees with the arrival to this. */
const resyncAgreeMs = 500;

/** Length of a packet that does not say it, before any that does: 20 ms. */
const defaultPacketSamples = 320;

const samplesPerMs = sampleRateHz / 1000;
const historyPackets = 128;

/** Counts of a track at its start. */
export function createMediaCounts(): MediaCounts {
  return {
    received: 0,
    played: 0,
    late: 0,
    duplicate: 0,
    malformed: 0,
    ignored: 0,
    overflow: 0,
    lost: 0,
    decodeErrors: 0,
    concealedSamples: 0,
    recoveredSamples: 0,
  };
}

/**
 * Orders packets and emits spans that follow one another without hole or overlap, from sample 0 at the track's first
 * packet. A packet in order goes out at once; one behind a gap waits until the gap closes, or `maxWaitMs`, `maxPackets`
 * or `maxHeldMs` is reached, and then the gap goes out as `lost`. Media that the sender left out (the timestamp goes on,
 * the sequence has no gap) goes out as `dtx`, one item of whatever length.
 *
 * Another SSRC, or a far-off sequence number, is believed once a second packet bears it out (RFC 3550, A.1); the media
 * clock then goes on by the time between arrivals, never backwards. It has no clock of its own: what is held when a
 * sender falls silent goes out with the next packet, or with `pause` or `flush`.
 *
 * Each packet in is counted once, as received and as played, late, duplicate or ignored, or is still held
 * ({@link JitterBuffer.heldPackets}). Fullness declares loss, so nothing is dropped for it.
 */
export class JitterBuffer implements Processor<RtpPacket, PlayoutItem> {
  readonly counts: MediaCounts;
  readonly #codec: TrackCodec;
  readonly #isOpus: boolean;
  readonly #maxWaitMs: number;
  readonly #maxPackets: number;
  readonly #maxHeldTicks: number;
  readonly #samplesPerTick: number;
  /** The last sequence numbers that came, and those that were given up; by {@link JitterBuffer.#slot}. */
  readonly #cameSequences = new Float64Array(historyPackets).fill(NaN);
  readonly #lostSequences = new Float64Array(historyPackets).fill(NaN);
  /** In order of sequence. */
  #held: Held[] = [];
  /** The first packet of what may be a new stream. */
  #candidate: RtpPacket | null = null;
  #ssrc: number | null = null;
  #nextSequence = 0;
  #nextSample = 0;
  /** The timestamp `#baseTimestamp`, unwrapped, is at sample `#baseSample`. */
  #baseTimestamp = 0;
  #baseSample = 0;
  #lastTimestamp = 0;
  #lastStartSample = 0;
  #lastArrivalMs = 0;
  #lastPacketSamples = defaultPacketSamples;
  #resync: 'none' | 'sequence' | 'stream' = 'none';
  /** The latest arrival seen. */
  #nowMs = 0;

  constructor(options: JitterBufferOptions) {
    this.counts = options.counts ?? createMediaCounts();
    this.#codec = options.codec;
    this.#isOpus = options.codec.mimeType.toLowerCase() === 'audio/opus';
    this.#maxWaitMs = options.maxWaitMs ?? 60;
    this.#maxPackets = options.maxPackets ?? 64;
    this.#maxHeldTicks = ((options.maxHeldMs ?? 200) * options.codec.clockRateHz) / 1000;
    this.#samplesPerTick = sampleRateHz / options.codec.clockRateHz;
  }

  /** Packets that wait, each counted as received but not yet under a fate. */
  get heldPackets(): number {
    return this.#held.filter((held) => held.sampleCount !== null).length + (this.#candidate === null ? 0 : 1);
  }

  process(packet: RtpPacket, emit: Emit<PlayoutItem>): void {
    this.counts.received++;
    this.#nowMs = Math.max(this.#nowMs, packet.arrivalMs);
    const audio = this.#isAudio(packet);
    if (!audio) this.counts.ignored++;
    if (this.#ssrc === null) {
      if (!audio) return;
      this.#ssrc = packet.ssrc;
      this.#nextSequence = packet.sequenceNumber;
      this.#baseTimestamp = packet.timestamp;
      this.#lastTimestamp = packet.timestamp;
      this.#lastArrivalMs = packet.arrivalMs;
    }
    const sequence = unwrapNear(packet.sequenceNumber, this.#nextSequence, sequenceModulus);
    const ahead = sequence - this.#nextSequence;
    if (packet.ssrc === this.#ssrc && ahead <= maxDropoutPackets && ahead >= -maxMisorderPackets) {
      this.#accept(sequence, packet, audio);
      this.#release(emit, false);
    } else if (audio) {
      this.#consider(packet, emit);
    }
  }

  /** Waits no longer for what is missing. */
  pause(emit: Emit<PlayoutItem>): void {
    this.#release(emit, true);
  }

  flush(emit: Emit<PlayoutItem>): void {
    this.#release(emit, true);
    if (this.#candidate !== null) this.counts.ignored++;
    this.#candidate = null;
  }

  close(): void {
    this.#held = [];
    this.#candidate = null;
  }

  #isAudio(packet: RtpPacket): boolean {
    return packet.payloadType === this.#codec.payloadType && packet.payload.length > 0;
  }

  /** Holds a packet at its place, unless that place is taken or past. */
  #accept(sequence: number, packet: RtpPacket, audio: boolean): void {
    const past = sequence < this.#nextSequence;
    let at = this.#held.length;
    while (at > 0 && (this.#held[at - 1]?.sequence ?? 0) > sequence) at--;
    const taken = past ? this.#cameSequences[this.#slot(sequence)] === sequence : this.#held[at - 1]?.sequence === sequence;
    if (past || taken) {
      if (audio) this.counts[taken ? 'duplicate' : 'late']++;
      if (past) this.#cameLate(sequence);
      return;
    }
    this.#held.splice(at, 0, { sequence, packet, sampleCount: audio ? this.#samplesOf(packet.payload) : null });
  }

  /** What came after all was not lost. */
  #cameLate(sequence: number): void {
    const slot = this.#slot(sequence);
    this.#cameSequences[slot] = sequence;
    if (this.#lostSequences[slot] !== sequence) return;
    this.#lostSequences[slot] = NaN;
    this.counts.lost--;
  }

  /** Gives up the sequence numbers before `end`. */
  #giveUpUntil(end: number): void {
    this.counts.lost += end - this.#nextSequence;
    // What is further back is another sequence if it comes.
    for (let sequence = Math.max(this.#nextSequence, end - historyPackets); sequence < end; sequence++) {
      this.#lostSequences[this.#slot(sequence)] = sequence;
    }
  }

  /** Judges a packet of another stream: two that go together are a new stream, one alone is a stray. */
  #consider(packet: RtpPacket, emit: Emit<PlayoutItem>): void {
    const first = this.#candidate;
    if (first?.ssrc === packet.ssrc) {
      const ahead = unwrapNear(packet.sequenceNumber, first.sequenceNumber, sequenceModulus) - first.sequenceNumber;
      if (ahead === 0) {
        this.counts.duplicate++;
        return;
      }
      if (Math.abs(ahead) <= this.#maxPackets) {
        this.#candidate = null;
        this.#release(emit, true);
        this.#resync = packet.ssrc === this.#ssrc ? 'sequence' : 'stream';
        this.#ssrc = packet.ssrc;
        this.#cameSequences.fill(NaN);
        this.#lostSequences.fill(NaN);
        this.#nextSequence = first.sequenceNumber + Math.min(0, ahead);
        this.#accept(first.sequenceNumber, first, true);
        this.#accept(first.sequenceNumber + ahead, packet, true);
        this.#release(emit, false);
        return;
      }
    }
    if (first !== null) this.counts.ignored++;
    this.#candidate = packet;
  }

  /** Emits what is in order; what is behind a gap too, once the gap is given up, or if it is `forced`. */
  #release(emit: Emit<PlayoutItem>, forced: boolean): void {
    for (;;) {
      const head = this.#held[0];
      if (head === undefined || (head.sequence > this.#nextSequence && !forced && !this.#isGapGivenUp(head))) return;
      this.#held.shift();
      const missing = head.sequence - this.#nextSequence;
      this.#giveUpUntil(head.sequence);
      this.#cameSequences[this.#slot(head.sequence)] = head.sequence;
      this.#nextSequence = head.sequence + 1;
      if (head.sampleCount !== null) this.#play(head.packet, head.sampleCount, missing, emit);
    }
  }

  #isGapGivenUp(head: Held): boolean {
    if (this.#held.length >= this.#maxPackets) return true;
    const newest = this.#held[this.#held.length - 1] ?? head;
    if (unwrapNear(newest.packet.timestamp, head.packet.timestamp, timestampModulus) - head.packet.timestamp >= this.#maxHeldTicks) {
      return true;
    }
    const waitingSinceMs = this.#held.reduce((least, held) => Math.min(least, held.packet.arrivalMs), Infinity);
    return this.#nowMs - waitingSinceMs >= this.#maxWaitMs;
  }

  #play(packet: RtpPacket, sampleCount: number, missing: number, emit: Emit<PlayoutItem>): void {
    const startSample = this.#positionOf(packet);
    const endSample = startSample + sampleCount;
    if (endSample <= this.#nextSample) {
      this.counts.late++;
      return;
    }
    const hole = startSample - this.#nextSample;
    if (hole > 0) {
      // As much as the missing packets can have held was lost; the sender left out the rest.
      const lostSamples = Math.min(hole, missing * this.#lastPacketSamples);
      // FEC is of the frame sent before: where the sender left something out, it is not told which that was.
      if (lostSamples === hole) this.#emitSpan({ kind: 'lost', next: packet.payload }, hole, emit);
      else {
        this.#emitSpan({ kind: 'lost' }, lostSamples, emit);
        this.#emitSpan({ kind: 'dtx' }, hole - lostSamples, emit);
      }
    }
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, packet.arrivalMs);
    this.#lastStartSample = startSample;
    this.#lastPacketSamples = sampleCount;
    this.counts.played++;
    const from = this.#nextSample;
    this.#nextSample = endSample;
    emit({ kind: 'packet', startSample: from, sampleCount: endSample - from, arrivalMs: this.#nowMs, payload: packet.payload });
  }

  /** Where a packet lies on the track's media clock. Begins a new mapping of timestamps where the old one cannot be believed. */
  #positionOf(packet: RtpPacket): number {
    const timestamp = unwrapNear(packet.timestamp, this.#lastTimestamp, timestampModulus);
    this.#lastTimestamp = timestamp;
    const byClock = this.#baseSample + Math.round((timestamp - this.#baseTimestamp) * this.#samplesPerTick);
    const elapsedMs = Math.max(0, packet.arrivalMs - this.#lastArrivalMs);
    const byArrival = this.#lastStartSample + Math.round(elapsedMs * samplesPerMs);
    const resync = this.#resync;
    this.#resync = 'none';
    if (resync === 'none') {
      if (byClock >= this.#nextSample - maxOverlapSamples && byClock <= byArrival + maxLeadMs * samplesPerMs) return byClock;
    } else if (resync === 'sequence' && byClock >= this.#nextSample && Math.abs(byClock - byArrival) <= resyncAgreeMs * samplesPerMs) {
      return byClock;
    }
    this.#baseTimestamp = timestamp;
    this.#baseSample = byArrival - this.#nextSample > resyncSnapMs * samplesPerMs ? byArrival : this.#nextSample;
    return this.#baseSample;
  }

  #emitSpan(
    span: { readonly kind: 'lost'; readonly next?: Uint8Array } | { readonly kind: 'dtx' },
    sampleCount: number,
    emit: Emit<PlayoutItem>,
  ): void {
    if (sampleCount <= 0) return;
    const startSample = this.#nextSample;
    this.#nextSample += sampleCount;
    emit({ ...span, startSample, sampleCount, arrivalMs: this.#nowMs });
  }

  #samplesOf(payload: Uint8Array): number {
    if (!this.#isOpus) return Math.round(payload.length * this.#samplesPerTick);
    return parseOpusPacket(payload)?.sampleCount ?? this.#lastPacketSamples;
  }

  #slot(sequence: number): number {
    return ((sequence % historyPackets) + historyPackets) % historyPackets;
  }
}
