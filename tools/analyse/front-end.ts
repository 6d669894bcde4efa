// The stages of one caller's pipeline as plain calls: no stream and no clock, so that the media alone decides what comes out.
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { createMediaCounts, JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import { SpeechDetector, type DetectedSpeech } from '../../src/pipeline/speech-detector.ts';
import type { FeatureFrame, FrontEndSpec, MediaCounts, PcmChunk, PipelineOutput, PlayoutItem } from '../../src/pipeline/types.ts';
import { WindowAssembler, type Track } from '../../src/pipeline/window-assembler.ts';
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

/** The same stages in the same order as `callerPipeline`; samples that were never in a packet enter after the decoder. */
export class FrontEnd {
  readonly counts: MediaCounts = createMediaCounts();
  readonly #buffer: JitterBuffer;
  readonly #decoder: Decoder | null;
  readonly #extractor = new FeatureExtractor();
  readonly #detector = new SpeechDetector();
  readonly #assembler: WindowAssembler;
  readonly #receiver: FrontEndReceiver;
  #pcmSamples = 0;

  private constructor(track: Track, spec: FrontEndSpec, decoder: AudioDecoder | null, receiver: FrontEndReceiver) {
    this.#buffer = new JitterBuffer({ codec: track.codec, counts: this.counts });
    this.#decoder = decoder === null ? null : new Decoder({ decoder, counts: this.counts });
    this.#assembler = new WindowAssembler(track, spec);
    this.#receiver = receiver;
  }

  /** Resolves once the track's decoder is ready. */
  static async open(track: Track, spec: FrontEndSpec, receiver: FrontEndReceiver, decoderOf: DecoderOf = createDecoder): Promise<FrontEnd> {
    if (track.codec.mimeType === codecs.pcm.mimeType) return new FrontEnd(track, spec, null, receiver);
    const decoder = decoderOf(track.codec);
    await decoder.ready;
    return new FrontEnd(track, spec, decoder, receiver);
  }

  /** @throws Error if a packet is no RTP, or comes to a track without a decoder. */
  take(media: Media): void {
    if (media.kind === 'pcm') {
      const { samples, arrivalMs } = media;
      this.#extract({ startSample: this.#pcmSamples, samples, concealed: false, arrivalMs });
      this.#pcmSamples += samples.length;
      return;
    }
    const packet = parseRtp(media);
    if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
    this.#buffer.process(packet, this.#play);
  }

  /** Gives out what is held back, at the end of the media. */
  flush(): void {
    this.#buffer.flush(this.#play);
    this.#detector.flush(this.#assemble);
  }

  close(): void {
    this.#decoder?.close();
  }

  readonly #play = (item: PlayoutItem): void => {
    if (this.#decoder === null) throw new Error('Expected samples, got a packet');
    this.#decoder.process(item, this.#extract);
  };

  readonly #extract = (chunk: PcmChunk): void => {
    this.#extractor.process(chunk, (frame) => {
      this.#detector.process(frame, this.#assemble);
    });
  };

  readonly #assemble = (detected: DetectedSpeech): void => {
    const { onOutput, onFrame } = this.#receiver;
    if (detected.kind === 'frame') onFrame?.(detected.frame);
    this.#assembler.process(detected, onOutput);
  };
}
