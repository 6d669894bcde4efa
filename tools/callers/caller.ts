// What one simulated caller sends: clips and silence as one unbroken RTP stream. No clock, no socket.
import { opusFrameSamples, parseOpusPacket } from '../../src/pipeline/opus-packet.ts';
import type { OggOpus } from '../audio/ogg-opus.ts';
import { writeRtp } from '../audio/rtp-writer.ts';
import type { Random } from './random.ts';
import type { Floor } from './floor.ts';

/** A clip as it is sent. */
export interface LoadedClip {
  readonly name: string;
  readonly audio: OggOpus;
}

/** Options of a {@link Caller}. */
export interface CallerOptions {
  readonly participantId: string;
  readonly ssrc: number;
  readonly payloadType: number;
  readonly clips: readonly LoadedClip[];
  readonly random: Random;
  /** Says when it may speak. */
  readonly floor: Floor;
}

/** One packet of a caller. */
export interface CallerPacket {
  readonly rtp: Uint8Array;
  /** Set where this packet is a clip's first. */
  readonly began: { readonly clip: string; readonly startSample: number; readonly durationSamples: number } | null;
}

/** 20 ms of fullband CELT silence, the frame that Opus encoders send for digital silence. */
const silenceFrame = Uint8Array.of(0xf8, 0xff, 0xfe);
const ticksPerSample = 3;

/** Speaks its clips in random order, with silence frames between, as the floor allows. */
export class Caller {
  readonly participantId: string;
  readonly #options: CallerOptions;
  readonly #firstTimestamp: number;
  #sequence: number;
  #order: LoadedClip[] = [];
  #speaking: LoadedClip | null = null;
  #packetIndex = 0;
  #position = 0;
  #packets = 0;
  #clips = 0;

  constructor(options: CallerOptions) {
    if (options.clips.length === 0) throw new Error('Expected a caller to have one clip or more, got none');
    this.#options = options;
    this.participantId = options.participantId;
    this.#sequence = Math.floor(options.random() * 2 ** 16);
    this.#firstTimestamp = Math.floor(options.random() * 2 ** 32);
    options.floor.join(this);
  }

  /** Media sent so far, samples at 16 kHz; the next packet is due when as much time has passed. */
  get positionSamples(): number {
    return this.#position;
  }

  get packets(): number {
    return this.#packets;
  }

  get clips(): number {
    return this.#clips;
  }

  /** The next packet. */
  next(): CallerPacket {
    const began = this.#speaking === null && this.#options.floor.mayBegin(this, this.#position) ? this.#begin() : null;
    const payload = this.#speaking?.audio.packets[this.#packetIndex] ?? silenceFrame;
    const rtp = writeRtp({
      sequenceNumber: this.#sequence++,
      timestamp: this.#firstTimestamp + this.#position * ticksPerSample,
      ssrc: this.#options.ssrc,
      payloadType: this.#options.payloadType,
      marker: this.#packets === 0,
      payload,
    });
    this.#packets++;
    this.#position += durationOf(payload);
    if (this.#speaking !== null && ++this.#packetIndex >= this.#speaking.audio.packets.length) {
      this.#options.floor.ended(this, this.#position, clipSamples(this.#speaking.audio));
      this.#speaking = null;
    }
    return { rtp, began };
  }

  #begin(): NonNullable<CallerPacket['began']> {
    if (this.#order.length === 0) this.#order = shuffled(this.#options.clips, this.#options.random);
    const clip = this.#order.pop() ?? this.#options.clips[0];
    if (clip === undefined) throw new Error('Expected a caller to have one clip or more, got none');
    this.#speaking = clip;
    this.#packetIndex = 0;
    this.#clips++;
    const preSkipSamples = Math.round(clip.audio.preSkipSamples48k / ticksPerSample);
    return { clip: clip.name, startSample: this.#position + preSkipSamples, durationSamples: clipSamples(clip.audio) };
  }
}

function clipSamples(audio: OggOpus): number {
  return Math.round((audio.granuleEnd48k - audio.preSkipSamples48k) / ticksPerSample);
}

function durationOf(payload: Uint8Array): number {
  return parseOpusPacket(payload)?.sampleCount ?? opusFrameSamples(payload[0] ?? 0);
}

function shuffled(clips: readonly LoadedClip[], random: Random): LoadedClip[] {
  const order = [...clips];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [order[i], order[j]];
    if (a !== undefined && b !== undefined) [order[i], order[j]] = [b, a];
  }
  return order;
}
