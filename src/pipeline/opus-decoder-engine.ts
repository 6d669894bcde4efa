// libopus by opus-decoder: a WebAssembly instance for each decoder, no FEC, concealment by a trick.
import { OpusDecoder } from 'opus-decoder';
import type { OpusEngine } from './opus-engine.ts';
import { opusFrameSamples } from './opus-packet.ts';
import { sampleRateHz } from './types.ts';

type Wasm = OpusDecoder<typeof sampleRateHz>;

/** Size of opus-decoder's input buffer for one channel; a longer packet would overrun it. */
const maxPayloadBytes = 3840;

/** Rejects if the instance cannot be made. */
export async function createOpusDecoderEngine(): Promise<OpusEngine> {
  // One stream, not coupled: a mono decoder, to which libopus mixes stereo packets down.
  const decoder = new OpusDecoder<typeof sampleRateHz>({ sampleRate: sampleRateHz, channels: 1 });
  // free() is only safe after this: before, it throws.
  await decoder.ready;
  let lastToc: number | null = null;

  return {
    isInRange: false,
    decode: (packet) => {
      if (packet.length > maxPayloadBytes) return null;
      const samples = run(decoder, packet);
      if (samples !== null) lastToc = packet[0] ?? null;
      return samples;
    },
    conceal: (sampleCount) => {
      const samples = new Float32Array(sampleCount);
      if (lastToc === null) return samples;
      for (let at = 0; at < sampleCount;) {
        // A packet that is nothing but a TOC byte makes libopus conceal one frame of that length; an empty one would make 120 ms.
        const frame = run(decoder, Uint8Array.of(concealToc(lastToc, sampleCount - at)));
        if (frame === null || frame.length === 0) break;
        samples.set(frame.subarray(0, sampleCount - at), at);
        at += frame.length;
      }
      return samples;
    },
    recover: () => null,
    free: () => {
      decoder.free();
    },
  };
}

/** Decodes one packet; null where libopus refuses it. */
function run(decoder: Wasm, packet: Uint8Array): Float32Array | null {
  // opus-decoder prints every refused packet. The call is synchronous, so nobody else's message can be lost meanwhile.
  /* eslint-disable no-console -- the library prints there, and gives no other way to keep it quiet */
  const print = console.error;
  console.error = () => undefined;
  try {
    const { channelData, errors } = decoder.decodeFrame(packet);
    return errors.length > 0 ? null : (channelData[0] ?? null);
  } finally {
    console.error = print;
  }
  /* eslint-enable no-console */
}

/** The TOC byte of the longest single frame, in the mode and bandwidth of `toc`, that is not longer than wanted; else of the shortest. */
function concealToc(toc: number, wantedSamples: number): number {
  const config = toc >> 3;
  const sizes = config >= 12 && config < 16 ? 2 : 4;
  const base = config - (config % sizes);
  let best = base << 3;
  for (let size = 0; size < sizes; size++) {
    const candidate = (base + size) << 3;
    if (opusFrameSamples(candidate) <= wantedSamples) best = candidate;
  }
  return best | (toc & 4);
}
