// Pitch: against its formulas, against themselves under any chunking, and that they tell one pitch from another.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor } from '../../../src/pipeline/feature-extractor.ts';
import { FrontEnd } from '../../../src/pipeline/front-end.ts';
import { featureCount } from '../../../src/pipeline/mel.ts';
import { Normalizer } from '../../../src/pipeline/normalizer.ts';
import { pitchCount } from '../../../src/pipeline/pitch.ts';
import { readWav } from '../../../tools/audio/wav.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { plainPitch } from '../../support/plain-pitch.ts';
import { opus, spec } from './packets.ts';

const speech = readWav(readFileSync(new URL('../../golden/features/speech.wav', import.meta.url))).channels[0]!;

function pitchOf(samples: Float32Array, pieces: readonly number[] = [samples.length]): number[][] {
  const extractor = new FeatureExtractor({ pitch: true });
  const rows: number[][] = [];
  let at = 0;
  for (const length of pieces) {
    const chunk = { startSample: at, samples: samples.subarray(at, at + length), concealed: false, arrivalMs: 0 };
    extractor.process(chunk, ({ pitch }) => rows.push([...pitch!]));
    at += chunk.samples.length;
  }
  return rows;
}

/** A voice's pulses, `hz` of them a second, or rising to `end`, through a crude mouth. */
function pulses(hz: number, count = 16_000, end = hz): Float32Array {
  let [level, phase] = [0, 0];
  return Float32Array.from({ length: count }, (_, i) => {
    phase += (hz * (end / hz) ** (i / count)) / 16_000;
    const pulse = phase >= 1;
    if (pulse) phase -= 1;
    level = 0.8 * level + (pulse ? 0.5 : 0);
    return level;
  });
}

describe('pitch', () => {
  it('is that of the formulas in double precision, for speech at any level, and for noise', () => {
    const random = createRandom(7);
    const signals = [0.01, 1, 3].map((gain) => speech.map((sample) => gain * sample));
    signals.push(Float32Array.from({ length: 4000 }, () => random() - 0.5));
    for (const signal of signals) {
      const rows = pitchOf(signal).slice(0, 45);
      const errors = plainPitch(signal, rows.length).map((expected, frame) =>
        Math.max(...expected.map((value, i) => Math.abs(rows[frame]![i]! - value))),
      );
      expect(Math.max(...errors)).toBeLessThan(2e-3);
    }
  });

  it('is the same for any chunking, in and around digital silence too', () => {
    const audio = Float32Array.of(
      ...new Float32Array(3000),
      ...speech.subarray(0, 6000),
      ...new Float32Array(4321),
      ...speech.subarray(6000, 9000),
    );
    const whole = pitchOf(audio);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 100 }), (lengths) => {
        expect(pitchOf(audio, [...lengths, audio.length])).toEqual(whole);
      }),
      { numRuns: 30 },
    );
    expect(whole[0]).toEqual(Array(pitchCount).fill(0));
  });

  it.each([
    [70, 22],
    [100, 18],
    [180, 11],
    [300, 5],
    [450, 0],
  ])('of a voice of %i Hz is that, and its band, %i, as periodic as any', (hz, band) => {
    const [pitch, voicing, glide, ...row] = pitchOf(pulses(hz)).at(-1)!;
    expect(Math.abs(pitch! - Math.log2(hz / 150))).toBeLessThan(0.02);
    expect(voicing).toBeGreaterThan(0.95);
    expect(Math.abs(glide!)).toBeLessThan(0.1);
    expect(row[band]).toBeGreaterThan(0.95);
    // Higher pitches than the voice's own are none of its periods.
    for (const higher of row.slice(0, Math.max(0, band - 2))) expect(higher).toBeLessThan(row[band]! - 0.1);
  });

  it('follows a voice that rises, holds its pitch where it falls silent, and says how much is voiced', () => {
    const rising = pulses(120, 8000, 240);
    const rows = pitchOf(Float32Array.of(...rising, ...new Float32Array(8000)));
    const within = rows.slice(8, 45);
    for (const [, voicing, glide] of within) {
      expect(voicing).toBeGreaterThan(0.9);
      expect(glide).toBeGreaterThan(0);
    }
    // An octave in half a second is 0.04 in two frames.
    expect(within.reduce((sum, row) => sum + row[2]!, 0) / within.length / 5).toBeCloseTo(0.04, 2);
    for (const [held, voicing, glide] of rows.slice(60)) {
      expect(held).toBe(rows.at(-1)![0]);
      expect(Math.abs(held! - Math.log2(240 / 150))).toBeLessThan(0.1);
      expect([voicing, glide]).toEqual([0, 0]);
    }
  });

  it('has small bands in noise, as training believes', () => {
    const random = createRandom(8);
    const noise = Float32Array.from({ length: 32_000 }, () => random() - 0.5);
    const rows = pitchOf(noise).slice(10);
    const meanOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
    // NOISE_PITCH and NOISE_VOICING of training/undertone/noise.py.
    expect(Math.abs(meanOf(rows.flatMap((row) => row.slice(3))) - 0.07)).toBeLessThan(0.03);
    expect(Math.abs(meanOf(rows.map((row) => row[1]!)) - 0.27)).toBeLessThan(0.03);
  });

  it('is finite whatever the samples, and its bands whole again 50 ms later', () => {
    const clean = pitchOf(speech);
    for (const bad of [Number.NaN, Infinity, -Infinity, 1e30]) {
      const samples = speech.slice();
      samples[4000] = bad;
      pitchOf(samples).forEach((row, frame) => {
        expect(row.every((value) => Number.isFinite(value) && Math.abs(value) < 2.5)).toBe(true);
        const holds = 160 * frame - 455 <= 4000 && 4000 < 160 * frame + 400;
        if (!holds) expect(row.slice(3)).toEqual(clean[frame]!.slice(3));
      });
    }
  });

  it('stands in place of the last cepstra of a normalised row', () => {
    const prior = {
      mean: new Float32Array(featureCount),
      std: new Float32Array(featureCount).fill(1),
      meanWeightFrames: 30,
      stdWeightFrames: 200,
      memoryFrames: 3000,
    };
    const rowOf = (pitch?: Float32Array): number[] => {
      const out = new Int16Array(featureCount);
      const plain = { logMel: new Float32Array(64).fill(0.1), mfcc: new Float32Array(40).fill(0.2) };
      new Normalizer(prior).normalize(pitch === undefined ? plain : { ...plain, pitch }, out);
      return [...out];
    };
    const [without, withPitch] = [rowOf(), rowOf(new Float32Array(pitchCount).fill(-0.3))];
    expect(withPitch.slice(0, 77)).toEqual(without.slice(0, 77));
    expect(withPitch.slice(77).every((value) => value < 0)).toBe(true);
    expect(without.slice(77).every((value) => value > 0)).toBe(true);
  });

  it('reaches the windows of a model that takes it, and leaves the rest of these as it is', () => {
    const blocksOf = (pitch: boolean): Int16Array[] => {
      const track = { callId: 'c', participantId: 'p', trackId: 't', codec: opus };
      const frontEnd = new FrontEnd({ track, spec: { ...spec, pitch }, decoder: null });
      const blocks: Int16Array[] = [];
      frontEnd.processSamples({ startSample: 0, samples: speech, concealed: false, arrivalMs: 0 }, (output) => {
        if (output.kind === 'window') blocks.push(output.window.blocks.at(-1)!.features);
      });
      return blocks;
    };
    const [without, withPitch] = [blocksOf(false), blocksOf(true)];
    expect(withPitch.length).toBeGreaterThan(2);
    withPitch.forEach((features, block) => {
      features.forEach((value, i) => {
        if (i % featureCount < featureCount - pitchCount) expect(value).toBe(without[block]![i]);
      });
      expect(features).not.toEqual(without[block]);
    });
  });

  it('is left out where nobody asked for it', () => {
    new FeatureExtractor().process({ startSample: 0, samples: speech, concealed: false, arrivalMs: 0 }, (frame) => {
      expect(frame).not.toHaveProperty('pitch');
    });
  });
});
