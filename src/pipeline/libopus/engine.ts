// libopus, this project's build or libopus-wasm: one WebAssembly memory for all decoders of a thread, in-band FEC, real concealment.
import type { OpusEngine } from '../opus-engine.ts';
import { maxOpusPacketSamples } from '../opus-packet.ts';
import { sampleRateHz } from '../types.ts';
import { outOfRange, type Libopus } from './module.ts';

/** libopus conceals in steps of 2.5 ms. */
const concealStepSamples = 40;
const samplesBytes = 4 * maxOpusPacketSamples;
/** No UDP datagram holds more. */
const maxPacketBytes = 65_536;

/** Where packets and samples lie in the memory: one place for all decoders, for none is interrupted. */
interface Scratch {
  readonly module: Libopus;
  readonly packetAt: number;
  readonly samplesAt: number;
  /** The samples of the packet before, to be used again: as a rule all are of one length. */
  samples: Float32Array;
}

const scratches = new Map<Libopus, Scratch>();

/** Rejects if the module cannot be loaded or has no memory left. */
export async function createLibopusEngine(load: () => Libopus | Promise<Libopus>): Promise<OpusEngine> {
  const module = await load();
  const common = scratches.get(module) ?? createScratch(module);
  scratches.set(module, common);
  const decoder = createDecoder(module);
  let isInRange = false;

  const run = (packet: Uint8Array | null, mostSamples: number, decodeFec: 0 | 1): Float32Array | null => {
    const bytes = packet?.length ?? 0;
    if (bytes > maxPacketBytes) return null;
    if (packet !== null) module.bytes.set(packet, common.packetAt);
    try {
      const count = module.decodeFloat(decoder, packet === null ? 0 : common.packetAt, bytes, common.samplesAt, mostSamples, decodeFec);
      isInRange = count < outOfRange;
      return count < 0 ? null : samplesOf(common, count & ~outOfRange);
    } catch {
      // A trap: none was ever seen, and it must cost no more than the packet.
      return null;
    }
  };

  return {
    get isInRange() {
      return isInRange;
    },
    decode: (packet) => (packet.length === 0 ? null : run(packet, maxOpusPacketSamples, 0)),
    conceal: (sampleCount) =>
      run(null, Math.min(maxOpusPacketSamples, Math.ceil(sampleCount / concealStepSamples) * concealStepSamples), 0),
    recover: (next, { frameSamples }) => (next.length === 0 ? null : run(next, frameSamples, 1)),
    free: () => {
      module.destroyDecoder(decoder);
    },
  };
}

function createScratch(module: Libopus): Scratch {
  const packetAt = allocate(module, maxPacketBytes);
  const samplesAt = allocate(module, samplesBytes);
  return { module, packetAt, samplesAt, samples: new Float32Array() };
}

function createDecoder(module: Libopus): number {
  const errorAt = allocate(module, 4);
  const decoder = module.createDecoder(sampleRateHz, 1, errorAt);
  const error = module.integers[errorAt >> 2] ?? 0;
  module.free(errorAt);
  if (decoder === 0 || error !== 0) throw new Error(`Expected libopus to make a decoder, got its error ${error}`);
  return decoder;
}

function allocate(module: Libopus, bytes: number): number {
  const at = module.malloc(bytes);
  if (at === 0) throw new Error(`Expected libopus to have ${bytes} bytes left, got none`);
  return at;
}

function samplesOf(common: Scratch, count: number): Float32Array {
  const { floats } = common.module;
  // A memory that has grown has left its old views empty.
  if (common.samples.length !== count || common.samples.buffer !== floats.buffer) {
    common.samples = floats.subarray(common.samplesAt >> 2, (common.samplesAt >> 2) + count);
  }
  return common.samples;
}
