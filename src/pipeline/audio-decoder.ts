// The codec port: what every audio decoder of the pipeline offers.

/** One packet, decoded. */
export interface DecodedChunk {
  /** 16 kHz mono, finite, [-1, 1]; as long as the packet says that it is. To be copied before any decoder is called again. */
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
  /** How many samples at 16 kHz, just before `next`, {@link AudioDecoder.recover} would give; 0 where there is no FEC. */
  fecSamples(next: Uint8Array): number;
  /**
   * Decodes lost media from the redundancy (in-band FEC) in the packet after it: {@link AudioDecoder.fecSamples} samples,
   * marked as concealed where part of them may be made up. Advances the decoder's state as the lost packet would have;
   * `next` itself must be decoded after it.
   */
  recover(next: Uint8Array): DecodedChunk;
  /** Forgets what was decoded before. Until it resolves, decoding goes on with the old state. */
  reset(): Promise<void>;
  /** Frees the decoder. Safe twice and before `ready`. */
  close(): void;
}
