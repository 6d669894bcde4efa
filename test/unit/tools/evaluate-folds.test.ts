// Evaluations of several models, each on speakers of its own, and the guard against speakers that a model was trained on.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { shippedModelDir } from '../../../tools/analyse/play.ts';
import { evaluate } from '../../../tools/evaluate/evaluate.ts';
import type { EvaluationOptions } from '../../../tools/evaluate/options.ts';
import { report } from '../../../tools/evaluate/report.ts';

// Real models score real clips, perhaps beside a training run.
vi.setConfig({ testTimeout: 120_000 });

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;
const tiny = new URL('../../fixtures/tiny-model/', import.meta.url).pathname;
const plain: EvaluationOptions = {
  ...{
    corpus: 'crema-d',
    data: demo,
    split: 'all',
    codec: { name: 'none' },
    fec: false,
    dtx: false,
    concealment: 'fec',
    lossPercent: 0,
    burstPackets: 3,
    noiseDb: null,
    noiseFrom: null,
  },
  ...{ independent: false, seed: 1, limit: null, speakers: null, modelDir: tiny, foldsDir: null, warmUp: false, curves: false },
};

let folds: string;
beforeEach(() => {
  folds = mkdtempSync(join(tmpdir(), 'undertone-folds-'));
});
afterEach(() => {
  rmSync(folds, { recursive: true, force: true });
});

function put(name: string, model: string, speakers?: unknown): string {
  const dir = join(folds, name);
  mkdirSync(dir, { recursive: true });
  const { files } = JSON.parse(readFileSync(join(model, 'manifest.json'), 'utf8')) as { files: Record<string, { path: string }> };
  for (const file of ['manifest.json', ...Object.values(files).map(({ path }) => path)]) cpSync(join(model, file), join(dir, file));
  if (speakers !== undefined) writeFileSync(join(dir, 'speakers.json'), JSON.stringify(speakers));
  return dir;
}

const inFolds = (): Promise<Awaited<ReturnType<typeof evaluate>>> => evaluate({ ...plain, foldsDir: folds });

describe('folds', () => {
  it('asks each model about its own test speakers, and pools the verdicts', async () => {
    put('fold-0', shippedModelDir, { train: ['1001'], validation: ['1002'], test: ['1015', '1020'] });
    put('fold-1', tiny, { train: ['1015', '1020'], test: ['1021'] });
    const pooled = await inFolds();
    // Without its own speakers.json, which may name these.
    const alone = put('alone', shippedModelDir);
    const first = await evaluate({ ...plain, modelDir: alone, speakers: ['1015', '1020'] });
    const second = await evaluate({ ...plain, speakers: ['1021'] });
    const { uar, accuracy, macroF1, ece } = first;
    expect(pooled.folds?.each['fold-0']).toEqual({
      ...{ uar, accuracy, macroF1, clips: 12, speakers: 2 },
      // The order in which verdicts come decides its last digit.
      ece: expect.closeTo(ece!, 12),
    });
    expect(pooled.folds?.each['fold-1']).toMatchObject({ uar: second.uar, clips: 6, speakers: 1 });
    expect(first.uar).not.toBe(second.uar);
    expect(pooled.folds?.meanUar).toBeCloseTo((first.uar! + second.uar!) / 2);
    expect(pooled.confusion).toEqual(first.confusion.map((row, i) => row.map((count, j) => count + (second.confusion[i]?.[j] ?? 0))));
    expect(pooled.perSpeakerUar).toEqual({ ...first.perSpeakerUar, ...second.perSpeakerUar });
    expect(pooled).toMatchObject({ clips: 18, speakers: ['1015', '1020', '1021'], trainSpeakers: 0, folds: { each: {} } });
    expect(pooled.model).toMatch(/^2 folds of emonet .*, tiny 1$/);
    expect(report(pooled)).toContain('left out, for no fold tests them: 6 speakers');
    expect(report(pooled)).toMatch(/fold-1 +1 +6 /);
  });

  it.each([
    ['train', { train: ['1001', '1020'], test: ['1015', '1020'] }, 'among its train speakers, got 1: 1020'],
    ['validation', { train: ['1001'], validation: ['1015'], test: ['1015'] }, 'among its validation speakers, got 1: 1015'],
  ])('stops where a test speaker of a fold is among those for its %s', async (_, speakers, message) => {
    put('fold-0', tiny, { train: ['1021'], test: ['1030'] });
    put('fold-1', tiny, speakers);
    await expect(inFolds()).rejects.toThrow(message);
  });

  it('stops where a fold is not whole', async () => {
    await expect(inFolds()).rejects.toThrow('Expected fold-0, fold-1, … in');
    put('fold-1', tiny, { train: ['1001'], test: ['1015'] });
    await expect(inFolds()).rejects.toThrow('got no fold-0');
    const first = put('fold-0', tiny);
    await expect(inFolds()).rejects.toThrow('Expected the test speakers of fold-0');
    writeFileSync(join(first, 'speakers.json'), '{"test":["1020"]}');
    await expect(inFolds()).rejects.toThrow(/fold-0.speakers\.json to hold lists .*train/s);
    put('fold-0', tiny, { train: ['1001'], test: ['1015'] });
    await expect(inFolds()).rejects.toThrow('got `1015` in fold-0 and fold-1');
    put('fold-0', tiny, { train: ['1001'], test: ['1020', '2001'] });
    await expect(inFolds()).rejects.toThrow('got none of 2001');
    rmSync(folds, { recursive: true });
    await expect(inFolds()).rejects.toThrow('cannot be read');
  });

  it('stops where folds have other labels', async () => {
    put('fold-0', tiny, { train: ['1001'], test: ['1020'] });
    const dir = put('fold-1', tiny, { train: ['1001'], test: ['1015'] });
    const manifest = JSON.parse(readFileSync(join(dir, 'manifest.json'), 'utf8')) as { labels: string[] };
    writeFileSync(join(dir, 'manifest.json'), JSON.stringify({ ...manifest, labels: manifest.labels.toReversed() }));
    await expect(inFolds()).rejects.toThrow('got sadness, neutral');
  });
});

describe('one model', () => {
  it('is not asked about strangers whom it was trained on', async () => {
    const modelDir = put('model', tiny, { train: ['1015', '1020'], test: ['1021'] });
    const refused = evaluate({ ...plain, modelDir, speakers: ['1015', '1021'] });
    await expect(refused).rejects.toThrow('Expected no test speaker of tiny among its train speakers, got 1: 1015');
    await expect(evaluate({ ...plain, modelDir, speakers: ['1021'] })).resolves.toMatchObject({ trainSpeakers: 0, clips: 6 });
    const all = await evaluate({ ...plain, modelDir });
    expect(all.trainSpeakers).toBe(2);
    expect(report(all)).toContain('the model was trained on 2 of the speakers');
  });

  it('may have been trained on others of the same names in another corpus', async () => {
    const modelDir = put('model', tiny, { corpus: 'ravdess', train: ['1015'], test: ['1021'] });
    await expect(evaluate({ ...plain, modelDir, speakers: ['1015'] })).resolves.toMatchObject({ trainSpeakers: 0, clips: 6 });
  });

  it('is asked about no speaker who is not there', async () => {
    await expect(evaluate({ ...plain, speakers: ['1015', 'x'] })).rejects.toThrow('got none of x');
  });
});
