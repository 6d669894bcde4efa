import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { opusFrameSamples, parseOpusPacket } from '../../../src/pipeline/opus-packet.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';

/** RFC 6716, table 2: mode, bandwidth and frame sizes in ms of each row of configurations. */
const table = [
  ['silk', 'narrow', [10, 20, 40, 60]],
  ['silk', 'medium', [10, 20, 40, 60]],
  ['silk', 'wide', [10, 20, 40, 60]],
  ['hybrid', 'super-wide', [10, 20]],
  ['hybrid', 'full', [10, 20]],
  ['celt', 'narrow', [2.5, 5, 10, 20]],
  ['celt', 'wide', [2.5, 5, 10, 20]],
  ['celt', 'super-wide', [2.5, 5, 10, 20]],
  ['celt', 'full', [2.5, 5, 10, 20]],
] as const;
const configs = table.flatMap(([mode, bandwidth, sizes]) => sizes.map((frameMs) => ({ mode, bandwidth, frameMs })));
const packet = (toc: number, ...rest: number[]): Uint8Array => Uint8Array.of(toc, ...rest);
const zeros = (count: number): number[] => Array.from({ length: count }, () => 0);

describe('parseOpusPacket', () => {
  it.each(configs.map((config, index) => ({ index, ...config })))(
    'knows configuration $index: $mode $bandwidth $frameMs ms',
    ({ index, mode, bandwidth, frameMs }) => {
      const frameSamples = frameMs * 16;
      expect(parseOpusPacket(packet((index << 3) | 4, 1))).toEqual({
        config: index,
        mode,
        bandwidth,
        stereo: true,
        frameCount: 1,
        frameSamples,
        sampleCount: frameSamples,
      });
      expect(opusFrameSamples(index << 3)).toBe(frameSamples);
    },
  );

  /** Configuration 1, 20 ms SILK, and configuration 3, 60 ms. */
  const silk20 = 1 << 3;
  const silk60 = 3 << 3;
  it.each([
    ['no bytes', packet(0).subarray(1), null],
    ['code 0, nothing but a TOC (DTX)', packet(silk20), 1],
    ['code 0, a frame of 1275 bytes', packet(silk20, ...zeros(1275)), 1],
    ['code 0, a frame of 1276 bytes', packet(silk20, ...zeros(1276)), null],
    ['code 1, equal halves', packet(silk20 | 1, 1, 2, 3, 4), 2],
    ['code 1, odd length', packet(silk20 | 1, 1, 2, 3), null],
    ['code 1, empty frames', packet(silk20 | 1), 2],
    ['code 2, one length byte', packet(silk20 | 2, 2, 1, 2, 3), 2],
    ['code 2, two length bytes', packet(silk20 | 2, 252, 1, ...zeros(256), 7), 2],
    ['code 2, cut off', packet(silk20 | 2, 4, 1, 2, 3), null],
    ['code 2, no length', packet(silk20 | 2), null],
    ['code 2, half a length', packet(silk20 | 2, 253), null],
    ['code 3, no count', packet(silk20 | 3), null],
    ['code 3, count 0', packet(silk20 | 3, 0), null],
    ['code 3, CBR', packet(silk20 | 3, 3, 1, 2, 3, 4, 5, 6), 3],
    ['code 3, CBR of unequal frames', packet(silk20 | 3, 3, 1, 2, 3, 4), null],
    ['code 3, VBR', packet(silk20 | 3, 0x83, 1, 2, 9, 9, 9, 9), 3],
    ['code 3, VBR cut off', packet(silk20 | 3, 0x83, 1, 2, 9, 9), null],
    ['code 3, VBR without its lengths', packet(silk20 | 3, 0x83, 1), null],
    ['code 3, padding', packet(silk20 | 3, 0x41, 2, 9, 0, 0), 1],
    ['code 3, 254 + 1 bytes of padding', packet(silk20 | 3, 0x41, 255, 1, 9, ...zeros(255)), 1],
    ['code 3, more padding than packet', packet(silk20 | 3, 0x41, 9, 1), null],
    ['code 3, padding without a length', packet(silk20 | 3, 0x41), null],
    ['code 3, 120 ms', packet(silk20 | 3, 6), 6],
    ['code 3, 140 ms', packet(silk20 | 3, 7), null],
    ['code 3, 120 ms of 60 ms frames', packet(silk60 | 3, 2), 2],
    ['code 3, 180 ms', packet(silk60 | 3, 3), null],
  ])('counts frames: %s', (_name, payload, frameCount) => {
    expect(parseOpusPacket(payload)?.frameCount ?? null).toBe(frameCount);
  });

  it('never throws and never says more than 120 ms', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (payload) => {
        const info = parseOpusPacket(payload);
        if (info !== null) expect(info.sampleCount).toBe(info.frameCount * info.frameSamples);
        expect(info?.sampleCount ?? 0).toBeLessThanOrEqual(1920);
      }),
    );
  });

  it('reads real packets of 10, 20 and 60 ms', () => {
    const durations = ['test/fixtures/opus/mono-10ms.opus', 'assets/demo/1050_IWL_FEA_XX.opus', 'test/fixtures/opus/mono-60ms.opus'].map(
      (path) => new Set(readOggOpus(readFileSync(path)).packets.map((payload) => parseOpusPacket(payload)?.sampleCount)),
    );
    expect(durations).toEqual([new Set([160]), new Set([320]), new Set([960])]);
  });
});
