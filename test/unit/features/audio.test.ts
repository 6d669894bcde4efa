// Voices changed in pitch and speed, and linear filters, on a committed clip.
import { describe, expect, it } from 'vitest';
import { convolve, minimumPhaseFilter } from '../../../tools/audio/filter.ts';
import { changeVoice, stretch } from '../../../tools/audio/stretch.ts';
import { lagOf, levelDb, readClip } from './clips.ts';

const clip = await readClip('1015_IEO_ANG_HI');

describe('changeVoice', () => {
  it.each([-2, -0.7, 1.3, 2])('shifts the pitch by %f semitones and keeps duration and level', (semitones) => {
    const changed = changeVoice(clip, { semitones, speed: 1 });
    expect(changed.length).toBe(clip.length);
    expect(12 * Math.log2(pitchHz(changed) / pitchHz(clip))).toBeCloseTo(semitones, 0.4);
    expect(Math.abs(levelDb(changed) - levelDb(clip))).toBeLessThan(1);
  });

  it.each([0.9, 1.1])('plays at speed %f and keeps the pitch', (speed) => {
    const changed = changeVoice(clip, { semitones: 0, speed });
    expect(changed.length).toBe(Math.round(clip.length / speed));
    expect(Math.abs(12 * Math.log2(pitchHz(changed) / pitchHz(clip)))).toBeLessThan(0.4);
    expect(Math.abs(levelDb(changed) - levelDb(clip))).toBeLessThan(1);
  });

  it('keeps the loud and the soft where they were', () => {
    const changed = changeVoice(clip, { semitones: 1.5, speed: 0.9 });
    const was = envelope(clip, 160);
    // An envelope of as many points: each is 10 ms of the clip as it was.
    const is = envelope(changed, 160 / 0.9).subarray(0, was.length);
    // Each piece may be up to 10 ms off its place, where it fits the one before.
    expect(Math.abs(lagOf(is, was, 10))).toBeLessThanOrEqual(1);
    expect(correlation(is, was)).toBeGreaterThan(0.9);
  });

  it('changes nothing where nothing is to be changed', () => {
    expect(changeVoice(clip, { semitones: 0, speed: 1 })).toEqual(clip);
  });

  it('takes clips shorter than a frame, and empty ones', () => {
    for (const length of [0, 1, 100, 600]) {
      const changed = changeVoice(clip.subarray(0, length), { semitones: -2, speed: 1.1 });
      expect(changed.length).toBe(Math.round(length / 1.1));
      expect(changed.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('stretch', () => {
  it('adds no clicks: no jump larger than those of the clip', () => {
    const jump = (samples: Float32Array): number =>
      samples.reduce((most, sample, i) => Math.max(most, Math.abs(sample - (samples[i - 1] ?? 0))), 0);
    for (const factor of [0.85, 1.2]) expect(jump(stretch(clip, factor))).toBeLessThan(1.1 * jump(clip));
  });
});

describe('convolve', () => {
  it('is the sum of products, whatever the lengths', () => {
    for (const [length, taps] of [
      [5000, 1],
      [9001, 300],
      [700, 2500],
    ] as const) {
      const samples = clip.subarray(8000, 8000 + length);
      const response = clip.subarray(16_000, 16_000 + taps);
      const fast = convolve(samples, response);
      expect(fast.length).toBe(length);
      for (let n = 0; n < length; n += 97) {
        let sum = 0;
        for (let k = 0; k < taps && k <= n; k++) sum += (response[k] ?? 0) * (samples[n - k] ?? 0);
        expect(fast[n]).toBeCloseTo(sum, 5);
      }
    }
  });
});

describe('minimumPhaseFilter', () => {
  const wanted = (hz: number): number => (hz < 300 ? 0.25 : hz < 3400 ? 1 : 0.1) * 2;

  it('has the gains that were asked for, and begins at once', () => {
    const response = minimumPhaseFilter(wanted, 16_000);
    for (const hz of [100, 800, 2000, 5000, 7500]) expect(20 * Math.log10(gainAt(response, hz) / wanted(hz))).toBeCloseTo(0, 0);
    const energy = (part: Float32Array): number => part.reduce((sum, tap) => sum + tap * tap, 0);
    // Half the energy within 1 ms: a filter of linear phase would have it 16 ms later.
    expect(energy(response.subarray(0, 16))).toBeGreaterThan(0.5 * energy(response));
    expect(Math.abs(lagOf(convolve(clip, response), clip, 40))).toBeLessThanOrEqual(4);
  });
});

function gainAt(response: Float32Array, hz: number): number {
  let [re, im] = [0, 0];
  response.forEach((tap, i) => {
    re += tap * Math.cos((2 * Math.PI * hz * i) / 16_000);
    im -= tap * Math.sin((2 * Math.PI * hz * i) / 16_000);
  });
  return Math.hypot(re, im);
}

/** Median pitch of the voiced frames, by autocorrelation. */
function pitchHz(samples: Float32Array): number {
  const found: number[] = [];
  const loud = levelDb(samples);
  for (let at = 0; at + 1024 <= samples.length; at += 160) {
    const frame = samples.subarray(at, at + 1024);
    if (levelDb(frame) < loud) continue;
    const scores = Array.from({ length: 200 }, (_, lag) => {
      if (lag < 40) return 0;
      let [product, before, after] = [0, 1e-9, 1e-9];
      for (let i = 0; i + lag < frame.length; i++) {
        product += (frame[i] ?? 0) * (frame[i + lag] ?? 0);
        before += (frame[i] ?? 0) ** 2;
        after += (frame[i + lag] ?? 0) ** 2;
      }
      return product / Math.sqrt(before * after);
    });
    const best = Math.max(...scores);
    // The shortest lag that is nearly as good: not a multiple of the period.
    const lag = scores.findIndex((score, i) => score > 0.95 * best && score >= (scores[i + 1] ?? 0));
    if (best > 0.8) found.push(16_000 / lag);
  }
  expect(found.length).toBeGreaterThan(20);
  return found.toSorted((a, b) => a - b)[found.length >> 1] ?? NaN;
}

function envelope(samples: Float32Array, stepSamples: number): Float32Array {
  const count = Math.floor((samples.length - 400) / stepSamples);
  return Float32Array.from({ length: count }, (_, i) => {
    const at = Math.round(i * stepSamples);
    return Math.sqrt(samples.subarray(at, at + 400).reduce((sum, sample) => sum + sample * sample, 0));
  });
}

function correlation(a: Float32Array, b: Float32Array): number {
  const mean = (of: Float32Array): number => of.reduce((sum, value) => sum + value, 0) / of.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squareA, squareB] = [0, 0, 0];
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const [x, y] = [(a[i] ?? 0) - meanA, (b[i] ?? 0) - meanB];
    product += x * y;
    squareA += x * x;
    squareB += y * y;
  }
  return product / Math.sqrt(squareA * squareB);
}
