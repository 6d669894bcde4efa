import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrate } from '../../../src/models/calibrate.ts';

const logits = fc.float32Array({ minLength: 2, maxLength: 12, noNaN: true, noDefaultInfinity: true });
const temperature = fc.double({ min: 0.05, max: 20, noNaN: true });

describe('calibrate', () => {
  it('gives the softmax of known logits', () => {
    const { probabilities } = calibrate(Float32Array.of(Math.log(1), Math.log(2), Math.log(5)), 1);
    expect(probabilities[0]).toBeCloseTo(0.125, 6);
    expect(probabilities[1]).toBeCloseTo(0.25, 6);
    expect(probabilities[2]).toBeCloseTo(0.625, 6);
  });

  it('flattens with temperature: at 2, odds become their square root', () => {
    const { probabilities } = calibrate(Float32Array.of(Math.log(9), 0), 2);
    expect(probabilities[0]).toBeCloseTo(0.75, 6);
  });

  it('gives probabilities that sum to 1, however large the logits', () => {
    fc.assert(
      fc.property(logits, temperature, (values, t) => {
        const { probabilities } = calibrate(values, t);
        expect(probabilities).toHaveLength(values.length);
        expect(probabilities.every((p) => p >= 0 && p <= 1)).toBe(true);
        expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 5);
      }),
    );
  });

  it('keeps the order of the logits', () => {
    fc.assert(
      fc.property(logits, temperature, (values, t) => {
        const { probabilities } = calibrate(values, t);
        const order = [...values.keys()].sort((i, j) => values[i]! - values[j]!);
        const sorted = order.map((index) => probabilities[index]!);
        expect(sorted).toEqual([...sorted].sort((x, y) => x - y));
      }),
    );
  });

  it.each([NaN, Infinity, -Infinity])('refuses a logit of %s', (bad) => {
    expect(() => calibrate(Float32Array.of(0, bad, 1), 1)).toThrow(expect.objectContaining({ code: 'UT_ENGINE_FAILED' }));
  });
});
