// One caller's stages in a row: ordered packets, sound, features, speech, windows.
import type { Emit, Processor } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { Decoder } from './decoder.ts';
import { FeatureExtractor, type RawFrame } from './feature-extractor.ts';
import { JitterBuffer } from './jitter-buffer.ts';
import type { MediaClock } from './media-clock.ts';
import { createMediaCounts } from './media-counts.ts';
import type { PlayoutDelayOptions } from './playout-delay.ts';
import { SilenceGate } from './silence-gate.ts';
import { SpeechDetector, type DetectedSpeech } from './speech-detector.ts';
import type { FeatureFrame, FrontEndSpec, MediaCounts, MediaLevels, PcmChunk, PipelineOutput, PlayoutItem, RtpPacket } from './types.ts';
import { WindowAssembler, type Track } from './window-assembler.ts';

/** What of a front end is configuration. */
export interface FrontEndSettings {
  /** Bounds of how long a missing packet is waited for. @default 20 to 200 ms */
  readonly playoutDelay?: PlayoutDelayOptions | undefined;
  /** Whether packets of a silent participant are left undecoded. @default true */
  readonly skipSilence?: boolean | undefined;
}

/** Options of a {@link FrontEnd}. */
export interface FrontEndOptions extends FrontEndSettings {
  readonly track: Track;
  /** The model's numbers. */
  readonly spec: FrontEndSpec;
  /** Must be ready before the first packet; the front end closes it. Null where only samples come. */
  readonly decoder: AudioDecoder | null;
  /** Counts of the track's media, kept up to date. @default all zero */
  readonly counts?: MediaCounts | undefined;
  /** How its packets come, kept up to date. @default its own */
  readonly levels?: MediaLevels | undefined;
  /** Where the track lies on the wall clock, kept up to date. @default its own */
  readonly clock?: MediaClock | undefined;
  /** Told of each frame in order, before the window that it completes. The arrays of a frame are reused. */
  readonly onFrame?: ((frame: FeatureFrame) => void) | undefined;
}

/**
 * The stages of one caller as plain calls: no stream, no clock, so the packets alone decide what comes out. Samples that were
 * never in a packet enter after the decoder.
 */
export class FrontEnd implements Processor<RtpPacket, PipelineOutput> {
  readonly counts: MediaCounts;
  readonly #buffer: JitterBuffer;
  readonly #gate: SilenceGate | null;
  readonly #decoder: Decoder | null;
  readonly #extractor = new FeatureExtractor();
  readonly #detector = new SpeechDetector();
  readonly #assembler: WindowAssembler;
  readonly #onFrame: ((frame: FeatureFrame) => void) | undefined;
  /** Where outputs go while a call is under way. */
  #emit: Emit<PipelineOutput> = nowhere;

  constructor({ track, spec, decoder, onFrame, skipSilence = true, playoutDelay, levels, clock, counts }: FrontEndOptions) {
    this.counts = counts ?? createMediaCounts();
    const { codec } = track;
    this.#buffer = new JitterBuffer({
      codec,
      counts: this.counts,
      playoutDelay,
      ...(levels === undefined ? {} : { levels }),
      ...(clock === undefined ? {} : { clock }),
    });
    this.#gate = skipSilence ? new SilenceGate({ codec, counts: this.counts }) : null;
    this.#decoder = decoder === null ? null : new Decoder({ decoder, counts: this.counts });
    this.#assembler = new WindowAssembler(track, spec);
    this.#onFrame = onFrame;
  }

  process(packet: RtpPacket, emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#buffer.process(packet, this.#order);
  }

  /** Takes samples that follow one another from 0. Not to be mixed with packets. */
  processSamples(chunk: PcmChunk, emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#hear(chunk);
  }

  pause(emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#buffer.pause(this.#order);
    this.#gate?.pause(this.#decode);
    this.#detector.pause(this.#assemble);
  }

  flush(emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#buffer.flush(this.#order);
    this.#gate?.flush(this.#decode);
    this.#extractor.flush();
    this.#detector.flush(this.#assemble);
    this.#assembler.flush();
  }

  close(): void {
    this.#emit = nowhere;
    this.#buffer.close();
    this.#gate?.close();
    this.#decoder?.close();
    this.#extractor.close();
    this.#detector.close();
    this.#assembler.close();
  }

  readonly #order = (item: PlayoutItem): void => {
    if (this.#gate === null) this.#decode(item);
    else this.#gate.process(item, this.#decode);
  };

  readonly #decode = (item: PlayoutItem): void => {
    if (this.#decoder === null) throw new Error('Expected samples, got a packet');
    this.#decoder.process(item, this.#hear);
  };

  readonly #hear = (chunk: PcmChunk): void => {
    this.#extractor.process(chunk, this.#detect);
  };

  readonly #detect = (frame: RawFrame): void => {
    this.#detector.process(frame, this.#assemble);
  };

  readonly #assemble = (detected: DetectedSpeech): void => {
    if (detected.kind === 'frame') this.#onFrame?.(detected.frame);
    this.#assembler.process(detected, this.#emit);
  };
}

function nowhere(): void {
  // Before the first call, and after the last.
}
