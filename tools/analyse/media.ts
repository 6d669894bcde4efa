// Media of one caller as it comes off the wire, and the sender that numbers and times its packets.
import { parseOpusPacket } from '../../src/pipeline/opus-packet.ts';
import { sampleRateHz } from '../../src/pipeline/types.ts';
import type { TrackCodec } from '../../src/sfu/types.ts';
import { writeRtp } from '../audio/rtp-writer.ts';

/** A packet, or samples that were never in one. `arrivalMs` is media time: the wire takes none. */
export type Media =
  | { readonly kind: 'rtp'; readonly data: Uint8Array; readonly arrivalMs: number }
  /** 16 kHz mono. */
  | { readonly kind: 'pcm'; readonly samples: Float32Array; readonly arrivalMs: number };

/** Codecs of offline callers by the media that they send; `pcm` has no decoder. */
export const codecs = {
  opus: { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 },
  pcmu: { mimeType: 'audio/pcmu', clockRateHz: 8000, channels: 1, payloadType: 0 },
  pcm: { mimeType: 'audio/l16', clockRateHz: sampleRateHz, channels: 1, payloadType: 11 },
} as const satisfies Readonly<Record<string, TrackCodec>>;

/** How an offline caller's media travels. */
export type Wire = keyof typeof codecs;

/** Samples in 20 ms at 16 kHz. */
export const packetSamples = 320;

/** 20 ms of fullband CELT silence, the frame that Opus encoders send for digital silence. */
export const opusSilence = Uint8Array.of(0xf8, 0xff, 0xfe);

const samplesPerMs = sampleRateHz / 1000;

/** Makes one caller's media in order. */
export class Sender {
  readonly #wire: Wire;
  readonly #isLost: () => boolean;
  #sequence = 0;
  #position = 0;

  /** @param isLost says of each packet, in order, whether the network loses it; the first, which sets the clock, always arrives */
  constructor(wire: Wire, isLost: () => boolean = () => false) {
    this.#wire = wire;
    this.#isLost = isLost;
  }

  /** Media sent so far, samples at 16 kHz. */
  get positionSamples(): number {
    return this.#position;
  }

  /** Sends one payload; nothing comes back where it is lost. */
  packet(payload: Uint8Array): Media[] {
    const { payloadType, clockRateHz } = codecs[this.#wire];
    const timestamp = (this.#position * clockRateHz) / sampleRateHz;
    const first = this.#sequence === 0;
    const sequenceNumber = this.#sequence++;
    const sampleCount = this.#wire === 'opus' ? (parseOpusPacket(payload)?.sampleCount ?? packetSamples) : 2 * payload.length;
    this.#position += sampleCount;
    if (this.#isLost() && !first) return [];
    const data = writeRtp({ sequenceNumber, timestamp, ssrc: 1, payloadType, payload, marker: first });
    return [{ kind: 'rtp', data, arrivalMs: this.#position / samplesPerMs }];
  }

  /** Sends nothing for so long: the next packet's timestamp says so, and its number does not. */
  pause(sampleCount: number): void {
    this.#position += sampleCount;
  }

  /** Sends samples as they are, in chunks of 20 ms. */
  *samples(samples: Float32Array): Generator<Media> {
    for (let at = 0; at < samples.length; at += packetSamples) {
      const chunk = samples.subarray(at, at + packetSamples);
      this.#position += chunk.length;
      yield { kind: 'pcm', samples: chunk, arrivalMs: this.#position / samplesPerMs };
    }
  }
}
