import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sequenceModulus, timestampModulus, unwrapNear } from '../../../src/pipeline/sequence.ts';

describe('unwrapNear', () => {
  it.each([
    [0, 65535, 65536],
    [65535, 65536, 65535],
    [5, 65530 + 3 * 65536, 5 + 4 * 65536],
    [32767, 0, 32767],
    [32768, 0, -32768],
    [65535, 0, -1],
  ])('takes sequence number %i near %i for %i', (value, reference, expected) => {
    expect(unwrapNear(value, reference, sequenceModulus)).toBe(expected);
  });

  it('takes a timestamp past the wrap forward and one before it back', () => {
    expect(unwrapNear(100, timestampModulus - 100, timestampModulus)).toBe(timestampModulus + 100);
    expect(unwrapNear(timestampModulus - 100, timestampModulus + 100, timestampModulus)).toBe(timestampModulus - 100);
  });

  it('follows any walk of steps under half the modulus, across years of media', () => {
    const step = fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 }), fc.array(step, { maxLength: 50 }), (start, steps) => {
        let truth = start;
        let unwrapped = start;
        for (const by of steps) {
          truth += by;
          const onWire = ((truth % timestampModulus) + timestampModulus) % timestampModulus;
          unwrapped = unwrapNear(onWire, unwrapped, timestampModulus);
          expect(unwrapped).toBe(truth);
        }
      }),
    );
  });
});
