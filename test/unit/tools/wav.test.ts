import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readWav, writeWav } from '../../../tools/audio/wav.ts';

/** A WAV file of one chunk of that format, with the chunks given before the data. */
function wav(
  code: number,
  bits: number,
  channelCount: number,
  data: Uint8Array,
  { extra = [] as number[], claimed = data.length } = {},
): Uint8Array {
  const format = Buffer.alloc(16);
  format.writeUInt16LE(code, 0);
  format.writeUInt16LE(channelCount, 2);
  format.writeUInt32LE(16_000, 4);
  format.writeUInt32LE((16_000 * channelCount * bits) / 8, 8);
  format.writeUInt16LE((channelCount * bits) / 8, 12);
  format.writeUInt16LE(bits, 14);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(claimed);
  const whole = Buffer.concat([Buffer.from('RIFF\0\0\0\0WAVEfmt \x10\0\0\0'), format, Buffer.from(extra), Buffer.from('data'), size, data]);
  return Uint8Array.from(whole);
}

describe('WAV files', () => {
  it('have the header that everyone reads', () => {
    const bytes = writeWav({ sampleRateHz: 16_000, channels: [Float32Array.of(0, 0.5, -1)] });
    expect(Buffer.from(bytes).toString('hex')).toBe(
      '52494646' +
        '2a000000' +
        '57415645666d7420' +
        '10000000' +
        '01000100' +
        '803e0000' +
        '007d0000' +
        '02001000' +
        '64617461' +
        '06000000' +
        '000000400080',
    );
  });

  it('come back as they were written, to 16 bits, and clipped', () => {
    const sample = fc.float({ min: -2, max: 2, noNaN: true });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.array(sample, { maxLength: 50 }), (channelCount, samples) => {
        const channels = Array.from({ length: channelCount }, (_, c) => Float32Array.from(samples, (x) => x / (c + 1)));
        const read = readWav(writeWav({ sampleRateHz: 48_000, channels }));
        expect(read.sampleRateHz).toBe(48_000);
        expect(read.channels.length).toBe(channelCount);
        read.channels.forEach((channel, c) => {
          expect(channel.length).toBe(samples.length);
          channel.forEach((x, i) => {
            expect(Math.abs(x - Math.max(-1, Math.min(1, channels[c]?.[i] ?? 0)))).toBeLessThanOrEqual(1 / 32768);
          });
        });
      }),
    );
  });

  const float64 = new Uint8Array(Float64Array.of(0.25, -0.5).buffer);
  it.each([
    ['8-bit', 1, 8, Uint8Array.of(128, 0, 192), [0, -1, 0.5]],
    ['16-bit', 1, 16, Uint8Array.of(0, 0x40, 0, 0x80), [0.5, -1]],
    ['24-bit', 1, 24, Uint8Array.of(0, 0, 0x40, 0, 0, 0x80, 0xff, 0xff, 0xff), [0.5, -1, -1 / 8388608]],
    ['32-bit', 1, 32, Uint8Array.of(0, 0, 0, 0x40, 0, 0, 0, 0x80), [0.5, -1]],
    ['32-bit float', 3, 32, new Uint8Array(Float32Array.of(0.25, -0.5).buffer), [0.25, -0.5]],
    ['64-bit float', 3, 64, float64, [0.25, -0.5]],
  ])('are read as %s', (_name, code, bits, data, expected) => {
    expect(readWav(wav(code, bits, 1, data)).channels).toEqual([Float32Array.from(expected)]);
  });

  it('are read channel by channel, past chunks of no interest and of odd length', () => {
    const extra = [...Buffer.from('LIST'), 3, 0, 0, 0, 1, 2, 3, 0];
    const { channels } = readWav(wav(1, 16, 2, Uint8Array.of(0, 0x40, 0, 0x80, 0, 0x20, 0, 0), { extra }));
    expect(channels).toEqual([Float32Array.of(0.5, 0.25), Float32Array.of(-1, 0)]);
  });

  it('are read as far as they go when they are cut off', () => {
    expect(readWav(wav(1, 16, 1, Uint8Array.of(0, 0x40, 7), { claimed: 0xffff_ffff })).channels).toEqual([Float32Array.of(0.5)]);
  });

  it.each([
    ['nothing', new Uint8Array(), 'RIFF'],
    ['another file', Uint8Array.from(Buffer.from('OggS and a lot more of it')), 'RIFF'],
    ['no data', wav(1, 16, 1, new Uint8Array()).subarray(0, 36), 'data chunk'],
    ['A-law', wav(6, 8, 1, Uint8Array.of(1)), 'got format 6 of 8 bits'],
    ['no channels', wav(1, 16, 0, Uint8Array.of(1, 2)), 'got 0'],
  ])('say what is wrong with %s', (_name, bytes, message) => {
    expect(() => readWav(bytes)).toThrow(message);
  });

  it('refuse channels of different lengths', () => {
    expect(() => writeWav({ sampleRateHz: 8000, channels: [new Float32Array(2), new Float32Array(3)] })).toThrow('[2, 3]');
    expect(() => writeWav({ sampleRateHz: 8000, channels: [] })).toThrow('one or more');
  });
});
