import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRtp } from '../../../src/pipeline/rtp.ts';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const parse = (hex: string, audioLevelExtensionId?: number) => parseRtp({ data: bytes(hex), arrivalMs: 5 }, audioLevelExtensionId);
/** V=2, PT 111, sequence 0x1234, timestamp 0x89abcdef, SSRC 0xdeadbeef. */
const header = '6f 1234 89abcdef deadbeef';

describe('parseRtp', () => {
  it('reads the fixed header of RFC 3550', () => {
    expect(parse(`80 ef 1234 89abcdef deadbeef 0102`)).toEqual({
      sequenceNumber: 0x1234,
      timestamp: 0x89abcdef,
      ssrc: 0xdeadbeef,
      payloadType: 111,
      marker: true,
      payload: Uint8Array.of(1, 2),
      arrivalMs: 5,
    });
  });

  it('passes over contributing sources, header extension and padding', () => {
    expect(parse(`b2 ${header} 11111111 22222222 bede0001 10ff0000 aabbcc 000003`)).toMatchObject({
      payload: bytes('aabbcc'),
      marker: false,
    });
  });

  it('gives an empty payload where there is nothing but padding', () => {
    expect(parse(`a0 ${header} 00000004`)).toMatchObject({ payload: new Uint8Array() });
  });

  it.each([
    ['one-byte form', 'bede0001 10 92 0000', -18],
    ['one-byte form, after padding and another element', 'bede0002 00 21aabb 00 10 7f 00', -127],
    ['two-byte form', '10000001 01 01 85 00', -5],
    ['two-byte form with application bits', '1009000200 05 00 01 01 00 0000', 0],
    ['an id that is not there', 'bede0001 20 92 0000', undefined],
    ['id 15, which ends the block', 'bede0001 f0 10 92 00', undefined],
    ['an element longer than its block', 'bede0001 2f 10 92 00', undefined],
    ['two-byte form of no length', '10000001 01 00 00 00', undefined],
    ['a profile that is not RFC 8285', 'abcd0001 10 92 0000', undefined],
  ])('reads the audio level of RFC 6464: %s', (_name, extension, level) => {
    const packet = parse(`90 ${header} ${extension} 01`, 1);
    expect(packet).toMatchObject({ payload: Uint8Array.of(1) });
    expect(packet).toHaveProperty('sequenceNumber', 0x1234);
    if (level === undefined) expect(packet).not.toHaveProperty('audioLevelDbov');
    else expect(packet).toHaveProperty('audioLevelDbov', level);
  });

  it.each([
    ['', 'short'],
    ['80 6f 1234 89abcdef deadbe', 'short'],
    [`40 ${header} 01`, 'version'],
    [`00 ${header} 01`, 'version'],
    [`81 ${header} 0000`, 'csrc'],
    [`90 ${header} bede`, 'extension'],
    [`90 ${header} bede0002 10920000`, 'extension'],
    [`a0 ${header} aabb00`, 'padding'],
    [`a0 ${header} aabb04`, 'padding'],
  ])('says what is wrong with %s', (hex, fault) => {
    expect(parse(hex)).toBe(fault);
  });

  it('reads back whatever was written', () => {
    const uint = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });
    const element = fc.record({ id: fc.integer({ min: 1, max: 255 }), value: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(
        fc.record({
          sequenceNumber: uint(16),
          timestamp: uint(32),
          ssrc: uint(32),
          payloadType: uint(7),
          marker: fc.boolean(),
          payload: fc.uint8Array({ maxLength: 200 }),
        }),
        fc.array(uint(32), { maxLength: 15 }),
        fc.array(element, { maxLength: 5 }),
        uint(8),
        (fields, csrcs, extensions, paddingBytes) => {
          const data = writeRtp({ ...fields, csrcs, extensions, paddingBytes });
          expect(parseRtp({ data, arrivalMs: 1 })).toEqual({ ...fields, arrivalMs: 1 });
        },
      ),
    );
  });

  it('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.integer({ min: 1, max: 14 }), (tail, id) => {
        const data = Uint8Array.of(0x80 | (tail[0] ?? 0), ...tail);
        const parsed = parseRtp({ data, arrivalMs: 0 }, id);
        if (typeof parsed === 'string') expect(['short', 'csrc', 'extension', 'padding', 'version']).toContain(parsed);
        else expect(parsed.payload.length).toBeLessThanOrEqual(data.length - 12);
      }),
    );
  });

  it('reads a packet that lies inside a larger buffer', () => {
    const whole = bytes(`ffffff 80 ${header} 0102 ffff`);
    expect(parseRtp({ data: whole.subarray(3, 17), arrivalMs: 0 })).toMatchObject({ ssrc: 0xdeadbeef, payload: Uint8Array.of(1, 2) });
  });
});
