// Our build of libopus says of SILK, to the bit, what libopus-wasm says, which has no SIMD: real speech, every mode, with losses and FEC.
import fc from 'fast-check';
import { createEncoder, type Bandwidth, type SampleRate } from 'libopus-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLibopusEngine } from '../../../src/pipeline/libopus/engine.ts';
import { loadLibopusWasm } from '../../../src/pipeline/libopus/libopus-wasm.ts';
import { loadLibopus } from '../../../src/pipeline/libopus/module.ts';
import type { OpusEngine } from '../../../src/pipeline/opus-engine.ts';
import { opusFecSamples, parseOpusPacket, type OpusPacketInfo } from '../../../src/pipeline/opus-packet.ts';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { resample } from '../../../tools/audio/resample.ts';

// The fear of one actor and the anger of another.
const clips = ['assets/demo/1050_IWL_FEA_XX.opus', 'assets/demo/1015_IEO_ANG_HI.opus'];
const [narrow, medium, wide, full] = [1101, 1102, 1103, 1105] as unknown as Bandwidth[];
let speech = new Float32Array();

beforeAll(async () => {
  const parts = await Promise.all(clips.map(async (clip) => samplesOf(await readRecording(clip))));
  const all = parts.flatMap((part) => [...part]);
  speech = Float32Array.from(all.slice(0, all.length - (all.length % 960)));
});

interface Encoding {
  readonly kbps: number;
  readonly maxBandwidth?: Bandwidth | undefined;
  readonly sampleRate?: SampleRate;
  readonly milliseconds?: number;
  readonly fec?: boolean;
  readonly channels?: 1 | 2;
}

async function encode({ kbps, maxBandwidth, sampleRate = 16_000, milliseconds = 20, fec = false, channels = 1 }: Encoding) {
  const frameSize = (sampleRate / 1000) * milliseconds;
  const encoder = await createEncoder({
    ...{ channels, sampleRate, frameSize, application: 2048, bitrate: kbps * 1000, complexity: 9 },
    ...(fec ? { fec, packetLossPercent: 20 } : {}),
  });
  if (maxBandwidth !== undefined) encoder.setMaxBandwidth(maxBandwidth);
  const samples = sampleRate === 16_000 ? speech : resample(speech, 16_000, sampleRate);
  const packets: Uint8Array[] = [];
  for (let at = 0; at + frameSize <= samples.length; at += frameSize) {
    const frame = samples.subarray(at, at + frameSize);
    const both = Float32Array.from({ length: channels * frameSize }, (_, i) => frame[Math.floor(i / channels)] ?? 0);
    packets.push(encoder.encodeFloat(both).slice());
  }
  encoder.free();
  return packets;
}

/** What an engine makes of packets of which some are lost: by FEC where the next one has it, else by concealment. */
function heard(engine: OpusEngine, packets: readonly Uint8Array[], isLost: (n: number) => boolean): (Float32Array | null)[] {
  return packets.map((packet, n) => {
    const info = parseOpusPacket(packet);
    if (info === null) return null;
    const next = packets[n + 1];
    if (!isLost(n)) return engine.decode(packet)?.slice() ?? null;
    if (next !== undefined && !isLost(n + 1) && opusFecSamples(next) > 0) return engine.recover(next, info)?.slice() ?? null;
    return engine.conceal(info.sampleCount)?.slice() ?? null;
  });
}

async function both(packets: readonly Uint8Array[], isLost: (n: number) => boolean): Promise<(Float32Array | null)[][]> {
  const engines = [await createLibopusEngine(loadLibopus), await createLibopusEngine(loadLibopusWasm)];
  try {
    return engines.map((engine) => heard(engine, packets, isLost));
  } finally {
    for (const engine of engines) engine.free();
  }
}

/** Infinite where one says more than the other. */
function greatestDifference(own: readonly (Float32Array | null)[], reference: readonly (Float32Array | null)[]): number {
  return own.reduce((most, samples, n) => {
    const other = reference[n] ?? null;
    if (samples === null && other === null) return most;
    if (samples === null || samples.length !== other?.length) return Infinity;
    return samples.reduce((greatest, x, i) => Math.max(greatest, Math.abs(x - (other[i] ?? NaN))), most);
  }, 0);
}

describe('our build of libopus', () => {
  it.each<[string, Encoding, OpusPacketInfo['mode'], OpusPacketInfo['bandwidth'], boolean?]>([
    ['wide-band SILK', { kbps: 24 }, 'silk', 'wide'],
    ['wide-band SILK with FEC', { kbps: 28, fec: true, maxBandwidth: wide }, 'silk', 'wide'],
    ['wide-band SILK, as little as there is', { kbps: 12, maxBandwidth: wide }, 'silk', 'wide'],
    ['SILK in frames of 10 ms', { kbps: 24, milliseconds: 10, maxBandwidth: wide }, 'silk', 'wide'],
    ['SILK in frames of 60 ms', { kbps: 24, milliseconds: 60, maxBandwidth: wide }, 'silk', 'wide'],
    ['SILK in stereo', { kbps: 36, channels: 2, maxBandwidth: wide }, 'silk', 'wide'],
    ['medium-band SILK', { kbps: 14, maxBandwidth: medium }, 'silk', 'medium'],
    ['narrow-band SILK', { kbps: 8, maxBandwidth: narrow }, 'silk', 'narrow'],
    ['full-band hybrid', { kbps: 32, sampleRate: 48_000, maxBandwidth: full }, 'hybrid', 'full'],
    ['CELT', { kbps: 96, sampleRate: 48_000, maxBandwidth: full }, 'celt', 'full', true],
  ])('decodes, recovers and conceals %s as libopus-wasm does', async (_name, encoding, mode, bandwidth, isRounded = false) => {
    const packets = await encode(encoding);
    const modes = packets.map((packet) => parseOpusPacket(packet));
    expect(modes.filter((info) => info?.mode === mode && info.bandwidth === bandwidth).length).toBeGreaterThan(packets.length / 3);
    // What is made up in CELT has changed from libopus 1.4 to 1.6, and its floats are added up in another order.
    for (const isLost of [() => false, (n: number) => !isRounded && (n % 7 === 3 || n % 31 > 27)]) {
      const [own = [], reference = []] = await both(packets, isLost);
      expect(own.some((samples) => samples?.some((x) => Math.abs(x) > 0.05))).toBe(true);
      expect(greatestDifference(own, reference)).toBeLessThanOrEqual(isRounded ? 1e-6 : 0);
    }
  });

  it('refuses of damaged packets what libopus-wasm refuses, and stays finite', async () => {
    const packets = await encode({ kbps: 24 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(60), fc.nat(80), fc.nat(255)), { minLength: 1, maxLength: 30 }), async (damages) => {
        const damaged = packets.slice(40, 101).map((packet) => packet.slice());
        for (const [n, at, mask] of damages) {
          const packet = damaged[n] as Uint8Array;
          // The first byte says how packets are framed; what breaks that is refused before libopus sees it.
          if (packet.length > 1) packet[1 + (at % (packet.length - 1))]! ^= mask;
        }
        const [own = [], reference = []] = await both(damaged, () => false);
        expect(own.map((samples) => samples?.length)).toEqual(reference.map((samples) => samples?.length));
        expect(own.every((samples) => samples?.every(Number.isFinite) ?? true)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
