// The codec port: what every audio decoder of the pipeline offers, and the choice of one by MIME type.
import { UndertoneError } from '../errors.ts';
import type { TrackCodec } from '../sfu/types.ts';
import { createG711Decoder } from './g711-codec.ts';
import { createOpusDecoder } from './opus-codec.ts';

/** One packet, decoded. */
export interface DecodedChunk {
  /** 16 kHz mono, finite, [-1, 1]; as long as the packet says that it is. Owned by the receiver. */
  readonly samples: Float32Array;
  /** True where the payload was corrupt and the samples are concealment. */
  readonly concealed: boolean;
}

/**
 * Decodes the payloads of one track, in order. Synchronous once `ready` has resolved; before that, and after
 * `close()`, `decode` and `conceal` throw UT_REQUEST_INVALID. A corrupt payload never throws.
 */
export interface AudioDecoder {
  /** Resolves once packets may be decoded; rejects with UT_CODEC_UNSUPPORTED if the decoder cannot be made. */
  readonly ready: Promise<void>;
  /** Decodes one RTP payload. */
  decode(payload: Uint8Array): DecodedChunk;
  /**
   * Makes up `sampleCount` samples at 16 kHz for media that was lost, from what was decoded before; zeros if nothing
   * was. Advances the decoder's state as the lost packet would have.
   */
  conceal(sampleCount: number): Float32Array;
  /** Forgets what was decoded before. Until it resolves, decoding goes on with the old state. */
  reset(): Promise<void>;
  /** Frees the decoder. Safe twice and before `ready`. */
  close(): void;
}

/**
 * Makes the decoder of a track.
 * @throws UndertoneError UT_CODEC_UNSUPPORTED if there is none for its MIME type and clock rate.
 */
export function createDecoder(codec: TrackCodec): AudioDecoder {
  switch (codec.mimeType.toLowerCase()) {
    case 'audio/opus':
      return createOpusDecoder();
    case 'audio/pcmu':
      return createG711Decoder('pcmu');
    case 'audio/pcma':
      return createG711Decoder('pcma');
    default:
      throw new UndertoneError(
        'UT_CODEC_UNSUPPORTED',
        `Expected a codec of audio/opus, audio/pcmu or audio/pcma, got \`${codec.mimeType}\``,
      );
  }
}
