import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calibrate, sharpen } from '../../../src/models/calibrate.ts';

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

describe('sharpen', () => {
  it('raises to a power and normalises: at 0.5, probabilities are squared', () => {
    const sure = sharpen([0.6, 0.3, 0.1], 0.5);
    for (const [index, square] of [0.36, 0.09, 0.01].entries()) expect(sure[index]).toBeCloseTo(square / 0.46, 9);
  });

  it('keeps the order of classes, sums to 1, and does nothing at 1', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 2, maxLength: 8 }), temperature, (weights, t) => {
        const sum = weights.reduce((total, weight) => total + weight, 0);
        fc.pre(sum > 1e-3);
        const mean = weights.map((weight) => weight / sum);
        const sure = sharpen(mean, t);
        expect(sure.reduce((total, p) => total + p, 0)).toBeCloseTo(1, 9);
        expect(sure[mean.indexOf(Math.max(...mean))]).toBe(Math.max(...sure));
        for (const [index, p] of sharpen(mean, 1).entries()) expect(p).toBeCloseTo(mean[index] ?? 0, 9);
      }),
    );
  });
});
