// One offline caller's front end: the stages that serve, fed with packets or with samples that were never in one.
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { FrontEnd } from '../../src/pipeline/front-end.ts';
import { createMediaCounts } from '../../src/pipeline/media-counts.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import type { FeatureFrame, FrontEndSpec, MediaCounts, PipelineOutput } from '../../src/pipeline/types.ts';
import type { Track } from '../../src/pipeline/window-assembler.ts';
import type { TrackCodec } from '../../src/sfu/types.ts';
import { codecs, type Media } from './media.ts';

/** What the speech detector made of a frame. */
export type HeardFrame = Pick<FeatureFrame, 'index' | 'speech' | 'concealed'>;

/** Makes the decoder of a track. */
export type DecoderOf = (codec: TrackCodec) => AudioDecoder;

/** Told of what one caller's front end gives out. */
export interface FrontEndReceiver {
  readonly onOutput: (output: PipelineOutput) => void;
  /** Told of each frame in order, before the window that it completes. */
  readonly onFrame?: ((frame: HeardFrame) => void) | undefined;
}

/** A {@link FrontEnd} that takes {@link Media}. */
export class OfflineFrontEnd {
  readonly counts: MediaCounts = createMediaCounts();
  readonly #frontEnd: FrontEnd;
  readonly #onOutput: (output: PipelineOutput) => void;
  readonly #audioLevelExtensionId: number | undefined;
  #pcmSamples = 0;

  private constructor(track: Track, spec: FrontEndSpec, decoder: AudioDecoder | null, { onOutput, onFrame }: FrontEndReceiver) {
    this.#frontEnd = new FrontEnd({ track, spec, decoder, onFrame, counts: this.counts });
    this.#onOutput = onOutput;
    this.#audioLevelExtensionId = track.audioLevelExtensionId;
  }

  /** Resolves once the track's decoder is ready. */
  static async open(
    track: Track,
    spec: FrontEndSpec,
    receiver: FrontEndReceiver,
    decoderOf: DecoderOf = createDecoder,
  ): Promise<OfflineFrontEnd> {
    if (track.codec.mimeType === codecs.pcm.mimeType) return new OfflineFrontEnd(track, spec, null, receiver);
    const decoder = decoderOf(track.codec);
    await decoder.ready;
    return new OfflineFrontEnd(track, spec, decoder, receiver);
  }

  /** @throws Error if a packet is no RTP, or comes to a track without a decoder. */
  take(media: Media): void {
    if (media.kind === 'pcm') {
      const { samples, arrivalMs } = media;
      this.#frontEnd.processSamples({ startSample: this.#pcmSamples, samples, concealed: false, arrivalMs }, this.#onOutput);
      this.#pcmSamples += samples.length;
      return;
    }
    const packet = parseRtp(media, this.#audioLevelExtensionId);
    if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
    this.#frontEnd.process(packet, this.#onOutput);
  }

  /** Gives out what is held back, as when packets stop coming. */
  pause(): void {
    this.#frontEnd.pause(this.#onOutput);
  }

  /** Gives out what is held back, at the end of the media. */
  flush(): void {
    this.#frontEnd.flush(this.#onOutput);
  }

  close(): void {
    this.#frontEnd.close();
  }
}
