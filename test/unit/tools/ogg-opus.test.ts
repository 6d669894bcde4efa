import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';

const clip = Uint8Array.from(readFileSync('assets/demo/1020_WSI_ANG_XX.opus'));

/** The Ogg checksum, bit by bit. */
function crcOf(bytes: Uint8Array): number {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
  }
  return crc >>> 0;
}

interface PageFields {
  flags: number;
  sequence: number;
  lacing: number[];
  body: Uint8Array;
  granule?: bigint;
  serial?: number;
}

function page({ flags, sequence, lacing, body, granule = 0n, serial = 9 }: PageFields): Uint8Array {
  const bytes = new Uint8Array(27 + lacing.length + body.length);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from('OggS'));
  bytes[5] = flags;
  view.setBigInt64(6, granule, true);
  view.setUint32(14, serial, true);
  view.setUint32(18, sequence, true);
  bytes[26] = lacing.length;
  bytes.set(lacing, 27);
  bytes.set(body, 27 + lacing.length);
  view.setUint32(22, crcOf(bytes), true);
  return bytes;
}

const lacingOf = (length: number): number[] => [...Array.from({ length: Math.floor(length / 255) }, () => 255), length % 255];

function headPage(channels = 1, family = 0, version = 1): Uint8Array {
  const head = Uint8Array.from([...Buffer.from('OpusHead'), version, channels, 0x38, 1, 0x80, 0x3e, 0, 0, 0, 0, family]);
  return page({ flags: 2, sequence: 0, lacing: lacingOf(head.length), body: head });
}

const tags = Uint8Array.from(Buffer.from('OpusTags\0\0\0\0\0\0\0\0'));
const tagsPage = page({ flags: 0, sequence: 1, lacing: lacingOf(tags.length), body: tags });
const join = (...pages: Uint8Array[]): Uint8Array => Uint8Array.from(Buffer.concat(pages));

describe('readOggOpus', () => {
  it('reads a real clip', () => {
    const ogg = readOggOpus(clip);
    expect(ogg).toMatchObject({ channels: 1, preSkipSamples48k: 312, granuleEnd48k: 144_456 });
    expect(ogg.packets.length).toBe(151);
    expect(Math.ceil(ogg.granuleEnd48k / 960)).toBe(151);
  });

  it('reads every demo clip', () => {
    for (const file of readdirSync('assets/demo').filter((name) => name.endsWith('.opus'))) {
      const { packets, granuleEnd48k } = readOggOpus(readFileSync(`assets/demo/${file}`));
      expect(packets.length).toBe(Math.ceil(granuleEnd48k / 960));
    }
  });

  it('puts packets together that lacing and pages cut up', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 1500 }), { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (lengths, cuts) => {
          const packets = lengths.map((length, n) => new Uint8Array(length).fill(n + 1));
          const lacing = packets.flatMap(({ length }) => lacingOf(length));
          const body = join(...packets);
          const pages: Uint8Array[] = [];
          let [segment, offset] = [0, 0];
          while (segment < lacing.length) {
            const part = lacing.slice(segment, segment + (cuts[pages.length % cuts.length] ?? 1));
            const bytes = part.reduce((sum, length) => sum + length, 0);
            const continued = segment > 0 && lacing[segment - 1] === 255;
            segment += part.length;
            const last = segment >= lacing.length;
            const ends = part.some((length) => length < 255);
            pages.push(
              page({
                flags: (continued ? 1 : 0) | (last ? 4 : 0),
                sequence: pages.length + 2,
                lacing: part,
                body: body.subarray(offset, offset + bytes),
                granule: ends ? BigInt(segment) : -1n,
              }),
            );
            offset += bytes;
          }
          const ogg = readOggOpus(join(headPage(), tagsPage, ...pages));
          expect(ogg.packets).toEqual(packets);
          expect(ogg.granuleEnd48k).toBe(lacing.length);
        },
      ),
    );
  });

  const audio = (fields: Partial<PageFields> = {}): Uint8Array =>
    page({ flags: 4, sequence: 2, lacing: [3], body: Uint8Array.of(8, 1, 2), ...fields });

  it.each([
    ['nothing', new Uint8Array(), 'no last page'],
    ['garbage', Uint8Array.of(1, 2, 3, 4), 'at byte 0 no Ogg page'],
    ['a header that is cut off', clip.subarray(0, 20), 'a page header is cut off'],
    ['a page that is cut off', clip.subarray(0, 5000), 'a page is cut off'],
    ['a file that ends between two pages', clip.subarray(0, 0x2f), 'no last page'],
    ['a damaged byte', clip.with(3000, (clip[3000] ?? 0) ^ 1), 'checksum'],
    ['a page that is missing', join(headPage(), audio()), 'expected page 1, got page 2'],
    ['a second stream', join(headPage(), tagsPage, audio({ serial: 10 })), 'a second stream'],
    ['a page that continues nothing', join(headPage(), tagsPage, audio({ flags: 5 })), 'continues no packet'],
    [
      'a packet that is not continued',
      join(headPage(), tagsPage, audio({ flags: 0, lacing: [255], body: new Uint8Array(255) }), audio({ sequence: 3 })),
      'a packet is cut off',
    ],
    [
      'a last packet that is cut off',
      join(headPage(), tagsPage, audio({ lacing: [255], body: new Uint8Array(255) })),
      'the last packet is cut off',
    ],
    ['another codec', join(page({ flags: 2, sequence: 0, lacing: [8], body: Buffer.from('vorbis!!') }), tagsPage, audio()), 'not OpusHead'],
    ['no tags', join(headPage(), audio({ sequence: 1 })), 'not OpusTags'],
    ['headers alone', headPage(), 'no last page'],
    ['surround sound', join(headPage(6, 1), tagsPage, audio()), 'got 6 of family 1'],
    ['a later version', join(headPage(1, 0, 16), tagsPage, audio()), 'version'],
    [
      'a stream that begins in the middle',
      join(page({ flags: 0, sequence: 0, lacing: [1], body: Uint8Array.of(1) })),
      'does not begin a stream',
    ],
  ])('says what is wrong with %s', (_name, bytes, message) => {
    expect(() => readOggOpus(bytes)).toThrow(message);
  });
});
