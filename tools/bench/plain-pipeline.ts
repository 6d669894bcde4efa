// One caller's front end as plain calls: no stream, no clock, so that nothing but the packets decides what comes out.
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import { SpeechDetector, type DetectedSpeech } from '../../src/pipeline/speech-detector.ts';
import type { FrontEndSpec, PipelineOutput, PlayoutItem } from '../../src/pipeline/types.ts';
import { WindowAssembler } from '../../src/pipeline/window-assembler.ts';

/** The codec of the simulated callers. */
export const callersCodec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** The track that plain pipelines are of. */
export const plainTrack = { callId: 'plain', participantId: 'plain', trackId: 'plain', codec: callersCodec };

/** The stages of `callerPipeline`, called one after another. */
export class PlainPipeline {
  readonly #buffer = new JitterBuffer({ codec: callersCodec });
  readonly #decoder: Decoder;
  readonly #extractor = new FeatureExtractor();
  readonly #detector = new SpeechDetector();
  readonly #assembler: WindowAssembler;
  readonly #emit: (output: PipelineOutput) => void;

  /** @param decoder must be ready; its owner closes it */
  constructor(frontEnd: FrontEndSpec, decoder: AudioDecoder, emit: (output: PipelineOutput) => void) {
    this.#decoder = new Decoder({ decoder });
    this.#assembler = new WindowAssembler(plainTrack, frontEnd);
    this.#emit = emit;
  }

  /** Takes a packet off the wire. @throws Error if it is no RTP. */
  take(data: Uint8Array, arrivalMs: number): void {
    const packet = parseRtp({ data, arrivalMs });
    if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
    this.#buffer.process(packet, this.#play);
  }

  /** Gives out what is held back, as when packets stop. */
  pause(): void {
    this.#buffer.pause(this.#play);
    this.#detector.pause(this.#assemble);
  }

  readonly #play = (item: PlayoutItem): void => {
    this.#decoder.process(item, (chunk) => {
      this.#extractor.process(chunk, (frame) => {
        this.#detector.process(frame, this.#assemble);
      });
    });
  };

  readonly #assemble = (detected: DetectedSpeech): void => {
    this.#assembler.process(detected, this.#emit);
  };
}
