// One caller's packets to sound on the media clock: order, silence, decoding, concealment.
import type { Emit, Processor } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { Decoder } from './decoder.ts';
import { JitterBuffer, type JitterBufferOptions } from './jitter-buffer.ts';
import { createMediaCounts } from './media-counts.ts';
import type { PaceReading } from './pace.ts';
import { SilenceGate } from './silence-gate.ts';
import type { PcmChunk, PlayoutItem, RtpPacket } from './types.ts';

/** What of receiving is configuration. */
export interface AudioReceiverSettings {
  /** Bounds of how long a missing packet is waited for. @default 20 to 200 ms */
  readonly playoutDelay?: JitterBufferOptions['playoutDelay'];
  /** Whether packets of a silent participant are left undecoded. @default true */
  readonly skipSilence?: boolean | undefined;
}

/** Options of an {@link AudioReceiver}. */
export interface AudioReceiverOptions extends Omit<JitterBufferOptions, 'playoutDelay' | 'maxPackets'>, AudioReceiverSettings {
  /** Must be ready before the first packet; the receiver closes it. */
  readonly decoder: AudioDecoder;
  /** Tells whether the participant waits: then nothing is decoded. @default never */
  readonly pace?: PaceReading | undefined;
}

/**
 * Chunks follow one another without hole or overlap from sample 0 at the track's first packet, and last as long as what was
 * said: what was lost is made up and marked, what was not sent is silence. Their samples may be reused once `emit` returns.
 */
export class AudioReceiver implements Processor<RtpPacket, PcmChunk> {
  readonly #buffer: JitterBuffer;
  readonly #gate: SilenceGate;
  readonly #decoder: Decoder;
  /** Where chunks go while a call is under way. */
  #emit: Emit<PcmChunk> = nowhere;

  constructor({ decoder, skipSilence, pace, counts = createMediaCounts(), ...options }: AudioReceiverOptions) {
    this.#buffer = new JitterBuffer({ ...options, counts });
    this.#gate = new SilenceGate({ codec: options.codec, counts, skipSilence, pace });
    this.#decoder = new Decoder({ decoder, counts });
  }

  process(packet: RtpPacket, emit: Emit<PcmChunk>): void {
    this.#emit = emit;
    this.#buffer.process(packet, this.#order);
  }

  /** Whether packets wait for one that is missing. */
  get waits(): boolean {
    return !this.#buffer.empty;
  }

  pause(emit: Emit<PcmChunk>): void {
    this.#emit = emit;
    this.#buffer.pause(this.#order);
    this.#gate.pause(this.#decode);
  }

  flush(emit: Emit<PcmChunk>): void {
    this.#emit = emit;
    this.#buffer.flush(this.#order);
    this.#gate.flush(this.#decode);
  }

  close(): void {
    this.#emit = nowhere;
    this.#buffer.close();
    this.#gate.close();
    this.#decoder.close();
  }

  readonly #order = (item: PlayoutItem): void => {
    this.#gate.process(item, this.#decode);
  };

  readonly #decode = (item: PlayoutItem): void => {
    this.#decoder.process(item, this.#emit);
  };
}

function nowhere(): void {
  // Before the first call, and after the last.
}
