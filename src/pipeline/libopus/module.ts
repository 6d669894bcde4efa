// Loads the libopus that this project builds (`npm run build:opus`): the innermost loops of its decoder in SIMD.
import { readFileSync } from 'node:fs';
import { instantiateAlone, type WebAssemblyMemory } from '../../wasm.ts';

/** Added to a count of samples of which one may lie beyond 1 or be no number. */
export const outOfRange = 0x1_0000;

/** libopus in WebAssembly, as far as decoding needs it. Places are bytes in its memory, samples are by channel. */
export interface Libopus {
  /** Views of the memory; others after it has grown. */
  readonly bytes: Uint8Array;
  readonly integers: Int32Array;
  readonly floats: Float32Array;
  /** 0 where there is no memory left. */
  malloc(bytes: number): number;
  free(at: number): void;
  /** Writes libopus's error to `errorAt`. */
  createDecoder(sampleRateHz: number, channels: number, errorAt: number): number;
  destroyDecoder(decoder: number): void;
  /**
   * Samples that were written, with {@link outOfRange} if some are, or libopus's error, below 0. Without a packet (0, 0 bytes) it
   * conceals.
   */
  decodeFloat(decoder: number, packetAt: number, packetBytes: number, samplesAt: number, mostSamples: number, decodeFec: 0 | 1): number;
}

type Functions = Omit<Libopus, 'bytes' | 'integers' | 'floats'>;

const code = new URL('libopus.wasm', import.meta.url);

let loaded: Libopus | undefined;

/** The module of this thread. */
export function loadLibopus(): Libopus {
  loaded ??= load();
  return loaded;
}

function load(): Libopus {
  const { memory, ...functions } = instantiateAlone(readFileSync(code)) as Functions & { readonly memory: WebAssemblyMemory };
  let bytes = new Uint8Array(memory.buffer);
  let integers = new Int32Array(memory.buffer);
  let floats = new Float32Array(memory.buffer);
  // A memory that has grown has left its old views empty.
  const follow = (): void => {
    if (bytes.length > 0) return;
    bytes = new Uint8Array(memory.buffer);
    integers = new Int32Array(memory.buffer);
    floats = new Float32Array(memory.buffer);
  };
  return {
    ...functions,
    get bytes() {
      follow();
      return bytes;
    },
    get integers() {
      follow();
      return integers;
    },
    get floats() {
      follow();
      return floats;
    },
  };
}
