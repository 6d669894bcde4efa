// Real speech in real Opus packets with in-band FEC: what comes of those that are lost.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AudioDecoder } from '../../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { Decoder } from '../../../src/pipeline/decoder.ts';
import { FeatureExtractor } from '../../../src/pipeline/feature-extractor.ts';
import { JitterBuffer } from '../../../src/pipeline/jitter-buffer.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import { opusLibraries, type OpusLibrary } from '../../../src/pipeline/opus-engine.ts';
import { opusFecSamples, parseOpusPacket } from '../../../src/pipeline/opus-packet.ts';
import type { PcmChunk, PlayoutItem } from '../../../src/pipeline/types.ts';
import { opusSilence } from '../../../tools/analyse/media.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { createOpusEncoder } from '../../../tools/evaluate/encoders.ts';

const clip = 'assets/demo/1050_IWL_FEA_XX.opus';
const opus = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
/** As browsers send it: no FEC. */
const own = readOggOpus(readFileSync(clip)).packets;
const celt = Array.from({ length: 100 }, () => opusSilence);
let speech: Uint8Array[] = [];
let plain: Uint8Array[] = [];
const open: { close(): void }[] = [];

beforeAll(async () => {
  const samples = await samplesOf(await readRecording(clip));
  const whole = samples.slice(0, samples.length - (samples.length % 320));
  for (const fec of [true, false]) {
    const encoder = await createOpusEncoder(24, { fec });
    const packets = encoder.encode(whole);
    encoder.close();
    if (fec) speech = packets;
    else plain = packets;
  }
});

afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

async function decoderOf(opusDecoder?: OpusLibrary): Promise<AudioDecoder> {
  const decoder = createDecoder(opus, { opusDecoder });
  open.push(decoder);
  await decoder.ready;
  return decoder;
}

/** The packets that arrive, through jitter buffer and decoder, 20 ms apart. */
async function receive(isLost: (n: number) => boolean, packets = speech, library?: OpusLibrary) {
  const counts = createMediaCounts();
  const decoder = new Decoder({ decoder: await decoderOf(library), counts });
  const buffer = new JitterBuffer({ codec: opus, counts });
  const chunks: PcmChunk[] = [];
  const decode = (item: PlayoutItem): void => {
    decoder.process(item, (chunk) => chunks.push({ ...chunk, samples: chunk.samples.slice() }));
  };
  packets.forEach((payload, n) => {
    if (isLost(n)) return;
    const fields = { sequenceNumber: n, timestamp: n * 960, ssrc: 1, payloadType: 100, marker: false };
    buffer.process({ ...fields, payload, arrivalMs: 20 * n }, decode);
  });
  buffer.flush(decode);
  return { counts, chunks, samples: Float32Array.from(chunks.flatMap((chunk) => [...chunk.samples])) };
}

const rms = (samples: Float32Array): number => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
const spanOf = (samples: Float32Array, n: number, count = 1): Float32Array => samples.subarray(320 * n, 320 * (n + count));

/** Error of `heard` against `said` in one packet's place, relative to what was said, dB. */
function errorDb(heard: Float32Array, said: Float32Array, n: number): number {
  const expected = spanOf(said, n);
  return 20 * Math.log10(rms(spanOf(heard, n).map((x, i) => x - (expected[i] ?? 0))) / rms(expected));
}

function logMels(samples: Float32Array): Float32Array[] {
  const frames: Float32Array[] = [];
  new FeatureExtractor().process({ startSample: 0, samples, concealed: false, arrivalMs: 0 }, ({ logMel }) => frames.push(logMel.slice()));
  return frames;
}

/** Packets whose loudness and whose follower's FEC make them worth losing. */
const worthLosing = (said: Float32Array): number[] =>
  speech.flatMap((_, n) => (n > 5 && opusFecSamples(speech[n + 1] ?? new Uint8Array()) > 0 && rms(spanOf(said, n)) > 0.03 ? [n] : []));

describe('opusFecSamples', () => {
  it('finds FEC in the voiced packets of an encoder that adds it, and in none of one that does not', () => {
    const withFec = speech.filter((packet) => opusFecSamples(packet) === 320);
    expect(withFec.length).toBeGreaterThan(speech.length / 3);
    expect(speech.every((packet) => parseOpusPacket(packet)?.mode !== 'celt')).toBe(true);
    expect(plain.filter((packet) => opusFecSamples(packet) > 0)).toEqual([]);
  });

  it('finds none in CELT, in an invalid packet and in a frame of no bytes', () => {
    for (const packet of [opusSilence, new Uint8Array(), Uint8Array.of(9 << 3), Uint8Array.of((9 << 3) | 3, 0, 0xff)]) {
      expect(opusFecSamples(packet)).toBe(0);
    }
  });

  // A frame whose first byte is given, in each framing of RFC 6716, section 3.2; the second frame begins with 0.
  const framings: [string, (toc: number, first: number) => number[]][] = [
    ['code 0', (toc, first) => [toc, first, 7]],
    ['code 1', (toc, first) => [toc | 1, first, 7, 0, 7]],
    ['code 2', (toc, first) => [toc | 2, 2, first, 7, 0, 7, 7]],
    ['code 3', (toc, first) => [toc | 3, 2, first, 7, 0, 7]],
    ['code 3 with padding', (toc, first) => [toc | 3, 66, 2, first, 7, 0, 7, 0, 0]],
    ['code 3 with much padding', (toc, first) => [toc | 3, 66, 255, 0, first, 7, 0, 7, ...new Uint8Array(254)]],
    ['code 3 with lengths', (toc, first) => [toc | 3, 130, 2, first, 7, 0, 7, 7]],
  ];
  it.each(framings)('reads the flag behind the voice bits of each SILK frame: %s', (_name, make) => {
    const fecOf = (config: number, first: number): number => opusFecSamples(Uint8Array.from(make(config << 3, first)));
    expect([fecOf(9, 0b0100_0000), fecOf(9, 0b1011_1111)]).toEqual([320, 0]);
    expect([fecOf(8, 0b0100_0000), fecOf(8, 0b1011_1111)]).toEqual([160, 0]);
    expect([fecOf(10, 0b0010_0000), fecOf(10, 0b1101_1111)]).toEqual([640, 0]);
    expect([fecOf(11, 0b0001_0000), fecOf(11, 0b1110_1111)]).toEqual([960, 0]);
    expect(fecOf(13, 0b0100_0000)).toBe(320);
    expect(fecOf(20, 0xff)).toBe(0);
  });
});

describe('a lost packet', () => {
  it("is decoded from the next one's FEC: the caller's voice, not marked, counted as recovered", async () => {
    const said = (await receive(() => false)).samples;
    const lost = worthLosing(said).filter((_, i) => i % 4 === 0);
    expect(lost.length).toBeGreaterThan(5);
    const { counts, chunks, samples } = await receive((n) => lost.includes(n));
    expect(samples.length).toBe(said.length);
    expect(chunks.some(({ concealed }) => concealed)).toBe(false);
    expect(counts).toMatchObject({ lost: lost.length, recoveredSamples: 320 * lost.length, concealedSamples: 0 });
    const concealed = (await receive((n) => lost.includes(n), speech, 'opus-decoder')).samples;
    const meanDb = (heard: Float32Array): number => lost.reduce((sum, n) => sum + errorDb(heard, said, n), 0) / lost.length;
    expect(meanDb(samples)).toBeLessThan(meanDb(concealed) - 2);
    const [clean, recovered, madeUp] = [said, samples, concealed].map(logMels);
    const featureError = (heard: Float32Array[] = []): number =>
      lost.reduce((sum, n) => sum + (heard[2 * n]?.reduce((all, x, band) => all + Math.abs(x - (clean?.[2 * n]?.[band] ?? 0)), 0) ?? 0), 0);
    expect(featureError(recovered)).toBeLessThan(0.75 * featureError(madeUp));
  });

  it('leaves the decoder where the lost packet would have: the next ones are right again', async () => {
    const said = (await receive(() => false)).samples;
    for (const n of worthLosing(said).filter((_, i) => i % 9 === 0)) {
      const { samples } = await receive((each) => each === n);
      expect(spanOf(samples, 0, n)).toEqual(spanOf(said, 0, n));
      expect(rms(spanOf(samples, n + 5, 5).map((x, i) => x - (spanOf(said, n + 5, 5)[i] ?? 0)))).toBeLessThan(
        0.3 * rms(spanOf(said, n + 5, 5)),
      );
    }
  });

  it('of a burst is recovered if it is the last one; those before are made up and marked, for 100 ms, with a fade', async () => {
    const said = (await receive(() => false)).samples;
    const last = worthLosing(said).find((n) => n > 30) ?? 0;
    const { counts, chunks } = await receive((n) => n > last - 10 && n <= last);
    const lost = chunks.filter(({ startSample }) => startSample >= 320 * (last - 9) && startSample <= 320 * last);
    expect(lost.map(({ samples, concealed }) => [samples.length, concealed])).toEqual([
      [1600, true],
      [1280, true],
      [320, false],
    ]);
    expect(lost[1]?.samples).toEqual(new Float32Array(1280));
    expect(rms(lost[0]?.samples.subarray(-40) ?? new Float32Array(1))).toBeLessThan(
      0.1 * rms(lost[0]?.samples.subarray(0, 320) ?? new Float32Array(1)),
    );
    expect(rms(lost[2]?.samples ?? new Float32Array(1))).toBeGreaterThan(0.3 * rms(spanOf(said, last)));
    expect(counts).toMatchObject({ lost: 10, concealedSamples: 9 * 320, recoveredSamples: 320 });
  });

  it.each([
    ['the next carries no FEC', (): Uint8Array[] => plain, 'libopus-wasm'],
    ['the codec is CELT', (): Uint8Array[] => celt, 'libopus-wasm'],
    ['opus-decoder decodes', (): Uint8Array[] => speech, 'opus-decoder'],
  ] as const)('is made up and marked where %s', async (_name, packets, library) => {
    const { counts, chunks } = await receive((n) => n === 60, packets(), library);
    expect(chunks.filter(({ concealed }) => concealed).map(({ startSample, samples }) => [startSample, samples.length])).toEqual([
      [60 * 320, 320],
    ]);
    expect(counts).toMatchObject({ lost: 1, concealedSamples: 320, recoveredSamples: 0 });
  });

  it('is made up where the decoder heard CELT last: libopus has no FEC for it then', async () => {
    const decoder = await decoderOf();
    const next = speech.find((packet) => opusFecSamples(packet) > 0) ?? new Uint8Array();
    expect(decoder.fecSamples(next)).toBe(0);
    decoder.decode(speech[40] ?? new Uint8Array());
    expect(decoder.fecSamples(next)).toBe(320);
    decoder.decode(opusSilence);
    expect(decoder.fecSamples(next)).toBe(0);
    expect(decoder.recover(next)).toEqual({ samples: new Float32Array(0), concealed: true });
  });

  it('is told from what the sender left out: only a span without a hole before the next packet has its FEC', () => {
    const items: PlayoutItem[] = [];
    const buffer = new JitterBuffer({ codec: opus, playoutDelay: { minDelayMs: 0, maxDelayMs: 0 } });
    for (const [n, timestamp] of [
      [0, 0],
      [2, 2],
      [4, 14],
    ] as const) {
      const fields = { sequenceNumber: n, timestamp: timestamp * 960, ssrc: 1, payloadType: 100, marker: false };
      buffer.process({ ...fields, payload: speech[n] ?? new Uint8Array(), arrivalMs: 20 * timestamp }, (item) => items.push(item));
    }
    expect(items.filter(({ kind }) => kind !== 'packet')).toEqual([
      { kind: 'lost', startSample: 320, sampleCount: 320, arrivalMs: 40, next: speech[2] },
      { kind: 'lost', startSample: 960, sampleCount: 320, arrivalMs: 280 },
      { kind: 'dtx', startSample: 1280, sampleCount: 3200, arrivalMs: 280 },
    ]);
  });

  it('whichever are lost, every sample that is not decoded is marked, and the counts say so', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 80 }), { maxLength: 60 }), async (lost) => {
        const { counts, chunks } = await receive((n) => lost.includes(n), speech.slice(0, 82));
        const samplesOf82 = chunks.reduce((sum, { samples }) => sum + samples.length, 0);
        expect(samplesOf82).toBe(82 * 320);
        const marked = chunks.reduce((sum, { samples, concealed }) => sum + (concealed ? samples.length : 0), 0);
        expect(counts.concealedSamples).toBe(marked);
        expect(counts.recoveredSamples + counts.concealedSamples).toBe(320 * new Set(lost).size);
        expect(counts.lost).toBe(new Set(lost).size);
        expect(chunks.every(({ samples }) => samples.every((x) => x >= -1 && x <= 1))).toBe(true);
      }),
      { numRuns: 40 },
    );
  });
});

describe.each(opusLibraries)('%s', (library) => {
  it('gives features that are those of the other library, without loss', async () => {
    for (const packets of [speech, own]) {
      const [first, second] = await Promise.all([
        receive(() => false, packets, library),
        receive(
          () => false,
          packets,
          opusLibraries.find((name) => name !== library),
        ),
      ]);
      const [ours, theirs] = [first.samples, second.samples].map(logMels);
      const differences = (ours ?? []).flatMap((frame, i) => Array.from(frame, (x, band) => Math.abs(x - (theirs?.[i]?.[band] ?? 0))));
      expect(differences.length).toBeGreaterThan(10_000);
      expect(Math.max(...differences)).toBeLessThan(0.01);
    }
  });

  it('takes damaged packets, and damaged packets for their FEC, without a fault or a sample out of range', async () => {
    const decoder = await decoderOf(library);
    const damage = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.nat(100), damage, fc.nat(200), fc.boolean(), (n, changes, length, cut) => {
        const payload = (speech[n] ?? new Uint8Array()).slice(0, cut ? length : undefined);
        for (const [at, byte] of changes) if (at < payload.length) payload[at] = byte;
        const expected = decoder.fecSamples(payload);
        const { samples } = decoder.recover(payload);
        expect(samples.length).toBe(expected);
        for (const all of [samples, decoder.decode(payload).samples]) expect(all.every((x) => x >= -1 && x <= 1)).toBe(true);
      }),
      { numRuns: 400 },
    );
    await decoder.reset();
    const whole = await decoderOf(library);
    for (const packet of speech.slice(0, 60)) expect(decoder.decode(packet)).toEqual(whole.decode(packet));
  });
});
