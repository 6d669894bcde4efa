import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { OpusDecoder } from 'opus-decoder';
import { afterEach, describe, expect, it } from 'vitest';
import type { AudioDecoder } from '../../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { loadLibopus } from '../../../src/pipeline/libopus/module.ts';
import { parseOpusPacket } from '../../../src/pipeline/opus-packet.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';

const open: AudioDecoder[] = [];

afterEach(() => {
  for (const decoder of open.splice(0)) decoder.close();
});

function decoderOf(mimeType: string): AudioDecoder {
  const opus = mimeType === 'audio/opus';
  const decoder = createDecoder({ mimeType, clockRateHz: opus ? 48_000 : 8000, channels: opus ? 2 : 1, payloadType: 100 });
  open.push(decoder);
  return decoder;
}

async function readyOpus(): Promise<AudioDecoder> {
  const decoder = decoderOf('audio/opus');
  await decoder.ready;
  return decoder;
}

const speech = readOggOpus(readFileSync('assets/demo/1050_IWL_FEA_XX.opus')).packets;
const rms = (samples: Float32Array): number => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
const isSafe = (samples: Float32Array): boolean => samples.every((x) => x >= -1 && x <= 1);
const concat = (parts: readonly Float32Array[]): Float32Array => Float32Array.from(parts.flatMap((part) => [...part]));

describe('createDecoder', () => {
  it('refuses a codec that it does not have', () => {
    expect(() => decoderOf('audio/g722')).toThrow(expect.objectContaining({ code: 'UT_CODEC_UNSUPPORTED' }));
  });

  it('takes MIME types in any case', async () => {
    await expect(decoderOf('audio/PCMU').ready).resolves.toBeUndefined();
  });
});

describe('the Opus decoder', () => {
  const golden = JSON.parse(readFileSync('test/golden/opus-levels.json', 'utf8')) as Record<string, { samples: number; rmsDb: number[] }>;

  it.each(Object.entries(golden))('agrees with an independent decoder on %s', async (path, { samples, rmsDb }) => {
    const decoder = await readyOpus();
    const ogg = readOggOpus(readFileSync(path));
    const audio = concat(ogg.packets.map((packet) => decoder.decode(packet).samples.slice())).subarray(
      Math.round(ogg.preSkipSamples48k / 3),
    );
    expect(Math.round((ogg.granuleEnd48k - ogg.preSkipSamples48k) / 3)).toBe(samples);
    const errorsDb = rmsDb.map((levelDb, block) => {
      const level = rms(audio.subarray(block * 320, block * 320 + 320));
      return Math.abs(10 * Math.log10(level * level + 1e-10) - levelDb);
    });
    expect(rmsDb.length).toBe(Math.floor(samples / 320));
    expect(errorsDb.reduce((sum, x) => sum + x, 0) / errorsDb.length).toBeLessThan(0.1);
    expect(errorsDb.filter((x) => x > 0.5).length).toBeLessThanOrEqual(1);
  });

  it('conceals a corrupt payload for as long as its first byte says, and goes on', async () => {
    const decoder = await readyOpus();
    for (const packet of speech.slice(0, 60)) decoder.decode(packet);
    // Code 3 with a count of 0 breaks RFC 6716; what it would have lasted is unknown, so the last packet's 20 ms count.
    const chunk = decoder.decode(Uint8Array.of((speech[60]?.[0] ?? 0) | 3, 0, 1, 2));
    expect(chunk).toMatchObject({ concealed: true, samples: { length: 320 } });
    expect(rms(chunk.samples)).toBeGreaterThan(1e-3);
    const next = decoder.decode(speech[61] ?? new Uint8Array());
    expect(next).toMatchObject({ concealed: false, samples: { length: 320 } });
  });

  it.each([
    ['an empty payload', new Uint8Array()],
    ['a payload larger than any packet', new Uint8Array(5000)],
    ['a code 3 packet without its count', Uint8Array.of(3)],
  ])('takes %s for a lost packet of 20 ms', async (_name, payload) => {
    const decoder = await readyOpus();
    expect(decoder.decode(payload)).toEqual({ samples: new Float32Array(320), concealed: true });
    decoder.decode(speech[0] ?? new Uint8Array());
    expect(decoder.decode(payload)).toMatchObject({ concealed: true, samples: { length: 320 } });
  });

  it('takes any bytes: the length that the packet says, finite samples, nothing printed, no throw', async () => {
    const decoder = await readyOpus();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(158), (garbage, index) => {
        const expected = parseOpusPacket(garbage)?.sampleCount;
        const { samples } = decoder.decode(garbage);
        if (expected !== undefined) expect(samples.length).toBe(expected);
        expect(isSafe(samples)).toBe(true);
        const damaged = Uint8Array.from(speech[index] ?? []);
        damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 0xff;
        const chunk = decoder.decode(damaged);
        expect(chunk.samples.length).toBe(320);
        expect(isSafe(chunk.samples)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });

  it('calls a packet corrupt where libopus does, and only there', async () => {
    const reference = new OpusDecoder({ sampleRate: 16_000, channels: 1 });
    await reference.ready;
    // libopus refuses on framing alone before it decodes; -4 is its word for that. Its message goes to the console.
    /* eslint-disable no-console -- its only way out */
    const print = console.error;
    console.error = () => undefined;
    try {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 2, maxLength: 30 }), (payload) => {
          const refused = reference.decodeFrame(payload).errors.some(({ message }) => message.includes('libopus -4'));
          expect(parseOpusPacket(payload) === null).toBe(refused);
        }),
        { numRuns: 1000 },
      );
    } finally {
      console.error = print;
      reference.free();
    }
    /* eslint-enable no-console */
  });

  it('conceals exactly as many samples as asked for', async () => {
    const decoder = await readyOpus();
    expect(decoder.conceal(320)).toEqual(new Float32Array(320));
    for (const packet of speech.slice(0, 60)) decoder.decode(packet);
    for (const sampleCount of [1, 40, 100, 320, 333, 960]) expect(decoder.conceal(sampleCount).length).toBe(sampleCount);
  });

  it('conceals one lost packet as libopus does: close to its neighbours, not silence', async () => {
    const decoder = await readyOpus();
    const before = speech.slice(0, 60).map((packet) => decoder.decode(packet).samples.slice());
    const concealed = decoder.conceal(320);
    const level = rms(before.at(-1) ?? new Float32Array(1));
    expect(level).toBeGreaterThan(0.01);
    expect(20 * Math.log10(rms(concealed) / level)).toBeGreaterThan(-12);
    expect(20 * Math.log10(rms(concealed) / level)).toBeLessThan(6);
  });

  it('decodes the same beside others, whose samples lie in the same place until the next is called', async () => {
    const [alone, one, other] = [await readyOpus(), await readyOpus(), await readyOpus()];
    const expected = speech.slice(0, 60).map((packet) => alone.decode(packet).samples.slice());
    expected.forEach((samples, n) => {
      const mine = one.decode(speech[n] ?? new Uint8Array()).samples;
      expect(mine).toEqual(samples);
      const theirs = other.decode(speech[(n + 30) % 60] ?? new Uint8Array()).samples;
      expect(theirs.buffer).toBe(mine.buffer);
      expect(mine).toEqual(theirs);
    });
  });

  it('goes on where the memory that all decoders share has grown', async () => {
    const [alone, one] = [await readyOpus(), await readyOpus()];
    const expected = speech.slice(0, 20).map((packet) => alone.decode(packet).samples.slice());
    const before = one.decode(speech[0] ?? new Uint8Array()).samples.buffer;
    const others: AudioDecoder[] = [];
    while (loadLibopus().floats.buffer === before) others.push(await readyOpus());
    expect(others.length).toBeLessThan(5000);
    expect(
      expected.slice(1).every((samples, n) => one.decode(speech[n + 1] ?? new Uint8Array()).samples.every((x, i) => x === samples[i])),
    ).toBe(true);
  });

  it('decodes the same after a reset as at its start', async () => {
    const decoder = await readyOpus();
    const first = speech.slice(0, 20).map((packet) => decoder.decode(packet).samples.slice());
    await Promise.all([decoder.reset(), decoder.reset()]);
    expect(speech.slice(0, 20).map((packet) => decoder.decode(packet).samples.slice())).toEqual(first);
  });

  it('refuses to decode before it is ready and after it is closed, and closes at any time, twice', async () => {
    const early = decoderOf('audio/opus');
    expect(() => early.decode(speech[0] ?? new Uint8Array())).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
    early.close();
    early.close();
    await early.ready;
    expect(() => early.conceal(320)).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
    const late = await readyOpus();
    const resetting = late.reset();
    late.close();
    late.close();
    await resetting;
    expect(() => late.decode(speech[0] ?? new Uint8Array())).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
  });
});

describe('the G.711 decoder', () => {
  /** ITU-T G.711: a few codes and their 16-bit values, before the interpolation that follows. */
  it.each([
    ['audio/pcmu', 0x00, -32124],
    ['audio/pcmu', 0x80, 32124],
    ['audio/pcmu', 0xff, 0],
    ['audio/pcmu', 0x8f, 16764],
    ['audio/pcma', 0xd5, 8],
    ['audio/pcma', 0x55, -8],
    ['audio/pcma', 0xaa, 32256],
    ['audio/pcma', 0x2a, -32256],
  ])('expands %s code %i to %i', (mimeType, code, value) => {
    const { samples } = decoderOf(mimeType).decode(new Uint8Array(200).fill(code));
    // A constant passes the interpolator as it is, once its past is filled.
    for (const sample of samples.subarray(200)) expect(sample * 32768).toBeCloseTo(value, 0);
  });

  const encodeMu = (sample: number): number => {
    const magnitude = Math.min(32635, Math.round(Math.abs(sample) * 32768)) + 132;
    const exponent = Math.floor(Math.log2(magnitude)) - 7;
    return ~((sample < 0 ? 128 : 0) | (exponent << 4) | ((magnitude >> (exponent + 3)) & 15)) & 0xff;
  };
  const tone = (hz: number, count: number): Uint8Array =>
    Uint8Array.from({ length: count }, (_, i) => encodeMu(0.8 * Math.sin((2 * Math.PI * hz * i) / 8000)));
  /** Level of one frequency, dB, by correlation under a Hann window. */
  const levelDb = (samples: Float32Array, hz: number): number => {
    let [re, im, weight] = [0, 0, 0];
    samples.forEach((x, i) => {
      const w = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / samples.length);
      re += w * x * Math.cos((2 * Math.PI * hz * i) / 16_000);
      im += w * x * Math.sin((2 * Math.PI * hz * i) / 16_000);
      weight += w / 2;
    });
    return 20 * Math.log10(Math.hypot(re, im) / weight + 1e-12);
  };

  it.each([300, 1000, 2000, 3000, 3400])('raises %i Hz to 16 kHz at its level, with its image over 60 dB below', (hz) => {
    const samples = decoderOf('audio/pcmu').decode(tone(hz, 4000)).samples.subarray(400, 7600);
    expect(levelDb(samples, hz)).toBeCloseTo(20 * Math.log10(0.8), 0);
    expect(levelDb(samples, hz) - levelDb(samples, 8000 - hz)).toBeGreaterThan(60);
  });

  it('gives the same samples however the payloads are cut', () => {
    const payload = tone(700, 1600);
    const whole = decoderOf('audio/pcmu').decode(payload).samples;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 }), (lengths) => {
        const decoder = decoderOf('audio/pcmu');
        const parts: Float32Array[] = [];
        let at = 0;
        for (const length of [...lengths, payload.length]) {
          parts.push(decoder.decode(payload.subarray(at, at + length)).samples);
          at = Math.min(payload.length, at + length);
        }
        expect(concat(parts)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
  });

  it('conceals by fading repetition of the last pitch period', () => {
    const decoder = decoderOf('audio/pcmu');
    expect(decoder.conceal(320)).toEqual(new Float32Array(320));
    decoder.decode(tone(200, 1600));
    const parts = Array.from({ length: 5 }, () => decoder.conceal(320));
    const levels = parts.map(rms);
    expect(levelDb(parts[0] ?? new Float32Array(1), 200)).toBeGreaterThan(-8);
    for (let i = 1; i < levels.length; i++) expect(levels[i]).toBeLessThanOrEqual(levels[i - 1] ?? 0);
    expect(levels.at(-1)).toBe(0);
    expect(decoder.decode(tone(200, 160))).toMatchObject({ concealed: false, samples: { length: 320 } });
  });

  it('starts anew after a reset, takes an empty payload, and closes twice', async () => {
    const decoder = decoderOf('audio/pcma');
    const first = decoder.decode(tone(500, 160)).samples;
    await decoder.reset();
    expect(decoder.decode(tone(500, 160)).samples).toEqual(first);
    expect(decoder.decode(new Uint8Array()).samples.length).toBe(0);
    decoder.close();
    decoder.close();
    expect(() => decoder.decode(new Uint8Array(160))).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
  });
});
