// The kernel: that it is what its sources make, and that its single precision is near enough to the formulas in double.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor } from '../../../src/pipeline/feature-extractor.ts';
import { featureCount, melBands } from '../../../src/pipeline/mel.ts';
import { clipDeviations, Normalizer } from '../../../src/pipeline/normalizer.ts';
import { featureSteps } from '../../../src/pipeline/types.ts';
import { voiceInputCount, VoiceInputs } from '../../../src/pipeline/voice-inputs.ts';
import { VoiceNetwork, voiceWeightCount } from '../../../src/pipeline/voice-network.ts';
import { readWav } from '../../../tools/audio/wav.ts';
import { plainFeatures } from '../../../tools/bench/plain-features.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { compileKernel, kernelUrls } from '../../../tools/kernel/compile.ts';
import { PlainVoiceInputs, PlainVoiceNetwork } from '../../support/plain-voice.ts';

const speech = readWav(readFileSync(new URL('../../golden/features/speech.wav', import.meta.url))).channels[0]!;

function rowsOf(samples: Float32Array): Float32Array[] {
  const rows: Float32Array[] = [];
  new FeatureExtractor().process({ startSample: 0, samples, concealed: false, arrivalMs: 0 }, ({ logMel, mfcc }) => {
    rows.push(Float32Array.of(...logMel, ...mfcc));
  });
  return rows;
}

/** Greatest error of log-mel and MFCC against the formulas in double precision. */
function worst(samples: Float32Array): { readonly logMel: number; readonly mfcc: number } {
  const errors = { logMel: 0, mfcc: 0 };
  rowsOf(samples).forEach((row, frame) => {
    plainFeatures(samples, 160 * frame).forEach((expected, i) => {
      const part = i < melBands ? 'logMel' : 'mfcc';
      errors[part] = Math.max(errors[part], Math.abs(row[i]! - expected));
    });
  });
  return errors;
}

describe('kernel.wasm', () => {
  it('is what its sources make (npm run build:kernel)', { timeout: 60_000 }, async () => {
    expect(Buffer.from(await compileKernel(kernelUrls.frontEnd)).equals(readFileSync(kernelUrls.frontEnd))).toBe(true);
  });
});

describe('features in single precision', () => {
  it('are those of double to 2e-5 nepers for speech at any level, and for noise', () => {
    const random = createRandom(1);
    const signals = [0.01, 1, 3].map((gain) => speech.map((sample) => gain * sample));
    signals.push(Float32Array.from({ length: 4000 }, () => random() - 0.5));
    for (const signal of signals) {
      const { logMel, mfcc } = worst(signal);
      expect(logMel).toBeLessThan(2e-5);
      expect(mfcc).toBeLessThan(2e-5);
    }
  });

  it('leave what a full-scale tone drowns: bands 100 dB under it to 0.01 nepers', () => {
    const tone = Float32Array.from({ length: 1600 }, (_, i) => Math.sin((2 * Math.PI * 1000 * i) / 16_000));
    expect(worst(tone).logMel).toBeLessThan(0.01);
  });

  it('are finite whatever the samples, and of no other frame than those that hold them', () => {
    const clean = rowsOf(speech);
    for (const bad of [Number.NaN, Infinity, -Infinity, 1e30]) {
      const samples = speech.slice();
      samples[4000] = bad;
      rowsOf(samples).forEach((row, frame) => {
        expect(row.every(Number.isFinite)).toBe(true);
        const holds = 160 * frame <= 4000 && 4000 < 160 * frame + 400;
        if (!holds) expect(row).toEqual(clean[frame]);
      });
    }
  });
});

describe('voice activity in single precision', () => {
  it('is given what plain doubles give, from silence into speech and back, for minutes', () => {
    const rows = [...rowsOf(new Float32Array(8000)), ...rowsOf(speech), ...rowsOf(new Float32Array(1600))];
    const random = createRandom(2);
    const [ours, plain] = [new VoiceInputs(), new PlainVoiceInputs()];
    const values = new Float32Array(voiceInputCount + 3);
    let error = 0;
    for (let turn = 0; turn < 100; turn += 1) {
      const gain = 4 * random();
      for (const row of rows) {
        const logMel = row.slice(0, melBands).map((value) => (value < -16 ? value : value - gain));
        const expected = plain.take(logMel);
        expect(ours.take(logMel, values, 3)).toBe(expected.signal);
        expected.values.forEach((value, i) => (error = Math.max(error, Math.abs(values[3 + i]! - value))));
      }
    }
    expect(error).toBeLessThan(2e-5);
    expect([...values.subarray(0, 3)]).toEqual([0, 0, 0]);
  });

  it('is judged as plain doubles judge, by a network of any shape', () => {
    const random = createRandom(3);
    for (const shape of [
      { inputs: 81, dense: 24, hidden: 32 },
      { inputs: 5, dense: 8, hidden: 8 },
      { inputs: 3, dense: 16, hidden: 40 },
    ]) {
      const weights = Float32Array.from({ length: voiceWeightCount(shape) }, () => random() - 0.5);
      const [ours, plain] = [new VoiceNetwork(shape, weights), new PlainVoiceNetwork(shape, weights)];
      const state = ours.createState();
      const said = new Float32Array(2);
      for (let step = 0; step < 200; step += 1) {
        // Now and then so far off that an exponential would not fit into a float.
        const size = step % 20 === 0 ? 400 : 4;
        const pair = Float32Array.from({ length: 2 * shape.inputs }, () => size * (random() - 0.5));
        ours.step(pair, state, said);
        plain.step(pair).forEach((expected, i) => {
          expect(Math.abs(said[i]! - expected)).toBeLessThan(1e-5);
        });
      }
    }
  });
});

describe('normalisation in single precision', () => {
  it('is that of double to a step over five minutes of speech, far from the prior', () => {
    const random = createRandom(4);
    const prior = {
      mean: Float32Array.from({ length: featureCount }, () => -8 + 4 * random()),
      std: Float32Array.from({ length: featureCount }, () => 0.5 + 3 * random()),
      ...{ meanWeightFrames: 30, stdWeightFrames: 200, memoryFrames: 3000 },
    };
    const normalizer = new Normalizer(prior);
    const [sums, squares] = [new Float64Array(featureCount), new Float64Array(featureCount)];
    const row = new Float32Array(featureCount);
    const out = new Int16Array(featureCount + 5);
    let error = 0;
    for (let frame = 1; frame <= 30_000; frame += 1) {
      for (let i = 0; i < featureCount; i += 1) row[i] = prior.mean[i]! + (i % 9) + (0.5 + (i % 5)) * (random() + random() - 1);
      normalizer.normalize({ logMel: row.subarray(0, melBands), mfcc: row.subarray(melBands) }, out, 5);
      const keep = frame > 3000 ? 2999 / 3000 : 1;
      const n = Math.min(frame, 3000);
      row.forEach((value, i) => {
        const x = value - prior.mean[i]!;
        sums[i] = keep * sums[i]! + x;
        squares[i] = keep * squares[i]! + x * x;
        const variance = (200 * prior.std[i]! ** 2 + Math.max(0, squares[i] - sums[i] ** 2 / n)) / (200 + n);
        const z = (x - sums[i] / (30 + n)) / Math.sqrt(variance);
        error = Math.max(error, Math.abs(out[5 + i]! - featureSteps * Math.max(-clipDeviations, Math.min(clipDeviations, z))));
      });
    }
    expect(error).toBeLessThan(1);
    expect(normalizer.frames).toBe(3000);
  });
});
