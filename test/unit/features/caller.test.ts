// Callers of the export: who is copied, what is drawn for them, and what their clips come out as.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { FeatureExtractor } from '../../../src/pipeline/feature-extractor.ts';
import { featureCount, melBands } from '../../../src/pipeline/mel.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { readCorpus } from '../../../tools/corpus/corpus.ts';
import { playCaller, type CallerContext, type CallerJob } from '../../../tools/features/caller.ts';
import { conditionText, drawCondition } from '../../../tools/features/condition.ts';
import { dealCallers } from '../../../tools/features/jobs.ts';
import { babble, colours } from '../../../tools/features/noise.ts';
import { readClip, writeCorpus } from './clips.ts';

vi.setConfig({ testTimeout: 60_000 });

const splits = {
  ...{ '1015_DFA_DIS_XX': 'train', '1015_IEO_ANG_HI': 'train', '1015_ITH_NEU_XX': 'train' },
  ...{ '1020_DFA_NEU_XX': 'train', '1020_IEO_DIS_MD': 'train' },
  ...{ '1030_DFA_SAD_XX': 'validation', '1030_IOM_DIS_XX': 'validation', '1050_IEO_ANG_MD': 'test' },
};
const pauseSamples = 9600;
const options = { augment: 2, augmentAll: false, independent: false, seed: 1 };

let data: string;
let context: CallerContext;
beforeAll(() => {
  data = writeCorpus(mkdtempSync(join(tmpdir(), 'undertone-caller-')), splits);
  context = { data, seed: 1, pitch: false, rooms: [], noises: [] };
});
afterAll(() => {
  rmSync(data, { recursive: true, force: true });
});

describe('dealCallers', () => {
  it('copies after splitting: nothing of validation or test, in no copy and no babble', async () => {
    const callers = dealCallers(await readCorpus(data), options);
    expect(callers.filter(({ job }) => job.copy === 0).flatMap(({ clips }) => clips)).toHaveLength(8);
    const copies = callers.filter(({ job }) => job.copy > 0);
    expect(copies).toHaveLength(4);
    expect(copies.flatMap(({ clips }) => clips).filter(({ split }) => split !== 'train')).toEqual([]);
    for (const { job } of dealCallers(await readCorpus(data), { ...options, augmentAll: true })) {
      expect(job.voices.filter(({ speaker }) => speaker === '1030' || speaker === '1050')).toEqual([]);
    }
  });

  it('copies all where asked to', async () => {
    const callers = dealCallers(await readCorpus(data), { ...options, augmentAll: true });
    for (const copy of [0, 1, 2]) {
      expect(callers.filter(({ job }) => job.copy === copy).flatMap(({ clips }) => clips)).toHaveLength(8);
    }
  });

  it('names each caller once, and takes no babble from the own speaker', async () => {
    for (const independent of [false, true]) {
      const callers = dealCallers(await readCorpus(data), { ...options, augmentAll: true, independent });
      const names = callers.map(({ job }) => job.caller);
      expect(new Set(names).size).toBe(names.length);
      for (const { job, clips } of callers) {
        expect(new Set(clips.map(({ speaker }) => speaker)).size).toBe(1);
        expect(job.paths).toEqual(clips.map(({ path }) => path));
        expect(job.voices.filter(({ speaker }) => speaker === clips[0]?.speaker)).toEqual([]);
      }
    }
  });
});

describe('drawCondition', () => {
  const choice = { rooms: ['kitchen'], noises: [colours, [babble]] };
  const drawn = Array.from({ length: 4000 }, (_, seed) => drawCondition(createRandom(seed), choice));
  const shareOf = (test: (condition: (typeof drawn)[number]) => boolean): number => drawn.filter(test).length / drawn.length;

  it('keeps within what a call may be', () => {
    for (const { semitones, speed, gainDb, noise, loss, codec } of drawn) {
      expect(Math.abs(semitones)).toBeLessThanOrEqual(2);
      expect(Math.abs(speed - 1)).toBeLessThanOrEqual(0.1);
      expect(gainDb).toBeGreaterThanOrEqual(-12);
      expect(gainDb).toBeLessThanOrEqual(6);
      if (noise !== null) expect(Math.abs(noise.ratioDb - 10)).toBeLessThanOrEqual(10);
      if (loss !== null) {
        expect(codec).not.toBeNull();
        expect(Math.abs(loss.percent - 11)).toBeLessThanOrEqual(9);
        expect(Math.abs(loss.meanBurstPackets - 2.5)).toBeLessThanOrEqual(1.5);
      }
    }
  });

  it('draws each as often as it should', () => {
    expect(shareOf(({ room }) => room !== null)).toBeCloseTo(0.4, 1);
    expect(shareOf(({ noise }) => noise !== null)).toBeCloseTo(0.8, 1);
    expect(shareOf(({ noise }) => noise?.kind.name === 'babble')).toBeCloseTo(0.4, 1);
    expect(shareOf(({ codec }) => codec?.name === 'pcmu')).toBeCloseTo(0.25, 1);
    expect(shareOf(({ codec }) => codec?.name === 'opus')).toBeCloseTo(0.55, 1);
    expect(shareOf(({ loss }) => loss !== null)).toBeCloseTo(0.4, 1);
    for (const kbps of [12, 16, 24, 32]) expect(shareOf(({ codec }) => codec?.name === 'opus' && codec.kbps === kbps)).toBeCloseTo(0.14, 1);
  });

  it('has no room and no noise where there are none', () => {
    const bare = drawn.map((_, seed) => drawCondition(createRandom(seed), { rooms: [], noises: [] }));
    expect(bare.every(({ room, noise }) => room === null && noise === null)).toBe(true);
  });

  it('is told in short, without commas', () => {
    for (const condition of drawn.slice(0, 200)) {
      expect(conditionText(condition)).toMatch(/^pitch[+-][\d.]+ speed[\d.]+ gain[+-]\d+ band\d+-\d+[\w :*.@+-]*$/);
    }
  });
});

describe('playCaller', () => {
  const job = (copy: number, caller = `1015#${copy.toString()}`): CallerJob => ({
    ...{ caller, copy, voices: [] },
    paths: Object.keys(splits).flatMap((stem) => (stem.startsWith('1015') ? [`${stem}.opus`] : [])),
  });

  it('gives the plain clips the features of the pipeline, clip after clip with pauses between', async () => {
    const { clips, condition } = await playCaller(job(0), context);
    expect(condition).toBe('');
    const extractor = new FeatureExtractor();
    let position = 0;
    for (const [i, path] of job(0).paths.entries()) {
      const samples = await readClip(path.replace('.opus', ''));
      const [start, end] = [position, position + samples.length];
      const rows: number[] = [];
      for (const part of [samples, new Float32Array(pauseSamples)]) {
        extractor.process({ startSample: position, samples: part, concealed: false, arrivalMs: 0 }, ({ index, logMel, mfcc }) => {
          if (160 * index >= start && 160 * index + 400 <= end) rows.push(...logMel, ...mfcc);
        });
        position += part.length;
      }
      expect(clips[i]?.frames).toEqual(Float32Array.from(rows));
      expect(clips[i]?.flags.length).toBe(rows.length / featureCount);
      expect(clips[i]?.flags.filter((flag) => flag === 1).length).toBeGreaterThan(50);
    }
  });

  it('puts the pitch in place of the last cepstra where they are wanted, and changes nothing else', async () => {
    const [plain, pitched] = [await playCaller(job(0), context), await playCaller(job(0), { ...context, pitch: true })];
    let [voiced, frames] = [0, 0];
    for (const [i, { frames: rows, flags }] of pitched.clips.entries()) {
      expect(flags).toEqual(plain.clips[i]?.flags);
      for (let row = 0; row < flags.length; row += 1) {
        const [first, end] = [row * featureCount, (row + 1) * featureCount];
        expect(rows.subarray(first, end - 27)).toEqual(plain.clips[i]?.frames.subarray(first, end - 27));
        if (flags[row] !== 1) continue;
        frames += 1;
        if (rows[end - 26]! > 0.6) voiced += 1;
      }
    }
    // What is spoken is voiced for the most part, but for whispered ends and what hangs over.
    expect(voiced / frames).toBeGreaterThan(0.4);
  });

  it('gives the same bytes for the same seed, and others for another seed or caller', async () => {
    const first = await playCaller(job(1), context);
    expect(await playCaller(job(1), context)).toEqual(first);
    expect((await playCaller(job(1), { ...context, seed: 2 })).condition).not.toBe(first.condition);
    expect((await playCaller(job(2), context)).condition).not.toBe(first.condition);
  });

  it('keeps every copied clip in its place and in time with the plain one, finite and heard', async () => {
    const plain = await playCaller(job(0), context);
    for (let copy = 1; copy <= 6; copy++) {
      const { clips, condition } = await playCaller(job(copy), context);
      const speed = Number(/speed([\d.]+)/.exec(condition)?.[1]);
      for (const [i, { frames, flags }] of clips.entries()) {
        const was = plain.clips[i];
        if (was === undefined) throw new Error('Expected as many clips');
        expect(frames.every(Number.isFinite)).toBe(true);
        expect(flags.length).toBe(frames.length / featureCount);
        expect(Math.abs(flags.length - was.flags.length / speed)).toBeLessThan(4);
        expect(flags.some((flag) => flag === 1)).toBe(true);
        const { lagFrames, correlation } = alignment(frames, was.frames, speed);
        expect(Math.abs(lagFrames), condition).toBeLessThanOrEqual(3);
        expect(correlation, condition).toBeGreaterThan(0.4);
      }
    }
  });

  it('marks concealed speech where packets are lost, and only there', async () => {
    const marked: Record<'lossy' | 'sound', boolean[]> = { lossy: [], sound: [] };
    for (let copy = 1; copy <= 12; copy++) {
      const { clips, condition } = await playCaller(job(copy), context);
      marked[condition.includes('loss') ? 'lossy' : 'sound'].push(clips.some(({ flags }) => flags.includes(2)));
    }
    expect(marked.lossy).toContain(true);
    expect(marked.sound).toContain(false);
    expect(marked.sound).not.toContain(true);
  });
});

/** Where the loudness of a copy fits that of the plain clip best, played at the copy's speed. */
function alignment(copy: Float32Array, plain: Float32Array, speed: number): { lagFrames: number; correlation: number } {
  const [is, was] = [loudness(copy), loudness(plain)];
  const margin = 10;
  let best = { lagFrames: 0, correlation: -1 };
  for (let lagFrames = -margin; lagFrames <= margin; lagFrames++) {
    const pairs: [number, number][] = [];
    for (let i = margin; i < is.length - margin; i++) {
      // Frame i begins at 160 i and is 400 long; the same place of the plain clip is `speed` times as far.
      const at = Math.round(((160 * i + 200) * speed - 200) / 160);
      const [a, b] = [is[i + lagFrames], was[at]];
      if (a !== undefined && b !== undefined) pairs.push([a, b]);
    }
    const correlation = pearson(pairs);
    if (correlation > best.correlation) best = { lagFrames, correlation };
  }
  return best;
}

function loudness(frames: Float32Array): number[] {
  return Array.from({ length: frames.length / featureCount }, (_, i) => {
    const logMel = frames.subarray(i * featureCount, i * featureCount + melBands);
    return logMel.subarray(8, 40).reduce((sum, value) => sum + value, 0) / 32;
  });
}

function pearson(pairs: readonly (readonly [number, number])[]): number {
  const mean = (of: 0 | 1): number => pairs.reduce((sum, pair) => sum + pair[of], 0) / pairs.length;
  const [meanA, meanB] = [mean(0), mean(1)];
  const moment = (f: (a: number, b: number) => number): number => pairs.reduce((sum, [a, b]) => sum + f(a - meanA, b - meanB), 0);
  return moment((a, b) => a * b) / Math.sqrt(moment((a) => a * a) * moment((_, b) => b * b));
}
