// Evaluations on the committed clips, and each part of the line and of the figures by itself.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { writeWav } from '../../../tools/audio/wav.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { createOpusEncoder, createPcmuEncoder } from '../../../tools/evaluate/encoders.ts';
import { evaluate } from '../../../tools/evaluate/evaluate.ts';
import { bootstrapIntervals, calibrationError, figuresOf, type Verdict } from '../../../tools/evaluate/figures.ts';
import { burstLoss } from '../../../tools/evaluate/network.ts';
import { addNoise, recordedNoise, whiteNoise } from '../../../tools/evaluate/noise.ts';
import { readOptions, type EvaluationOptions } from '../../../tools/evaluate/options.ts';
import { report } from '../../../tools/evaluate/report.ts';
import { createOpusDecoder } from '../../../src/pipeline/opus-codec.ts';

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;
const plain: EvaluationOptions = {
  ...{ corpus: 'crema-d', data: demo, split: 'all', codec: { name: 'none' }, lossPercent: 0, noiseDb: null, noiseFrom: null },
  ...{ independent: false, seed: 1, limit: 12 },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-evaluate-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('evaluate', () => {
  it('gives figures that agree with its confusion matrix, and with the demo clips, which were chosen to be heard', async () => {
    const all = await evaluate({ ...plain, limit: null });
    expect(all.clips).toBeGreaterThan(40);
    expect(all.unheard).toBe(0);
    expect(all.windows).toBeGreaterThan(3 * all.clips);
    expect(all.confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(all.clips);
    const recalls = all.confusion.map((row, i) => (row[i] ?? 0) / row.reduce((sum, count) => sum + count, 0));
    expect(Object.values(all.perClassRecall)).toEqual(recalls);
    expect(all.uar).toBeCloseTo(recalls.reduce((sum, recall) => sum + recall, 0) / recalls.length);
    expect(all.uar).toBeGreaterThan(0.5);
    expect(all.intervals?.uar[0]).toBeLessThanOrEqual(all.uar!);
    expect(all.intervals?.uar[1]).toBeGreaterThanOrEqual(all.uar!);
    expect(Object.keys(all.perSpeakerUar)).toEqual(all.speakers);
    expect(all.trainSpeakers).toBe(0);
    expect(report(all)).not.toContain('train split');
    expect(report({ ...all, trainSpeakers: 3 })).toContain('3 of the speakers are of the train split');
    expect(report(all)).toContain(`UAR           ${all.uar!.toFixed(3).slice(1)}  (95 %:`);
  });

  it('is the same for the same seed, and another for another', async () => {
    const options = { ...plain, codec: { name: 'pcmu' }, lossPercent: 10, noiseDb: 10 } as const;
    const first = await evaluate(options);
    expect(await evaluate(options)).toEqual(first);
    const other = await evaluate({ ...options, seed: 2 });
    expect(other.ece).not.toBe(first.ece);
  });

  it.each([
    ['Opus', { codec: { name: 'opus', kbps: 16 } }],
    ['loss of the own packets', { lossPercent: 20 }],
    ['faint noise', { noiseDb: 40 }],
    ['new callers', { independent: true }],
  ] as const)('changes the answers somewhat, not all of them, with %s', async (_, change) => {
    const before = await evaluate(plain);
    const after = await evaluate({ ...plain, ...change });
    expect(after.clips).toBe(before.clips);
    expect(after.eceOfWindows).not.toBe(before.eceOfWindows);
    expect(after.accuracy!).toBeGreaterThan(0.3);
  });

  it('reads WAV files of the official RAVDESS layout, and says what it leaves out and does not hear', async () => {
    const data = join(folder, 'ravdess');
    mkdirSync(join(data, 'Actor_01'), { recursive: true });
    const speech = await samplesOf(await readRecording(`${demo}1021_WSI_ANG_XX.opus`));
    const put = (name: string, samples: Float32Array): void => {
      writeFileSync(join(data, 'Actor_01', name), writeWav({ sampleRateHz: 16_000, channels: [samples] }));
    };
    put('03-01-05-01-01-01-01.wav', speech);
    put('03-01-05-02-01-01-01.wav', new Float32Array(16_000));
    put('03-01-02-01-01-01-01.wav', speech);
    const result = await evaluate({ ...plain, corpus: 'ravdess', data });
    expect(result).toMatchObject({
      clips: 2,
      unheard: 1,
      speakers: ['01'],
      uar: 0.5,
      intervals: null,
      leftOut: { corpusLabels: { calm: 1 } },
    });
    expect(result.perClassRecall).toMatchObject({ anger: 0.5, fear: null });
    expect(result.bySex).toEqual({ male: { uar: 0.5, clips: 2, speakers: 1 } });
    expect(report(result)).toContain('left out, for the model has no such label: calm (1 clips)');
    await expect(evaluate({ ...plain, corpus: 'ravdess', data, lossPercent: 5 })).rejects.toThrow('Expected a codec with --loss');
  });

  it('refuses a folder without such clips', async () => {
    await expect(evaluate({ ...plain, data: join(folder, 'none') })).rejects.toThrow('cannot be read');
    await expect(evaluate({ ...plain, corpus: 'ravdess' })).rejects.toThrow(/Expected clips of ravdess .* of crema-d/);
    await expect(evaluate({ ...plain, split: 'test' })).rejects.toThrow("crema-d's test split");
    await expect(evaluate({ ...plain, noiseDb: 5, noiseFrom: join(folder, 'none') })).rejects.toThrow('folder of noise');
  });
});

describe('figuresOf', () => {
  const verdict = (truth: number, probabilities: readonly number[] | null, speaker = 'a'): Verdict => ({
    speaker,
    sex: '',
    truth,
    probabilities,
  });

  it('counts by class, and takes a clip without a verdict for an error', () => {
    const figures = figuresOf([verdict(0, [0.9, 0.1, 0]), verdict(0, [0.2, 0.8, 0]), verdict(1, [0.3, 0.7, 0]), verdict(1, null)], 3);
    expect(figures).toMatchObject({ accuracy: 0.5, uar: 0.5, perClassRecall: [0.5, 0.5, null] });
    expect(figures.confusion).toEqual([
      [1, 1, 0],
      [0, 1, 0],
      [0, 0, 0],
    ]);
    // F1 of 2 hits in 2 + 1 and of 2 in 2 + 2.
    expect(figures.macroF1).toBeCloseTo((2 / 3 + 2 / 4) / 2);
    expect(figures.ece).toBeCloseTo((0.1 + 0.8 + 0.3) / 3);
    expect(figuresOf([], 2)).toMatchObject({ uar: null, accuracy: null, ece: null });
  });

  it('calls confidence that is met calibrated', () => {
    const answers = Array.from({ length: 10 }, (_, i) => ({ truth: i < 7 ? 0 : 1, probabilities: [0.7, 0.3] }));
    expect(calibrationError(answers)).toBeCloseTo(0);
    expect(calibrationError(answers.map(({ probabilities }) => ({ truth: 1, probabilities })))).toBeCloseTo(0.7);
  });

  it('is less sure of figures that differ between speakers', () => {
    const speakers = Array.from({ length: 10 }, (_, i) => String(i));
    const alike = speakers.flatMap((s) => [verdict(0, [1, 0], s), verdict(0, [0, 1], s)]);
    const unlike = speakers.flatMap((s, i) => [verdict(0, i % 2 === 0 ? [1, 0] : [0, 1], s), verdict(0, i % 2 === 0 ? [1, 0] : [0, 1], s)]);
    expect(bootstrapIntervals(alike, 2, createRandom(1))?.accuracy).toEqual([0.5, 0.5]);
    const [low, high] = bootstrapIntervals(unlike, 2, createRandom(1))?.accuracy ?? [0, 0];
    expect(low).toBeGreaterThanOrEqual(0.1);
    expect(low).toBeLessThan(0.3);
    expect(high).toBeGreaterThan(0.7);
    expect(bootstrapIntervals(alike.slice(0, 2), 2, createRandom(1))).toBeNull();
  });
});

describe('the line', () => {
  it('loses as many packets as asked, in bursts of 3', () => {
    const isLost = burstLoss(10, createRandom(1));
    const lost = Array.from({ length: 200_000 }, isLost);
    const count = lost.filter(Boolean).length;
    const bursts = lost.filter((value, i) => value && lost[i - 1] !== true).length;
    expect(count / lost.length).toBeGreaterThan(0.09);
    expect(count / lost.length).toBeLessThan(0.11);
    expect(count / bursts).toBeGreaterThan(2.8);
    expect(count / bursts).toBeLessThan(3.2);
  });

  it('adds noise at the ratio asked for, whatever the pause', async () => {
    const speech = Float32Array.from({ length: 16_000 }, (_, i) => (i < 8000 ? 0.2 * Math.sin(i / 5) : 0));
    const noise = await whiteNoise(16_000, createRandom(1));
    const added = addNoise(speech, noise, 10).map((sample, i) => sample - (speech[i] ?? 0));
    const power = added.reduce((sum, x) => sum + x * x, 0) / added.length;
    expect(10 * Math.log10(0.02 / power)).toBeCloseTo(10, 1);
    expect(addNoise(new Float32Array(640), noise, 10)).toEqual(new Float32Array(640));
  });

  it('takes noise from a folder', async () => {
    const source = await recordedNoise(demo);
    const noise = await source(100_000, createRandom(3));
    expect(noise.length).toBe(100_000);
    expect(noise.some((x) => x !== 0)).toBe(true);
    expect(await source(100_000, createRandom(3))).toEqual(noise);
    await expect(recordedNoise(join(folder, 'none'))).rejects.toThrow('folder of noise');
  });

  it('encodes Opus at the rate asked for, which decodes to what went in', async () => {
    const samples = (await samplesOf(await readRecording(`${demo}1021_WSI_ANG_XX.opus`))).slice(0, 32_000);
    const encoder = await createOpusEncoder(24);
    const packets = encoder.encode(samples);
    encoder.close();
    expect(packets.length).toBe(100);
    const kbps = (packets.reduce((sum, { length }) => sum + length, 0) * 8) / 2000;
    expect(kbps).toBeGreaterThan(8);
    expect(kbps).toBeLessThan(36);
    const decoder = createOpusDecoder();
    await decoder.ready;
    const decoded = packets.flatMap((packet) => [...decoder.decode(packet).samples]);
    decoder.close();
    expect(decoded.length).toBe(samples.length);
    const powerOf = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x * x, 0);
    expect(Math.abs(10 * Math.log10(powerOf(decoded) / powerOf(samples)))).toBeLessThan(3);
  });

  it('encodes G.711 in packets of 20 ms at 8 kHz', () => {
    expect(
      createPcmuEncoder()
        .encode(new Float32Array(960))
        .map(({ length }) => length),
    ).toEqual([160, 160, 160]);
  });
});

describe('readOptions', () => {
  const needed = ['--corpus', 'crema-d', '--data', 'd'];

  it('reads all of them', () => {
    const all = '--split test --codec opus:16 --loss 10 --noise -5 --noise-from n --independent --seed 7 --limit 9 --json j'.replace(
      '--noise -5',
      '--noise=-5',
    );
    expect(readOptions([...needed, ...all.split(' ')])).toEqual({
      ...{ corpus: 'crema-d', data: 'd', split: 'test', codec: { name: 'opus', kbps: 16 }, lossPercent: 10, noiseDb: -5, noiseFrom: 'n' },
      ...{ independent: true, seed: 7, limit: 9, json: 'j' },
    });
    expect(readOptions(needed)).toEqual({ ...plain, data: 'd', limit: null, json: null });
    expect(readOptions(['--help'])).toBeNull();
  });

  it.each([
    [['--corpus', 'iemocap', '--data', 'd'], '--corpus to be crema-d or ravdess, got `iemocap`'],
    [['--corpus', 'ravdess'], '--data to be the folder of the corpus, got none'],
    [[...needed, '--split', 'dev'], 'got `dev`'],
    [[...needed, '--codec', 'mp3'], '--codec to be none, pcmu or opus:KBPS'],
    [[...needed, '--codec', 'opus:2'], 'a number from 6 to 510'],
    [[...needed, '--loss', '95'], 'a number from 0 to 90'],
    [[...needed, '--limit', '0'], 'a number from 1'],
    [[...needed, '--seed', '1.5'], 'a whole number'],
    [[...needed, '--noise-from', 'n'], 'Expected --noise DB'],
    [[...needed, '--speed', '2'], "Unknown option '--speed'"],
  ])('refuses %j', (args, message) => {
    expect(() => readOptions(args)).toThrow(message);
  });
});
