import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { Decoder } from '../../../src/pipeline/decoder.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import type { PcmChunk, PlayoutItem } from '../../../src/pipeline/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';

const speech = readOggOpus(readFileSync('assets/demo/1050_IWL_FEA_XX.opus')).packets;
const open: Decoder[] = [];

afterEach(() => {
  for (const decoder of open.splice(0)) decoder.close();
});

async function opusDecoder(counts = createMediaCounts()): Promise<Decoder> {
  const decoder = createDecoder({ mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 });
  await decoder.ready;
  const stage = new Decoder({ decoder, counts });
  open.push(stage);
  return stage;
}

/** Lays spans end to end and runs them through a decoder. */
function run(decoder: Decoder, spans: readonly { kind: PlayoutItem['kind']; sampleCount: number; payload?: Uint8Array }[]): PcmChunk[] {
  const chunks: PcmChunk[] = [];
  let startSample = 0;
  spans.forEach(({ kind, sampleCount, payload = new Uint8Array() }, index) => {
    const span = { startSample, sampleCount, arrivalMs: index };
    decoder.process(kind === 'packet' ? { kind, payload, ...span } : { kind, ...span }, (chunk) =>
      chunks.push({ ...chunk, samples: chunk.samples.slice() }),
    );
    startSample += sampleCount;
  });
  let at = 0;
  for (const chunk of chunks) {
    expect(chunk.startSample).toBe(at);
    at += chunk.samples.length;
  }
  expect(at).toBe(startSample);
  return chunks;
}

const voice = (from: number, to: number) =>
  speech.slice(from, to).map((payload) => ({ kind: 'packet' as const, sampleCount: 320, payload }));
const peak = (samples: Float32Array): number => samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

describe('Decoder', () => {
  it('decodes packets at their positions, with their arrival', async () => {
    const decoder = await opusDecoder();
    const chunks = run(decoder, voice(0, 60));
    expect(chunks.length).toBe(60);
    expect(chunks[59]).toMatchObject({ startSample: 59 * 320, concealed: false, arrivalMs: 59 });
    expect(peak(chunks[59]?.samples ?? new Float32Array())).toBeGreaterThan(0.01);
    expect(decoder.counts).toEqual(createMediaCounts());
  });

  it('conceals up to 100 ms of loss with a fade, then gives silence, all of it marked', async () => {
    const decoder = await opusDecoder();
    const chunks = run(decoder, [
      ...voice(0, 60),
      { kind: 'lost', sampleCount: 320 },
      { kind: 'lost', sampleCount: 40_000 },
      ...voice(60, 61),
    ]);
    const lost = chunks.slice(60, -1);
    expect(lost.map(({ samples }) => samples.length)).toEqual([320, 1280, 16_000, 16_000, 6720]);
    expect(lost.every(({ concealed }) => concealed)).toBe(true);
    const [first, second, ...silent] = lost.map(({ samples }) => samples);
    expect(peak(first ?? new Float32Array())).toBeGreaterThan(0.005);
    expect(peak(second?.subarray(0, 640) ?? new Float32Array())).toBeGreaterThan(0);
    expect(peak(second?.subarray(-20) ?? new Float32Array([1]))).toBeLessThan(0.003);
    expect(silent.every((samples) => peak(samples) === 0)).toBe(true);
    expect(chunks.at(-1)?.concealed).toBe(false);
    expect(decoder.counts).toMatchObject({ concealedSamples: 40_320, decodeErrors: 0 });
  });

  it('may conceal with sound again once a packet came', async () => {
    const decoder = await opusDecoder();
    const chunks = run(decoder, [
      ...voice(0, 60),
      { kind: 'lost', sampleCount: 1600 },
      ...voice(65, 75),
      { kind: 'lost', sampleCount: 320 },
    ]);
    expect(peak(chunks.at(-1)?.samples ?? new Float32Array())).toBeGreaterThan(0.001);
  });

  it('gives silence that is not concealment for what the sender left out, in chunks of 1 s', async () => {
    const decoder = await opusDecoder();
    const chunks = run(decoder, [...voice(0, 10), { kind: 'dtx', sampleCount: 16_000 * 60 + 5 }]).slice(10);
    expect(chunks.length).toBe(61);
    expect(chunks.every(({ samples, concealed }) => !concealed && peak(samples) === 0)).toBe(true);
    expect(decoder.counts.concealedSamples).toBe(0);
  });

  it('counts a corrupt packet and conceals it', async () => {
    const decoder = await opusDecoder();
    const chunks = run(decoder, [...voice(0, 60), { kind: 'packet', sampleCount: 320, payload: Uint8Array.of(3, 0, 9) }, ...voice(61, 62)]);
    expect(chunks.map(({ concealed }) => concealed).slice(-3)).toEqual([false, true, false]);
    expect(decoder.counts).toMatchObject({ decodeErrors: 1, concealedSamples: 320 });
  });

  it('keeps the end of a packet that is longer than its span, and pads one that is shorter', async () => {
    const whole = run(await opusDecoder(), voice(0, 60)).at(-1)?.samples ?? new Float32Array();
    const cut = run(await opusDecoder(), [...voice(0, 59), { kind: 'packet', sampleCount: 120, payload: speech[59] ?? new Uint8Array() }]);
    expect(cut.at(-1)?.samples).toEqual(whole.subarray(200));
    const padded = run(await opusDecoder(), [
      ...voice(0, 59),
      { kind: 'packet', sampleCount: 400, payload: speech[59] ?? new Uint8Array() },
    ]);
    expect(padded.at(-1)?.samples).toEqual(Float32Array.from([...whole, ...new Float32Array(80)]));
  });

  it('covers any sequence of spans exactly, with finite samples', async () => {
    const decoder = await opusDecoder();
    const span = fc.oneof(
      fc.nat(158).map((n) => ({ kind: 'packet' as const, sampleCount: 320, payload: speech[n] ?? new Uint8Array() })),
      fc
        .record({ sampleCount: fc.integer({ min: 1, max: 2000 }), payload: fc.uint8Array({ maxLength: 60 }) })
        .map((fields) => ({ kind: 'packet' as const, ...fields })),
      fc.record({ kind: fc.constantFrom('lost' as const, 'dtx' as const), sampleCount: fc.integer({ min: 1, max: 40_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(span, { maxLength: 20 }), (spans) => {
        for (const { samples } of run(decoder, spans)) expect(samples.every((x) => x >= -1 && x <= 1)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it('closes twice', async () => {
    const decoder = await opusDecoder();
    decoder.close();
    decoder.close();
    expect(() => {
      run(decoder, voice(0, 1));
    }).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
  });
});
