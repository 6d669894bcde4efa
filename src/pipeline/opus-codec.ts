// Opus to 16 kHz mono: opus-decoder (libopus in WebAssembly) with its surprises kept inside.
import { OpusDecoder } from 'opus-decoder';
import { messageOf, UndertoneError } from '../errors.ts';
import type { AudioDecoder, DecodedChunk } from './audio-decoder.ts';
import { opusFrameSamples, parseOpusPacket } from './opus-packet.ts';
import { sampleRateHz } from './types.ts';

type Wasm = OpusDecoder<typeof sampleRateHz>;

/** Size of opus-decoder's input buffer for one channel; a longer packet would overrun it. */
const maxPayloadBytes = 3840;

/** What a corrupt packet is taken for where nothing was decoded before: 20 ms. */
const defaultSamples = 320;

/**
 * Makes a decoder of Opus packets. Stereo packets are mixed down by libopus itself. Concealment is libopus's own.
 */
export function createOpusDecoder(): AudioDecoder {
  let current: Wasm | null = null;
  let closed = false;
  let resetting: Promise<void> | null = null;
  let lastToc: number | null = null;
  let lastSampleCount = defaultSamples;

  const replace = async (): Promise<void> => {
    // One stream, not coupled: a mono decoder, to which libopus mixes stereo packets down.
    const next = new OpusDecoder<typeof sampleRateHz>({ sampleRate: sampleRateHz, channels: 1 });
    try {
      await next.ready;
    } catch (cause) {
      throw new UndertoneError('UT_CODEC_UNSUPPORTED', `The Opus decoder could not be made: ${messageOf(cause)}`, { cause });
    }
    // free() is only safe now: before `ready` it throws.
    if (closed) {
      next.free();
      return;
    }
    current?.free();
    current = next;
    lastToc = null;
  };

  const wasm = (): Wasm => {
    if (current === null) {
      throw new UndertoneError('UT_REQUEST_INVALID', `Expected an open Opus decoder, got one that is ${closed ? 'closed' : 'not ready'}`);
    }
    return current;
  };

  const reset = (): Promise<void> => {
    resetting ??= replace().finally(() => {
      resetting = null;
    });
    return resetting;
  };

  const conceal = (sampleCount: number): Float32Array => {
    const decoder = wasm();
    const samples = new Float32Array(sampleCount);
    if (lastToc === null) return samples;
    for (let at = 0; at < sampleCount;) {
      // A packet that is nothing but a TOC byte makes libopus conceal one frame of that length; an empty one would make 120 ms.
      const frame = run(decoder, Uint8Array.of(concealToc(lastToc, sampleCount - at)));
      if (frame === null || frame.length === 0) break;
      samples.set(frame.subarray(0, sampleCount - at), at);
      at += frame.length;
    }
    if (!makeSafe(samples)) reset().catch(ignoreFailedReset);
    return samples;
  };

  const decode = (payload: Uint8Array): DecodedChunk => {
    const decoder = wasm();
    const info = payload.length <= maxPayloadBytes ? parseOpusPacket(payload) : null;
    if (info === null) return { samples: conceal(lastSampleCount), concealed: true };
    lastSampleCount = info.sampleCount;
    const samples = run(decoder, payload);
    if (samples?.length !== info.sampleCount) return { samples: conceal(info.sampleCount), concealed: true };
    lastToc = payload[0] ?? null;
    if (makeSafe(samples)) return { samples, concealed: false };
    // Not a number in the output means not a number in the decoder's state, which would never leave it again.
    reset().catch(ignoreFailedReset);
    return { samples, concealed: true };
  };

  const ready = replace();
  // Whoever awaits `ready` sees the failure; a track closed before then must not raise an unhandled rejection.
  ready.catch(() => undefined);

  return {
    ready,
    decode,
    conceal,
    reset,
    close: () => {
      closed = true;
      current?.free();
      current = null;
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

/** Clamps to [-1, 1] in place, NaN to 0; false if there was a NaN. */
function makeSafe(samples: Float32Array): boolean {
  let safe = true;
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] ?? 0;
    if (value >= -1 && value <= 1) continue;
    if (Number.isNaN(value)) safe = false;
    samples[i] = value > 1 ? 1 : value < -1 ? -1 : 0;
  }
  return safe;
}

/** The old instance stays in use: its output is still clamped and finite. */
function ignoreFailedReset(): void {
  return undefined;
}
