// libopus by libopus-wasm: one WebAssembly memory for all decoders of a thread, in-band FEC, real concealment.
import { loadLibopus, type LibopusModule } from './libopus-module.ts';
import type { OpusEngine } from './opus-engine.ts';
import { maxOpusPacketSamples } from './opus-packet.ts';
import { sampleRateHz } from './types.ts';

/** libopus conceals in steps of 2.5 ms. */
const concealStepSamples = 40;
const samplesBytes = 4 * maxOpusPacketSamples;
/** No UDP datagram holds more. */
const maxPacketBytes = 65_536;

/** Where packets and samples lie in the memory: one place for all decoders, for none is interrupted. */
interface Scratch {
  readonly module: LibopusModule;
  readonly packetAt: number;
  readonly samplesAt: number;
  /** The samples of the packet before, to be used again: as a rule all are of one length. */
  samples: Float32Array;
}

let scratch: Scratch | null = null;

/** Rejects if the module cannot be loaded or has no memory left. */
export async function createLibopusEngine(): Promise<OpusEngine> {
  const module = await loadLibopus();
  scratch ??= createScratch(module);
  const common = scratch;
  const decoder = createDecoder(module);

  const run = (packet: Uint8Array | null, mostSamples: number, decodeFec: 0 | 1): Float32Array | null => {
    const bytes = packet?.length ?? 0;
    if (bytes > maxPacketBytes) return null;
    if (packet !== null) module.HEAPU8.set(packet, common.packetAt);
    try {
      const count = module._oc_decode_float(
        decoder,
        packet === null ? 0 : common.packetAt,
        bytes,
        common.samplesAt,
        mostSamples,
        decodeFec,
      );
      return count < 0 ? null : samplesOf(common, count);
    } catch {
      // A trap: none was ever seen, and it must cost no more than the packet.
      return null;
    }
  };

  return {
    decode: (packet) => (packet.length === 0 ? null : run(packet, maxOpusPacketSamples, 0)),
    conceal: (sampleCount) =>
      run(null, Math.min(maxOpusPacketSamples, Math.ceil(sampleCount / concealStepSamples) * concealStepSamples), 0),
    recover: (next, { frameSamples }) => (next.length === 0 ? null : run(next, frameSamples, 1)),
    free: () => {
      module._oc_destroy_decoder(decoder);
    },
  };
}

function createScratch(module: LibopusModule): Scratch {
  const packetAt = allocate(module, maxPacketBytes);
  const samplesAt = allocate(module, samplesBytes);
  return { module, packetAt, samplesAt, samples: new Float32Array() };
}

function createDecoder(module: LibopusModule): number {
  const errorAt = allocate(module, 4);
  const decoder = module._oc_create_decoder(sampleRateHz, 1, errorAt);
  const error = module.HEAP32[errorAt >> 2] ?? 0;
  module._free(errorAt);
  if (decoder === 0 || error !== 0) throw new Error(`Expected libopus to make a decoder, got its error ${error}`);
  return decoder;
}

function allocate(module: LibopusModule, bytes: number): number {
  const at = module._malloc(bytes);
  if (at === 0) throw new Error(`Expected libopus to have ${bytes} bytes left, got none`);
  return at;
}

function samplesOf(common: Scratch, count: number): Float32Array {
  const { HEAPF32: heap } = common.module;
  // A memory that has grown has left its old views empty.
  if (common.samples.length !== count || common.samples.buffer !== heap.buffer) {
    common.samples = heap.subarray(common.samplesAt >> 2, (common.samplesAt >> 2) + count);
  }
  return common.samples;
}
