// Log-mel and MFCC: against SciPy, and against themselves under any chunking.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FeatureExtractor, type RawFrame } from '../../../src/pipeline/feature-extractor.ts';
import { featureCount, melBands, melFilterBank } from '../../../src/pipeline/mel.ts';
import { readWav } from '../../../tools/audio/wav.ts';

const folder = new URL('../../golden/features/', import.meta.url);
const speech = readWav(readFileSync(new URL('speech.wav', folder))).channels[0]!;
const golden = new Float32Array(new Uint8Array(readFileSync(new URL('golden.f32', folder))).buffer);

/** The frames of audio that comes in pieces of the given lengths, as one row each. */
function extract(audio: Float32Array, pieces: readonly number[], concealedPieces: ReadonlySet<number> = new Set()) {
  const extractor = new FeatureExtractor();
  const rows: number[][] = [];
  const frames: Pick<RawFrame, 'index' | 'concealed' | 'arrivalMs'>[] = [];
  let at = 0;
  pieces.forEach((length, piece) => {
    const samples = audio.subarray(at, at + length);
    extractor.process({ startSample: at, samples, concealed: concealedPieces.has(piece), arrivalMs: piece }, (frame) => {
      rows.push([...frame.logMel, ...frame.mfcc]);
      frames.push({ index: frame.index, concealed: frame.concealed, arrivalMs: frame.arrivalMs });
    });
    at += samples.length;
  });
  return { rows, frames };
}

describe('FeatureExtractor', () => {
  it('agrees with SciPy on speech to 1e-4 nepers', () => {
    const { rows } = extract(speech, [speech.length]);
    expect(rows).toHaveLength(golden.length / featureCount);
    let worst = 0;
    rows.forEach((row, i) =>
      row.forEach((value, j) => {
        worst = Math.max(worst, Math.abs(value - golden[i * featureCount + j]!));
      }),
    );
    expect(worst).toBeLessThan(1e-4);
    expect(Math.max(...golden.subarray(0, melBands))).toBeGreaterThan(0);
  });

  it('gives the same frames for any chunking of the audio', () => {
    const whole = extract(speech, [speech.length]).rows;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 200 }), (lengths) => {
        const { rows } = extract(speech, [...lengths, speech.length]);
        expect(rows).toEqual(whole);
      }),
      { numRuns: 40 },
    );
  });

  it('gives each frame what its own samples give alone, in and around digital silence too', () => {
    const audio = speech.slice(0, 16_000);
    audio.fill(0, 5003, 5420);
    audio.fill(0, 8000, 12_345);
    for (const pieceSamples of [37, 320, 4001, audio.length]) {
      const { rows } = extract(audio, Array<number>(Math.ceil(audio.length / pieceSamples)).fill(pieceSamples));
      expect(rows).toHaveLength(98);
      rows.forEach((row, i) => {
        expect(row).toEqual(extract(audio.slice(160 * i, 160 * i + 400), [400]).rows[0]);
      });
    }
  });

  it('numbers frames, gives them their last chunk’s arrival, and marks the concealed ones', () => {
    const { frames } = extract(speech, Array<number>(20).fill(320), new Set([5]));
    expect(frames.map((frame) => frame.index)).toEqual(Array.from({ length: 38 }, (_, i) => i));
    // Chunk 5 is samples 1600 to 1920. Frame i is completed by its last hop, samples 160 i + 240 to 160 i + 400.
    expect(frames.filter((frame) => frame.concealed).map((frame) => frame.index)).toEqual([8, 9, 10]);
    expect(frames[0]).toMatchObject({ arrivalMs: 1 });
    expect(frames[8]).toMatchObject({ arrivalMs: 5 });
  });

  it('refuses a hole and an overlap', () => {
    for (const startSample of [161, 159]) {
      const extractor = new FeatureExtractor();
      extractor.process({ startSample: 0, samples: new Float32Array(160), concealed: false, arrivalMs: 0 }, () => undefined);
      const next = { startSample, samples: new Float32Array(160), concealed: false, arrivalMs: 0 };
      expect(() => {
        extractor.process(next, () => undefined);
      }).toThrow(`Expected a chunk at sample 160, got one at ${startSample}`);
    }
  });

  it('gives finite features for silence and for the loudest square wave', () => {
    for (const audio of [new Float32Array(1600), Float32Array.from({ length: 1600 }, (_, i) => (i % 20 < 10 ? 1 : -1))]) {
      const { rows } = extract(audio, [1600]);
      expect(rows.flat().every(Number.isFinite)).toBe(true);
    }
  });
});

describe('melFilterBank', () => {
  it('refuses a resolution at which a filter would be empty', () => {
    const options = { bands: 64, fftSize: 128, sampleRateHz: 16_000, lowHz: 40, highHz: 7800 };
    expect(() => melFilterBank(options)).toThrow('covers none');
  });
});
