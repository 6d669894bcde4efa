// Opus to 16 kHz mono, by whichever build of libopus: what is decoded, concealed or recovered, always finite and in range.
import { messageOf, UndertoneError } from '../errors.ts';
import type { AudioDecoder, DecodedChunk } from './audio-decoder.ts';
import { createLibopusEngine } from './libopus/engine.ts';
import { loadLibopusWasm } from './libopus/libopus-wasm.ts';
import { loadLibopus } from './libopus/module.ts';
import { createOpusDecoderEngine } from './opus-decoder-engine.ts';
import type { OpusEngine, OpusLibrary } from './opus-engine.ts';
import { opusFecSamples, parseOpusPacket, type OpusPacketInfo } from './opus-packet.ts';

/** What a corrupt packet is taken for where nothing was decoded before: 20 ms. */
const defaultSamples = 320;

/** A longer frame is several of SILK's, of which it cannot be told which the FEC holds: 20 ms. */
const maxWholeFecSamples = 320;

/** The build of libopus that is used where none is named; docs/adr/0007 and 0027 say why. */
export const defaultOpusLibrary: OpusLibrary = 'libopus';

const engines: Record<OpusLibrary, () => Promise<OpusEngine>> = {
  libopus: () => createLibopusEngine(loadLibopus),
  'libopus-wasm': () => createLibopusEngine(loadLibopusWasm),
  'opus-decoder': createOpusDecoderEngine,
};

/** Makes a decoder of Opus packets. Stereo packets are mixed down, losses concealed and recovered by libopus itself. */
export function createOpusDecoder(library: OpusLibrary = defaultOpusLibrary): AudioDecoder {
  let current: OpusEngine | null = null;
  let closed = false;
  let resetting: Promise<void> | null = null;
  let lastMode: OpusPacketInfo['mode'] | null = null;
  let lastSampleCount = defaultSamples;

  const replace = async (): Promise<void> => {
    let next: OpusEngine;
    try {
      next = await engines[library]();
    } catch (cause) {
      throw new UndertoneError('UT_CODEC_UNSUPPORTED', `The Opus decoder could not be made: ${messageOf(cause)}`, { cause });
    }
    if (closed) {
      next.free();
      return;
    }
    current?.free();
    current = next;
    lastMode = null;
  };

  const engine = (): OpusEngine => {
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

  /** Not a number in the output means not a number in the decoder's state, which would never leave it again. */
  const safe = (samples: Float32Array): boolean => {
    if (makeSafe(samples)) return true;
    reset().catch(ignoreFailedReset);
    return false;
  };

  const conceal = (sampleCount: number): Float32Array => {
    const decoder = engine();
    const samples = new Float32Array(sampleCount);
    for (let at = 0; at < sampleCount;) {
      const made = decoder.conceal(sampleCount - at);
      if (made === null || made.length === 0) break;
      samples.set(made.subarray(0, sampleCount - at), at);
      at += made.length;
    }
    safe(samples);
    return samples;
  };

  const decode = (payload: Uint8Array): DecodedChunk => {
    const decoder = engine();
    const info = parseOpusPacket(payload);
    if (info === null) return { samples: conceal(lastSampleCount), concealed: true };
    lastSampleCount = info.sampleCount;
    const samples = decoder.decode(payload);
    if (samples?.length !== info.sampleCount) return { samples: conceal(info.sampleCount), concealed: true };
    lastMode = info.mode;
    return { samples, concealed: !decoder.isInRange && !safe(samples) };
  };

  // libopus gives concealment, not FEC, to a decoder that decoded CELT last; and opus-decoder has none to give.
  const fecSamples = (next: Uint8Array): number =>
    library === 'opus-decoder' || lastMode === null || lastMode === 'celt' ? 0 : opusFecSamples(next);

  const recover = (next: Uint8Array): DecodedChunk => {
    const decoder = engine();
    const sampleCount = fecSamples(next);
    const info = parseOpusPacket(next);
    const samples = sampleCount === 0 || info === null ? null : decoder.recover(next, info);
    if (samples?.length !== sampleCount) return { samples: conceal(sampleCount), concealed: true };
    return { samples, concealed: (!decoder.isInRange && !safe(samples)) || sampleCount > maxWholeFecSamples };
  };

  const ready = replace();
  // Whoever awaits `ready` sees the failure; a track closed before then must not raise an unhandled rejection.
  ready.catch(() => undefined);

  return {
    ready,
    decode,
    conceal,
    fecSamples,
    recover,
    reset,
    close: () => {
      closed = true;
      current?.free();
      current = null;
    },
  };
}

/** Clamps to [-1, 1] in place, NaN to 0; false if there was a NaN. */
function makeSafe(samples: Float32Array): boolean {
  // As a rule all is well; `for of` over floats takes ten times as long.
  let beyond = 0;
  while (beyond < samples.length && Math.abs(samples[beyond] ?? 0) <= 1) beyond += 1;
  if (beyond === samples.length) return true;
  let safe = true;
  for (let i = 0; i < samples.length; i++) {
    const value = samples[i] ?? 0;
    if (value >= -1 && value <= 1) continue;
    if (Number.isNaN(value)) safe = false;
    samples[i] = value > 1 ? 1 : value < -1 ? -1 : 0;
  }
  return safe;
}

/** The old engine stays in use: its output is still clamped and finite. */
function ignoreFailedReset(): void {
  return undefined;
}
