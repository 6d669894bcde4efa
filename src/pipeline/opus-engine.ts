// The port behind the Opus decoder: what each build of libopus in WebAssembly offers, its surprises kept inside.
import type { OpusPacketInfo } from './opus-packet.ts';

/** The builds of libopus there are to choose from. */
export const opusLibraries = ['libopus', 'libopus-wasm', 'opus-decoder'] as const;

/** A build of libopus. */
export type OpusLibrary = (typeof opusLibraries)[number];

/**
 * One decoder of one track, 16 kHz mono. Samples are as libopus made them, perhaps out of range; the receiver may change them, and
 * they hold until any decoder of the thread is called again or made.
 */
export interface OpusEngine {
  /** Whether the last samples are known to lie from -1 to 1. Where they are not, whoever uses them sees to it. */
  readonly isInRange: boolean;
  /** Decodes a packet of valid framing; null where libopus refuses it. */
  decode(packet: Uint8Array): Float32Array | null;
  /** Makes up samples from what was decoded before: as many as asked for or more; null where it cannot. */
  conceal(sampleCount: number): Float32Array | null;
  /** Decodes the FEC that `next` carries of the frame before it; null where this build of libopus cannot. */
  recover(next: Uint8Array, info: OpusPacketInfo): Float32Array | null;
  /** Safe once. */
  free(): void;
}
