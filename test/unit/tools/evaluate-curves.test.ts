// The curves of an evaluation: by what was heard of a clip, by what was heard of the caller before, by confidence.
import { describe, expect, it, vi } from 'vitest';
import { loadManifest } from '../../../src/models/manifest.ts';
import { shippedModelDir } from '../../../tools/analyse/play.ts';
import { readCorpus } from '../../../tools/corpus/corpus.ts';
import { bySpeechHeard, riskCoverage } from '../../../tools/evaluate/curves.ts';
import { evaluate } from '../../../tools/evaluate/evaluate.ts';
import { hear } from '../../../tools/evaluate/hear.ts';
import { callPauseMs } from '../../../tools/evaluate/line.ts';
import { whiteNoise } from '../../../tools/evaluate/noise.ts';
import type { EvaluationOptions } from '../../../tools/evaluate/options.ts';
import { report } from '../../../tools/evaluate/report.ts';
import { verdictOf, type Heard } from '../../../tools/evaluate/runs.ts';

// Real models score real clips, perhaps beside a training run.
vi.setConfig({ testTimeout: 180_000 });

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;
const { hopFrames, uncertainBelow } = (await loadManifest(shippedModelDir)).manifest;
const line = {
  data: demo,
  codec: { name: 'none' },
  fec: false,
  dtx: false,
  concealment: 'fec',
  lossPercent: 0,
  burstPackets: 3,
  noiseDb: null,
  seed: 1,
} as const;

/** A clip whose windows come at these frames of its speech, each with this probability of the first of two labels. */
function heardClip(speaker: string, truth: number, windows: readonly (readonly [heardFrames: number, probability: number])[]): Heard {
  return {
    ...{ path: `${speaker}-${truth}`, speaker, sex: '', truth, model: 'm', uncertainBelow: 0.7, framesBefore: 0 },
    ...{ verdictTemperature: 1, verdictPower: 0 },
    windows: windows.map(([heardFrames, p]) => ({
      heardFrames,
      speechRatio: heardFrames / 240,
      concealedRatio: 0,
      probabilities: [p, 1 - p],
    })),
  };
}

describe('hear', () => {
  it('knows of each clip how much speech was heard before and by each window', async () => {
    const clips = (await readCorpus(demo)).filter(({ speaker }) => speaker === '1020' || speaker === '1021');
    const calls = [...Map.groupBy(clips, ({ speaker }) => speaker)].map(([name, own]) => ({ name, clips: own }));
    const options = { ...line, modelDir: shippedModelDir, calls, noise: whiteNoise, kept: [0, 1, 2, 3, 4, 5] };
    const heard = await hear({ ...options, warmUp: false, pauseMs: callPauseMs });
    expect(heard.map(({ clip }) => clip.path).toSorted()).toEqual(clips.map(({ path }) => path).toSorted());
    for (const { name } of calls) {
      const own = heard.filter(({ clip }) => clip.speaker === name).toSorted((a, b) => a.framesBefore - b.framesBefore);
      expect(own[0]?.framesBefore).toBe(0);
      for (const [i, { windows, framesBefore }] of own.entries()) {
        const frames = windows.map(({ heardFrames }) => heardFrames);
        expect(frames).toEqual(frames.toSorted((a, b) => a - b));
        // Sentences of 1 to 4 s, all of whose speech the windows have heard but for what follows the last one.
        const all = (own[i + 1]?.framesBefore ?? framesBefore + (frames.at(-1) ?? 0)) - framesBefore;
        expect(frames.at(-1)).toBeLessThanOrEqual(all);
        expect(frames.at(-1)).toBeGreaterThan(all - hopFrames);
        expect(all).toBeGreaterThan(50);
        expect(all).toBeLessThan(400);
        for (const { probabilities } of windows) expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1);
      }
      expect(own.slice(1).every(({ framesBefore }) => framesBefore > 50)).toBe(true);
    }
    const warm = await hear({ ...options, warmUp: true, pauseMs: callPauseMs });
    expect(warm.map(({ clip }) => clip.path).toSorted()).toEqual(clips.map(({ path }) => path).toSorted());
    for (const { name } of calls) {
      const framesOf = (run: typeof heard): number[] =>
        run
          .filter(({ clip }) => clip.speaker === name)
          .map(({ framesBefore }) => framesBefore)
          .toSorted((a, b) => a - b);
      // Before the first clip that counts, all were heard once.
      expect(framesOf(warm)[0]).toBeGreaterThan(framesOf(heard).at(-1)!);
    }
  });
});

describe('bySpeechHeard', () => {
  it('takes the windows that hold no more than the seconds, and counts a clip without one as not heard', () => {
    const heard = [
      heardClip('a', 0, [
        [48, 0.1],
        [101, 0.9],
        [160, 0.9],
      ]),
      heardClip('a', 1, [[100, 0.4]]),
      heardClip('b', 1, []),
    ];
    const rows = new Map(bySpeechHeard(heard, 2, 1).map((row) => [row.seconds, row]));
    expect(rows.get(0.5)).toMatchObject({ uar: 0, below: 0.75, uarOfHeard: 0, finalUarOfHeard: 1 });
    expect(rows.get(0.5)?.coverage).toBeCloseTo(1 / 3);
    expect(rows.get(1)).toMatchObject({ uar: 0.25, uarOfHeard: 0.5 });
    // The mean of 0.1 and 0.9 gives neither label; the first of several leads.
    expect(rows.get(1.5)).toMatchObject({ uar: 0.75, below: 0 });
    expect(rows.get(null)).toMatchObject({ uar: 0.75, below: 0, uarOfHeard: 1, interval: [0, 0] });
    expect(rows.get(null)?.coverage).toBeCloseTo(2 / 3);
  });
});

describe('riskCoverage', () => {
  it('keeps the clips that are sure enough, and orders errors by confidence', () => {
    const heard = [
      heardClip('a', 0, [[100, 0.95]]),
      heardClip('a', 1, [[100, 0.2]]),
      heardClip('b', 1, [[100, 0.6]]),
      heardClip('b', 1, []),
    ];
    const { rows, area, atUncertainBelow } = riskCoverage(heard, 2);
    expect(rows[0]).toMatchObject({ confidence: 0, coverage: 0.75 });
    expect(rows.find(({ confidence }) => confidence === 0.9)).toMatchObject({ coverage: 0.25, accuracy: 1, uar: 1 });
    expect(rows.at(-1)).toEqual({ confidence: 1, coverage: 0, accuracy: null, uar: null });
    // Errors among the surest 1, 2, 3 and 4: none, none, 1 and 2.
    expect(area).toBeCloseTo((0 + 0 + 1 / 3 + 2 / 4) / 4);
    expect(atUncertainBelow).toEqual({ confidence: 0.7, coverage: 0.5, accuracy: 1, uar: 1, accuracyBelow: 0 });
  });

  it('weighs the windows of a verdict by their share of speech where the model says so', () => {
    const clip = {
      ...heardClip('a', 0, [
        [60, 0.9],
        [120, 0.2],
      ]),
      verdictPower: 2,
    };
    expect(verdictOf(clip).probabilities?.[0]).toBeCloseTo((0.25 * 0.9 + 0.2) / 1.25, 6);
  });

  it('gives the mean of the windows as verdict', () => {
    expect(
      verdictOf(
        heardClip('a', 0, [
          [50, 0.2],
          [74, 0.6],
        ]),
      ).probabilities?.map((p) => p.toFixed(3)),
    ).toEqual(['0.400', '0.600']);
  });
});

describe('curves', () => {
  it('agree with the headline, and hold every clip of every run', async () => {
    const options: EvaluationOptions = {
      ...{ ...line, corpus: 'crema-d', split: 'all', noiseFrom: null, independent: false, limit: 12, speakers: null },
      ...{ modelDir: shippedModelDir, foldsDir: null, warmUp: false, curves: true },
    };
    const runs = new Set<string>();
    const all = await evaluate(options, (_done, _all, run) => runs.add(run));
    const { speechHeard, coldStart, riskCoverage: risk } = all.curves!;
    expect(speechHeard.inCalls.at(-1)?.uar).toBe(all.uar);
    expect(speechHeard.inCalls.map(({ seconds }) => seconds)).toEqual([0.5, 1, 1.5, 2, 3, null]);
    expect(speechHeard.apart.map(({ coverage }) => coverage)).toEqual(speechHeard.apart.map(({ coverage }) => coverage).toSorted());
    expect(coldStart.rows.reduce((sum, { clips }) => sum + clips, 0)).toBe(6 * 12);
    const [start] = coldStart.rows;
    // One first clip a caller and run.
    expect(start).toMatchObject({ fromSeconds: 0, toSeconds: 0, clips: 6 * all.speakers.length });
    const late = coldStart.rows.filter(({ fromSeconds }) => fromSeconds >= 10);
    expect(coldStart.after10s.clips).toBe(late.reduce((sum, { clips }) => sum + clips, 0));
    expect(coldStart.fullStatisticsUars).toHaveLength(2);
    const warm = await evaluate({ ...options, curves: false, warmUp: true });
    expect(coldStart.fullStatisticsUars[0]).toBe(warm.uar);
    expect(warm.curves).toBeNull();
    expect(risk.rows[0]).toMatchObject({ coverage: 1, accuracy: all.accuracy, uar: all.uar });
    expect(risk.atUncertainBelow.confidence).toBe(uncertainBelow);
    expect(runs.size).toBe(1 + 1 + 2 + 5);
    const text = report(all);
    expect(text).toMatch(/^all +\.\d{3} +0\.0/m);
    expect(text).toMatch(/^10 on /m);
    expect(text).toContain('not "uncertain", from ');
  });
});
