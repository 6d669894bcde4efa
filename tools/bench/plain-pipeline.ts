// One caller's front end from bytes off the wire: no stream, no clock, so that nothing but the packets decides what comes out.
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { FrontEnd } from '../../src/pipeline/front-end.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import type { FrontEndSpec, PipelineOutput, RtpPacket } from '../../src/pipeline/types.ts';

/** The codec of the simulated callers. */
export const callersCodec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** The track that plain pipelines are of. */
export const plainTrack = { callId: 'plain', participantId: 'plain', trackId: 'plain', codec: callersCodec };

/** The stages of `callerPipeline`, called one after another. */
export class PlainPipeline {
  readonly #frontEnd: FrontEnd;
  readonly #emit: (output: PipelineOutput) => void;

  /** @param decoder must be ready; its owner closes it */
  constructor(spec: FrontEndSpec, decoder: AudioDecoder, emit: (output: PipelineOutput) => void) {
    this.#frontEnd = new FrontEnd({ track: plainTrack, spec, decoder });
    this.#emit = emit;
  }

  /** Takes a packet off the wire. @throws Error if it is no RTP. */
  take(data: Uint8Array, arrivalMs: number): void {
    const packet = parseRtp({ data, arrivalMs });
    if (typeof packet === 'string') throw new Error(`Expected RTP, got a packet with a fault: ${packet}`);
    this.takePacket(packet);
  }

  /** Takes a packet that was parsed. */
  takePacket(packet: RtpPacket): void {
    this.#frontEnd.process(packet, this.#emit);
  }

  /** Gives out what is held back, as when packets stop. */
  pause(): void {
    this.#frontEnd.pause(this.#emit);
  }
}
