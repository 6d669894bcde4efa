// One caller's stages in a row: packets to sound, features, speech, windows.
import type { Emit, Processor } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { AudioReceiver, type AudioReceiverOptions } from './audio-receiver.ts';
import { FeatureExtractor, type RawFrame } from './feature-extractor.ts';
import { SpeechDetector, type DetectedSpeech } from './speech-detector.ts';
import { PacketGather } from './packet-gather.ts';
import type { BlockSource, FeatureFrame, FrontEndSpec, PcmChunk, PipelineOutput, RtpPacket } from './types.ts';
import { WindowAssembler, type Track } from './window-assembler.ts';

/** Options of a {@link FrontEnd}. */
export interface FrontEndOptions extends Omit<AudioReceiverOptions, 'codec' | 'decoder'> {
  readonly track: Track;
  /** The model's numbers. */
  readonly spec: FrontEndSpec;
  /** Must be ready before the first packet; the front end closes it. Null where only samples come. */
  readonly decoder: AudioDecoder | null;
  /** Where the blocks of windows come from. @default made anew */
  readonly blocks?: BlockSource | undefined;
  /** How long packets may wait for one another where nothing waits for them, ms; nothing comes out later for it, nor otherwise. @default 100 */
  readonly mostGatheredMs?: number | undefined;
  /** Told of each frame in order, before the window that it completes. The arrays of a frame are reused. */
  readonly onFrame?: ((frame: FeatureFrame) => void) | undefined;
}

/**
 * The stages of one caller as plain calls: no stream, no clock, so the packets alone decide what comes out. Samples that were
 * never in a packet enter after the decoder.
 */
export class FrontEnd implements Processor<RtpPacket, PipelineOutput> {
  readonly #receiver: AudioReceiver | null;
  readonly #extractor: FeatureExtractor;
  readonly #detector = new SpeechDetector();
  readonly #assembler: WindowAssembler;
  readonly #gather: PacketGather;
  readonly #hopFrames: number;
  readonly #onFrame: ((frame: FeatureFrame) => void) | undefined;
  /** Where outputs go while a call is under way. */
  #emit: Emit<PipelineOutput> = nowhere;

  constructor({ track, spec, decoder, blocks, mostGatheredMs, onFrame, ...options }: FrontEndOptions) {
    this.#receiver = decoder === null ? null : new AudioReceiver({ ...options, codec: track.codec, decoder });
    this.#extractor = new FeatureExtractor({ pitch: spec.pitch ?? false });
    this.#assembler = new WindowAssembler(track, spec, options.pace, blocks);
    this.#gather = new PacketGather(track.codec, mostGatheredMs);
    this.#hopFrames = spec.hopFrames;
    this.#onFrame = onFrame;
  }

  process(packet: RtpPacket, emit: Emit<PipelineOutput>): void {
    if (this.#receiver === null) throw new Error('Expected samples, got a packet');
    this.#emit = emit;
    if (!this.#gather.keep(packet, this.#patience(this.#receiver))) this.#gather.take(this.#receive);
  }

  /** Takes samples that follow one another from 0. Not to be mixed with packets. */
  processSamples(chunk: PcmChunk, emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#hear(chunk);
  }

  pause(emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#gather.take(this.#receive);
    this.#receiver?.pause(this.#hear);
    this.#detector.pause(this.#assemble);
  }

  flush(emit: Emit<PipelineOutput>): void {
    this.#emit = emit;
    this.#gather.take(this.#receive);
    this.#receiver?.flush(this.#hear);
    this.#extractor.flush();
    this.#detector.flush(this.#assemble);
    this.#assembler.flush();
  }

  close(): void {
    this.#emit = nowhere;
    this.#gather.clear();
    this.#receiver?.close();
    this.#extractor.close();
    this.#detector.close();
    this.#assembler.close();
  }

  /**
   * How many samples may come before anything of them is wanted. Within an utterance that is a window: its end is told half a second late in any
   * case. Before speech, in a pause and behind a gap each packet may be what is waited for.
   */
  #patience(receiver: AudioReceiver): number {
    return this.#detector.sure && !receiver.waits ? this.#extractor.samplesUntilHop(this.#hopFrames) : 0;
  }

  readonly #receive = (packet: RtpPacket): void => {
    this.#receiver?.process(packet, this.#hear);
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
