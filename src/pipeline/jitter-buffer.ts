// Puts a track's RTP packets in order and on the media clock, and says which spans of it no packet covers.
import type { Emit, Processor } from '../processor.ts';
import type { TrackCodec } from '../sfu/types.ts';
import { MediaClock } from './media-clock.ts';
import { createMediaCounts, createMediaLevels } from './media-counts.ts';
import { MediaPositions } from './media-positions.ts';
import { parseOpusPacket } from './opus-packet.ts';
import { PlayoutDelay, type PlayoutDelayOptions } from './playout-delay.ts';
import { sequenceModulus, timestampModulus, unwrapNear } from './sequence.ts';
import { StreamCandidates } from './stream-candidates.ts';
import { sampleRateHz, type MediaCounts, type MediaLevels, type PlayoutItem, type RtpPacket } from './types.ts';

/** Options of a {@link JitterBuffer}. */
export interface JitterBufferOptions {
  readonly codec: TrackCodec;
  /** Counts to add to; shared with the parser before and the decoder behind. @default all zero */
  readonly counts?: MediaCounts;
  /** Kept up to date. @default one of its own */
  readonly levels?: MediaLevels;
  /** Where the track's media clock lies on the wall clock; kept up to date. @default one of its own */
  readonly clock?: MediaClock;
  /** Bounds of how long a missing packet is waited for, as the arrival of later packets tells. @default 20 to 200 ms */
  readonly playoutDelay?: PlayoutDelayOptions | undefined;
  /** Most packets held while waiting. @default 64 */
  readonly maxPackets?: number;
}

/** A packet in the buffer; `sampleCount` is null where it only fills its place in the sequence. */
interface Held {
  readonly sequence: number;
  readonly packet: RtpPacket;
  readonly sampleCount: number | null;
}

/** RFC 3550, appendix A.1: a sequence number further ahead or behind than this is another sequence. */
const maxDropoutPackets = 3000;
const maxMisorderPackets = 100;

/** Length of a packet that does not say it, before any that does: 20 ms. */
const defaultPacketSamples = 320;

const historyPackets = 128;

/**
 * Orders packets and emits spans that follow one another without hole or overlap, from sample 0 at the track's first
 * packet. A packet in order goes out at once; one behind a gap waits until the gap closes, or the {@link PlayoutDelay} has
 * passed, or `maxPackets` or as much media as the longest delay is held, and then the gap goes out as `lost`. Media that
 * the sender left out (the timestamp goes on, the sequence has no gap) goes out as `dtx`, one item of whatever length.
 *
 * Another SSRC, or a far-off sequence number, is believed once a second packet bears it out (RFC 3550, A.1), and followed
 * when enough of its packets came to tell where it lies ({@link MediaPositions}). It has no clock of its own: what is held
 * when a sender falls silent goes out with the next packet, or with `pause` or `flush`.
 *
 * Each packet in is counted once, as received and as played, late, duplicate or ignored, or is still held
 * ({@link JitterBuffer.heldPackets}). Fullness declares loss, so nothing is dropped for it.
 */
export class JitterBuffer implements Processor<RtpPacket, PlayoutItem> {
  readonly counts: MediaCounts;
  readonly levels: MediaLevels;
  readonly #codec: TrackCodec;
  readonly #isOpus: boolean;
  readonly #maxPackets: number;
  readonly #maxHeldTicks: number;
  readonly #samplesPerTick: number;
  readonly #clock: MediaClock;
  readonly #positions: MediaPositions;
  readonly #delay: PlayoutDelay;
  /** The last sequence numbers that came, and those that were given up, and since when they were missed; by {@link slotOf}. */
  readonly #cameSequences = new Float64Array(historyPackets).fill(NaN);
  readonly #lostSequences = new Float64Array(historyPackets).fill(NaN);
  readonly #missedSinceMs = new Float64Array(historyPackets);
  /** In order of sequence. */
  #held: Held[] = [];
  readonly #candidates: StreamCandidates;
  #ssrc: number | null = null;
  #nextSequence = 0;
  #nextSample = 0;
  #lastPacketSamples = defaultPacketSamples;
  /** The latest arrival seen. */
  #nowMs = 0;

  constructor({ codec, counts, levels, clock, playoutDelay = {}, maxPackets = 64 }: JitterBufferOptions) {
    this.counts = counts ?? createMediaCounts();
    this.levels = levels ?? createMediaLevels();
    this.#codec = codec;
    this.#isOpus = codec.mimeType.toLowerCase() === 'audio/opus';
    this.#maxPackets = maxPackets;
    this.#candidates = new StreamCandidates(maxPackets);
    this.#delay = new PlayoutDelay(playoutDelay);
    this.#maxHeldTicks = (this.#delay.maxDelayMs * codec.clockRateHz) / 1000;
    this.#samplesPerTick = sampleRateHz / codec.clockRateHz;
    this.#clock = clock ?? new MediaClock();
    this.#positions = new MediaPositions(codec, this.#clock);
  }

  /** Packets that wait, each counted as received but not yet under a fate. */
  get heldPackets(): number {
    return this.#held.filter((held) => held.sampleCount !== null).length + this.#candidates.count;
  }

  /** Whether nothing waits. */
  get empty(): boolean {
    return this.#held.length === 0 && this.#candidates.count === 0;
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
      this.#positions.begin(packet.timestamp);
    }
    const sequence = unwrapNear(packet.sequenceNumber, this.#nextSequence, sequenceModulus);
    const ahead = sequence - this.#nextSequence;
    if (packet.ssrc === this.#ssrc && ahead <= maxDropoutPackets && ahead >= -maxMisorderPackets) {
      if (audio) this.#measure(packet);
      if (ahead === 0 && this.#held.length === 0) {
        this.#pass(sequence, packet, audio ? this.#samplesOf(packet.payload) : null, 0, emit);
      } else {
        this.#accept(sequence, packet, audio);
        this.#release(emit, false);
      }
      if (this.#candidates.outlived()) this.#ignoreCandidates();
    } else if (audio) {
      this.#consider(packet, emit);
    }
  }

  /** Waits no longer for what is missing. */
  pause(emit: Emit<PlayoutItem>): void {
    this.#release(emit, true);
    if (this.#candidates.count > 1) this.#follow(emit);
    this.#release(emit, true);
  }

  flush(emit: Emit<PlayoutItem>): void {
    this.pause(emit);
    this.#ignoreCandidates();
  }

  close(): void {
    this.#held = [];
    this.#candidates.take();
  }

  #isAudio(packet: RtpPacket): boolean {
    return packet.payloadType === this.#codec.payloadType && packet.payload.length > 0;
  }

  /** Holds a packet at its place, unless that place is taken or past. */
  #accept(sequence: number, packet: RtpPacket, audio: boolean): void {
    const past = sequence < this.#nextSequence;
    let at = this.#held.length;
    while (at > 0 && (this.#held[at - 1]?.sequence ?? 0) > sequence) at--;
    const taken = past ? this.#cameSequences[slotOf(sequence)] === sequence : this.#held[at - 1]?.sequence === sequence;
    if (past || taken) {
      if (audio) this.counts[taken ? 'duplicate' : 'late']++;
      if (past) this.#cameLate(sequence, packet.arrivalMs);
      return;
    }
    this.#held.splice(at, 0, { sequence, packet, sampleCount: audio ? this.#samplesOf(packet.payload) : null });
  }

  #measure({ timestamp, arrivalMs }: RtpPacket): void {
    this.#delay.arrived(this.#positions.sentMs(timestamp), arrivalMs);
    this.levels.jitterMs = this.#delay.jitterMs;
    this.levels.playoutDelayMs = this.#delay.delayMs(this.#nowMs);
  }

  /** What came after all was not lost, and the next like it is waited for. */
  #cameLate(sequence: number, arrivalMs: number): void {
    const slot = slotOf(sequence);
    this.#cameSequences[slot] = sequence;
    if (this.#lostSequences[slot] !== sequence) return;
    this.#lostSequences[slot] = NaN;
    this.counts.lost--;
    this.#delay.cameLate(arrivalMs - (this.#missedSinceMs[slot] ?? 0), this.#nowMs);
  }

  /** Gives up the sequence numbers before `end`, which have been missed since a time. */
  #giveUpUntil(end: number, sinceMs: number): void {
    this.counts.lost += end - this.#nextSequence;
    // What is further back is another sequence if it comes.
    for (let sequence = Math.max(this.#nextSequence, end - historyPackets); sequence < end; sequence++) {
      this.#lostSequences[slotOf(sequence)] = sequence;
      this.#missedSinceMs[slotOf(sequence)] = sinceMs;
    }
  }

  /** Judges a packet of another stream: some that go together are a new stream, one alone is a stray. */
  #consider(packet: RtpPacket, emit: Emit<PlayoutItem>): void {
    switch (this.#candidates.offer(packet, this.#delay.jitterMs)) {
      case 'duplicate':
        this.counts.duplicate++;
        return;
      case 'complete':
        this.#follow(emit);
        return;
      case 'another':
        if (this.#candidates.count > 1) this.#follow(emit);
        this.#ignoreCandidates();
        this.#candidates.offer(packet, this.#delay.jitterMs);
        return;
      case 'held':
    }
  }

  #ignoreCandidates(): void {
    this.counts.ignored += this.#candidates.take().length;
  }

  /** Goes on with the stream of the candidates. */
  #follow(emit: Emit<PlayoutItem>): void {
    this.#release(emit, true);
    const [first, ...others] = this.#candidates.take();
    if (first === undefined) return;
    const { ssrc } = first.packet;
    this.#positions.follow([first.packet, ...others.map(({ packet }) => packet)], this.#nextSample, ssrc === this.#ssrc);
    this.#delay.restart();
    this.#ssrc = ssrc;
    this.#cameSequences.fill(NaN);
    this.#lostSequences.fill(NaN);
    this.#nextSequence = first.sequence;
    for (const { sequence, packet } of [first, ...others]) this.#accept(sequence, packet, true);
    this.#release(emit, false);
  }

  /** Emits what is in order; what is behind a gap too, once the gap is given up, or if it is `forced`. */
  #release(emit: Emit<PlayoutItem>, forced: boolean): void {
    for (;;) {
      const [head] = this.#held;
      if (head === undefined) return;
      const missing = head.sequence - this.#nextSequence;
      if (missing > 0) {
        const sinceMs = this.#held.reduce((least, { packet }) => Math.min(least, packet.arrivalMs), Infinity);
        if (!forced && !this.#isGivenUp(head, sinceMs)) return;
        this.#giveUpUntil(head.sequence, sinceMs);
      }
      this.#held.shift();
      this.#pass(head.sequence, head.packet, head.sampleCount, missing, emit);
    }
  }

  /** Takes the next packet out of the sequence, and plays it unless it only fills its place. */
  #pass(sequence: number, packet: RtpPacket, sampleCount: number | null, missing: number, emit: Emit<PlayoutItem>): void {
    this.#cameSequences[slotOf(sequence)] = sequence;
    this.#nextSequence = sequence + 1;
    if (sampleCount !== null) this.#play(packet, sampleCount, missing, emit);
  }

  #isGivenUp(head: Held, sinceMs: number): boolean {
    if (this.#held.length >= this.#maxPackets || this.#nowMs - sinceMs >= this.#delay.delayMs(this.#nowMs)) return true;
    const newest = this.#held[this.#held.length - 1] ?? head;
    const { timestamp } = head.packet;
    return unwrapNear(newest.packet.timestamp, timestamp, timestampModulus) - timestamp >= this.#maxHeldTicks;
  }

  #play(packet: RtpPacket, sampleCount: number, missing: number, emit: Emit<PlayoutItem>): void {
    const startSample = this.#positions.locate(packet, this.#nextSample);
    const endSample = startSample + sampleCount;
    if (endSample <= this.#nextSample) {
      this.counts.late++;
      return;
    }
    this.#clock.arrived(startSample, packet.arrivalMs);
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
    this.#lastPacketSamples = sampleCount;
    this.counts.played++;
    const from = this.#nextSample;
    this.#nextSample = endSample;
    const { payload, audioLevelDbov } = packet;
    const item = { kind: 'packet', startSample: from, sampleCount: endSample - from, arrivalMs: this.#nowMs, payload } as const;
    emit(audioLevelDbov === undefined ? item : { ...item, audioLevelDbov });
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
}

function slotOf(sequence: number): number {
  return ((sequence % historyPackets) + historyPackets) % historyPackets;
}
