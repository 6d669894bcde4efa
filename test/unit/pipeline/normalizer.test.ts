// The running normalisation: its formula, its prior, its fading.
import { describe, expect, it } from 'vitest';
import { featureCount } from '../../../src/pipeline/mel.ts';
import { clipDeviations, Normalizer } from '../../../src/pipeline/normalizer.ts';
import { featureSteps } from '../../../src/pipeline/types.ts';

const prior = (memoryFrames = 10_000) => ({
  mean: new Float32Array(featureCount).fill(2),
  std: new Float32Array(featureCount).fill(3),
  meanWeightFrames: 30,
  stdWeightFrames: 200,
  memoryFrames,
});

/** Feeds the same value to every feature and returns the normalised first band. */
function feed(normalizer: Normalizer, value: number): number {
  const out = new Int16Array(featureCount);
  normalizer.normalize({ logMel: new Float32Array(64).fill(value), mfcc: new Float32Array(40).fill(value) }, out);
  expect(out.every((z) => z === out[0])).toBe(true);
  return out[0]! / featureSteps;
}

describe('Normalizer', () => {
  it('follows its formula, frame by frame', () => {
    const normalizer = new Normalizer(prior());
    const values = [4, -1, 7, 2.5, 0];
    const seen: number[] = [];
    for (const value of values) {
      seen.push(value);
      const n = seen.length;
      const own = seen.reduce((sum, x) => sum + x, 0) / n;
      const mean = (30 * 2 + n * own) / (30 + n);
      const deviations = seen.reduce((sum, x) => sum + (x - own) ** 2, 0);
      const variance = (200 * 9 + deviations) / (200 + n);
      expect(feed(normalizer, value)).toBe(Math.round((featureSteps * (value - mean)) / Math.sqrt(variance)) / featureSteps);
    }
  });

  it('comes to a caller’s own mean and deviation, whatever the level', () => {
    const normalizer = new Normalizer(prior());
    let z: number[] = [];
    for (let i = 0; i < 5000; i += 1) z.push(feed(normalizer, -9 + (i % 2 === 0 ? 1 : -1)));
    z = z.slice(-100);
    expect(z.reduce((sum, x) => sum + x, 0) / z.length).toBeCloseTo(0, 0);
    expect(Math.max(...z)).toBeGreaterThan(0.6);
    expect(Math.max(...z)).toBeLessThan(1.1);
  });

  it('follows a caller whose level changes, because old frames fade', () => {
    const normalizer = new Normalizer(prior(500));
    for (let i = 0; i < 3000; i += 1) feed(normalizer, 5);
    for (let i = 0; i < 5000; i += 1) feed(normalizer, -5 + (i % 3));
    expect(normalizer.frames).toBe(500);
    expect(Math.abs(feed(normalizer, -4))).toBeLessThan(0.5);
  });

  it('starts each caller from the prior that they came with, whoever else speaks in the thread', () => {
    const another = { ...prior(), std: new Float32Array(featureCount).fill(1.5) };
    const priors = [prior(), another, prior(), { ...prior(), mean: new Float32Array(featureCount).fill(-1) }];
    const values = [4, -1, 7, 2.5];
    const alone = priors.map((one) => {
      const normalizer = new Normalizer(one);
      return values.map((value) => feed(normalizer, value));
    });
    const together = priors.map((one) => new Normalizer(one));
    const heard = values.map((value) => together.map((normalizer) => feed(normalizer, value)));
    expect(priors.map((_, caller) => heard.map((frame) => frame[caller]))).toEqual(alone);
    expect(alone[0]).toEqual(alone[2]);
    expect(alone[0]).not.toEqual(alone[1]);
    expect(alone[0]).not.toEqual(alone[3]);
  });

  it('clips what is far off', () => {
    expect(feed(new Normalizer(prior()), 1e6)).toBe(clipDeviations);
  });
});
