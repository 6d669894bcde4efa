// Recordings of every kind that the tools take, told by their first bytes.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecording, recordingKind, samplesOf } from '../../../tools/audio/recording.ts';
import { writeWav } from '../../../tools/audio/wav.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-recording-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const blockSamples = 1600;

/** A FLAC file (RFC 9639) of 16-bit mono audio, in verbatim subframes. */
function writeFlac(samples: Float32Array, sampleRateHz: 16_000 | 48_000): Uint8Array {
  const rateCode = sampleRateHz === 16_000 ? 5 : 10;
  const info = Buffer.alloc(34);
  info.writeUInt16BE(blockSamples, 0);
  info.writeUInt16BE(blockSamples, 2);
  // 20 bits of rate, 3 of channels less one, 5 of bits less one, 36 of samples.
  info.writeBigUInt64BE((BigInt(sampleRateHz) << 44n) | (15n << 36n) | BigInt(samples.length), 10);
  const frames = Array.from({ length: Math.ceil(samples.length / blockSamples) }, (_, number) => {
    const block = samples.subarray(number * blockSamples, (number + 1) * blockSamples);
    const header = Buffer.from([0xff, 0xf8, 0x70 | rateCode, 0x08, number, (block.length - 1) >> 8, (block.length - 1) & 0xff]);
    const body = Buffer.alloc(1 + 2 * block.length);
    body[0] = 2;
    block.forEach((sample, i) => body.writeInt16BE(Math.round(sample * 32_767), 1 + 2 * i));
    const frame = Buffer.concat([header, Buffer.from([crc(header, 8, 0x07)]), body]);
    const check = crc(frame, 16, 0x8005);
    return Buffer.concat([frame, Buffer.from([check >> 8, check & 0xff])]);
  });
  return Buffer.concat([Buffer.from('fLaC'), Buffer.from([0x80, 0, 0, info.length]), info, ...frames]);
}

function crc(bytes: Uint8Array, width: 8 | 16, polynomial: number): number {
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (width - 8);
    for (let bit = 0; bit < 8; bit++) {
      value = (value << 1) ^ ((value & (1 << (width - 1))) === 0 ? 0 : polynomial);
      value &= (1 << width) - 1;
    }
  }
  return value;
}

describe('readRecording', () => {
  const tone = Float32Array.from({ length: 8000 }, (_, i) => 0.5 * Math.sin(i / 7));

  it('reads FLAC as it reads the same audio in WAV', async () => {
    const flac = join(folder, 'tone.flac');
    const wav = join(folder, 'tone.wav');
    writeFileSync(flac, writeFlac(tone, 16_000));
    writeFileSync(wav, writeWav({ sampleRateHz: 16_000, channels: [tone] }));
    const [fromFlac, fromWav] = await Promise.all([flac, wav].map(async (path) => samplesOf(await readRecording(path))));
    expect(fromFlac?.length).toBe(tone.length);
    expect(Math.max(...tone.map((_, i) => Math.abs((fromFlac?.[i] ?? 9) - (fromWav?.[i] ?? 0))))).toBeLessThan(1e-4);
    expect(await recordingKind(flac)).toBe('pcm');
  });

  it('resamples FLAC of another rate', async () => {
    const path = join(folder, 'wide.flac');
    writeFileSync(path, writeFlac(tone, 48_000));
    const recording = await readRecording(path);
    expect((await samplesOf(recording)).length).toBe(Math.ceil(tone.length / 3));
  });

  it('refuses damaged FLAC, and says which file it is', async () => {
    const path = join(folder, 'damaged.flac');
    writeFileSync(path, Buffer.from('fLaC and nothing that follows it as it should'));
    await expect(readRecording(path)).rejects.toThrow(/damaged\.flac: Expected a sound FLAC file, got one without audio/);
  });

  it('knows Ogg Opus by its first bytes, whatever its name', async () => {
    const path = new URL('../../../assets/demo/1021_WSI_ANG_XX.opus', import.meta.url).pathname;
    expect(await recordingKind(path)).toBe('opus');
    expect((await readRecording(path)).kind).toBe('opus');
    await expect(recordingKind(join(folder, 'none.wav'))).rejects.toThrow('none.wav, but it cannot be read');
  });
});
