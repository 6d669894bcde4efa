// libopus by libopus-wasm: one WebAssembly memory for all decoders, in-band FEC, real concealment.
import { createDecoder } from 'libopus-wasm';
import type { OpusEngine } from './opus-engine.ts';
import { maxOpusPacketSamples } from './opus-packet.ts';
import { sampleRateHz } from './types.ts';

/** libopus conceals in steps of 2.5 ms. */
const concealStepSamples = 40;

/** Rejects if the module cannot be loaded or has no memory left. */
export async function createLibopusEngine(): Promise<OpusEngine> {
  const decoder = await createDecoder({ sampleRate: sampleRateHz, channels: 1, maxFrameSize: maxOpusPacketSamples });
  return {
    decode: (packet) => orNull(() => decoder.decodeFloat(packet)),
    conceal: (sampleCount) => {
      const wanted = Math.min(maxOpusPacketSamples, Math.ceil(sampleCount / concealStepSamples) * concealStepSamples);
      return orNull(() => decoder.decodePacketLossFloat(wanted));
    },
    recover: (next, { frameSamples }) => orNull(() => decoder.decodeFloat(next, { decodeFec: true, frameSize: frameSamples })),
    free: () => {
      decoder.free();
    },
  };
}

/** It throws where libopus refuses a packet. */
function orNull(decode: () => Float32Array): Float32Array | null {
  try {
    return decode();
  } catch {
    return null;
  }
}
