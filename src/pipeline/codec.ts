// The choice of a decoder by MIME type.
import { UndertoneError } from '../errors.ts';
import type { TrackCodec } from '../sfu/types.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { createG711Decoder } from './g711-codec.ts';
import { createOpusDecoder } from './opus-codec.ts';
import type { OpusLibrary } from './opus-engine.ts';

/** Options of {@link createDecoder}. */
export interface DecoderChoice {
  /** The build of libopus that decodes Opus. @default 'libopus' */
  readonly opusDecoder?: OpusLibrary | undefined;
}

/**
 * Makes the decoder of a track.
 * @throws UndertoneError UT_CODEC_UNSUPPORTED if there is none for its MIME type and clock rate.
 */
export function createDecoder(codec: TrackCodec, choice: DecoderChoice = {}): AudioDecoder {
  return decoderFactory(codec, choice)();
}

/** What would make the decoder of a track; throws as {@link createDecoder} does, and makes none. */
export function decoderFactory(codec: TrackCodec, { opusDecoder }: DecoderChoice = {}): () => AudioDecoder {
  switch (codec.mimeType.toLowerCase()) {
    case 'audio/opus':
      return () => createOpusDecoder(opusDecoder);
    case 'audio/pcmu':
      return () => createG711Decoder('pcmu');
    case 'audio/pcma':
      return () => createG711Decoder('pcma');
    default:
      throw new UndertoneError(
        'UT_CODEC_UNSUPPORTED',
        `Expected a codec of audio/opus, audio/pcmu or audio/pcma, got \`${codec.mimeType}\``,
      );
  }
}
