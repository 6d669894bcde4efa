// Evaluations on the committed clips, and each part of the line and of the figures by itself.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { writeWav } from '../../../tools/audio/wav.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { createOpusEncoder, createPcmuEncoder } from '../../../tools/evaluate/encoders.ts';
import { evaluate } from '../../../tools/evaluate/evaluate.ts';
import { bootstrap, type Interval } from '../../../tools/evaluate/bootstrap.ts';
import { deviationOf, figuresOf, figuresOfTally, sumOf, tallyOf, type Verdict } from '../../../tools/evaluate/figures.ts';
import { burstLoss } from '../../../tools/evaluate/network.ts';
import { addNoise, recordedNoise, whiteNoise } from '../../../tools/evaluate/noise.ts';
import { readOptions, type EvaluationOptions } from '../../../tools/evaluate/options.ts';
import { report } from '../../../tools/evaluate/report.ts';
import { shippedModelDir } from '../../../tools/analyse/play.ts';
import { createOpusDecoder } from '../../../src/pipeline/opus-codec.ts';

// Real models score real clips, perhaps beside a training run.
vi.setConfig({ testTimeout: 120_000 });

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;
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
  ...{ independent: false, seed: 1, limit: 12, speakers: null, modelDir: shippedModelDir, foldsDir: null, warmUp: false, curves: false },
};

function expectWithin(interval: Interval | null | undefined, value: number | null): void {
  expect(interval?.[0]).toBeLessThanOrEqual(value! + 1e-9);
  expect(interval?.[1]).toBeGreaterThanOrEqual(value! - 1e-9);
}

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
    const { intervals, speakerSpread, bySex } = all;
    expectWithin(intervals?.uar, all.uar);
    expectWithin(intervals?.eceOfWindows, all.eceOfWindows);
    expect(Object.keys(intervals?.perClassRecall ?? {})).toEqual(all.labels);
    for (const label of all.labels) expectWithin(intervals?.perClassRecall[label], all.perClassRecall[label]!);
    expectWithin(intervals?.speakerSpread.mean, speakerSpread.mean);
    expect(intervals?.speakerSpread.deviation?.[0]).toBeGreaterThan(0);
    expect(Object.keys(all.perSpeakerUar)).toEqual(all.speakers);
    const uars = Object.values(all.perSpeakerUar).map((uar) => uar!);
    expect(speakerSpread).toMatchObject({ least: Math.min(...uars), most: Math.max(...uars), deviation: deviationOf(uars) });
    expect(Object.values(bySex).reduce((sum, { speakers }) => sum + speakers, 0)).toBe(all.speakers.length);
    for (const own of Object.values(bySex)) if (own.speakers > 1) expectWithin(own.interval, own.uar);
    expect(report({ ...all, trainSpeakers: 0 })).not.toContain('trained on');
    expect(report({ ...all, trainSpeakers: 3 })).toContain('the model was trained on 3 of the speakers');
    expect(report(all)).toContain(`UAR           ${all.uar!.toFixed(3).slice(1)}  (95 %:`);
  });

  it('is the same for the same seed, and another for another', async () => {
    const options = { ...plain, codec: { name: 'pcmu' }, lossPercent: 10, burstPackets: 1, noiseDb: 10 } as const;
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
    ['full statistics', { warmUp: true }],
  ] as const)('changes the answers somewhat, not all of them, with %s', async (_, change) => {
    const before = await evaluate(plain);
    const after = await evaluate({ ...plain, ...change });
    expect(after.clips).toBe(before.clips);
    expect(after.eceOfWindows).not.toBe(before.eceOfWindows);
    expect(after.accuracy!).toBeGreaterThan(0.3);
  });

  it('leaves silence out with DTX, which is not the same to the server as silence that is sent', async () => {
    const options = { ...plain, codec: { name: 'opus', kbps: 24 } } as const;
    const [sent, left] = [await evaluate(options), await evaluate({ ...options, dtx: true })];
    expect(left.clips).toBe(sent.clips);
    expect(left.eceOfWindows).not.toBe(sent.eceOfWindows);
    expect(left.accuracy!).toBeGreaterThan(0.3);
  });

  it('reads WAV files of the official RAVDESS layout, and says what it leaves out and does not hear', async () => {
    const data = join(folder, 'ravdess');
    mkdirSync(join(data, 'Actor_01'), { recursive: true });
    const speech = await samplesOf(await readRecording(`${demo}1015_IEO_ANG_HI.opus`));
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
    expect(result.bySex).toEqual({ male: { uar: 0.5, interval: null, clips: 2, speakers: 1 } });
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
    const answers = Array.from({ length: 10 }, (_, i) => verdict(i < 7 ? 0 : 1, [0.7, 0.3]));
    expect(figuresOf(answers, 2).ece).toBeCloseTo(0);
    expect(figuresOf([...answers, verdict(0, null)], 2).ece).toBeCloseTo(0);
    expect(
      figuresOf(
        answers.map((answer) => ({ ...answer, truth: 1 })),
        2,
      ).ece,
    ).toBeCloseTo(0.7);
  });

  it('adds up: the figures of groups together are those of all', () => {
    const verdicts = [verdict(0, [0.9, 0.1]), verdict(1, [0.6, 0.4]), verdict(1, [0.2, 0.8]), verdict(0, null)];
    const groups = [verdicts.slice(0, 1), verdicts.slice(1)].map((own) => tallyOf(own, 2));
    expect(figuresOfTally(sumOf(groups))).toEqual(figuresOf(verdicts, 2));
  });

  it('is less sure of figures that differ between speakers', () => {
    const speakers = Array.from({ length: 10 }, (_, i) => String(i));
    const alike = speakers.flatMap((s) => [verdict(0, [1, 0], s), verdict(0, [0, 1], s)]);
    const unlike = speakers.flatMap((s, i) => [verdict(0, i % 2 === 0 ? [1, 0] : [0, 1], s), verdict(0, i % 2 === 0 ? [1, 0] : [0, 1], s)]);
    const accuracyInterval = (verdicts: readonly Verdict[]): Interval | null | undefined =>
      bootstrap(
        [...Map.groupBy(verdicts, ({ speaker }) => speaker).values()],
        (drawn) => ({ accuracy: figuresOf(drawn.flat(), 2).accuracy }),
        createRandom(1),
      )?.accuracy;
    expect(accuracyInterval(alike)).toEqual([0.5, 0.5]);
    const [low, high] = accuracyInterval(unlike) ?? [0, 0];
    expect(low).toBeGreaterThanOrEqual(0.1);
    expect(low).toBeLessThan(0.3);
    expect(high).toBeGreaterThan(0.7);
    expect(accuracyInterval(alike.slice(0, 2))).toBeUndefined();
  });
});

describe('the line', () => {
  it.each([
    // Independent losses follow one another one time in ten.
    [1, 1 / 0.9],
    [3, 3],
  ])('loses as many packets as asked, in bursts of %i', (burstPackets, mean) => {
    const isLost = burstLoss(10, createRandom(1), burstPackets);
    const lost = Array.from({ length: 200_000 }, isLost);
    const count = lost.filter(Boolean).length;
    const bursts = lost.filter((value, i) => value && lost[i - 1] !== true).length;
    expect(count / lost.length).toBeGreaterThan(0.09);
    expect(count / lost.length).toBeLessThan(0.11);
    expect(count / bursts).toBeGreaterThan(0.93 * mean);
    expect(count / bursts).toBeLessThan(1.07 * mean);
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
    const { source, name } = await recordedNoise(demo);
    expect(name).toBe('54 recordings');
    const noise = await source(100_000, createRandom(3));
    expect(noise.length).toBe(100_000);
    expect(noise.some((x) => x !== 0)).toBe(true);
    expect(await source(100_000, createRandom(3))).toEqual(noise);
    await expect(recordedNoise(join(folder, 'none'))).rejects.toThrow('folder of noise');
  });

  it("takes of ESC's recordings fold 5 alone, for training may have heard the others", async () => {
    const esc = join(folder, 'esc');
    mkdirSync(join(esc, 'dog'), { recursive: true });
    const tone = (level: number): Uint8Array => writeWav({ sampleRateHz: 16_000, channels: [new Float32Array(1600).fill(level)] });
    for (const fold of [1, 2, 3, 4]) writeFileSync(join(esc, `dog/${fold}-100032-A-0.wav`), tone(0.1 * fold));
    await expect(recordedNoise(esc)).rejects.toThrow('fold 5, got none');
    writeFileSync(join(esc, 'dog/5-9032-A.wav'), tone(0.5));
    const { source, name } = await recordedNoise(esc);
    expect(name).toBe("1 recordings of ESC's fold 5");
    const random = createRandom(1);
    for (let i = 0; i < 20; i++) expect((await source(1, random))[0]).toBeCloseTo(0.5, 3);
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
    const all =
      '--split test --codec opus:16 --fec --dtx --concealment plc --loss 10 --noise=-5 --noise-from n --independent --seed 7 --limit 9 --json j --speakers b,a,b --model m';
    expect(readOptions([...needed, ...all.split(' ')])).toEqual({
      ...{
        corpus: 'crema-d',
        data: 'd',
        split: 'test',
        codec: { name: 'opus', kbps: 16 },
        lossPercent: 10,
        burstPackets: 3,
        noiseDb: -5,
        noiseFrom: 'n',
      },
      ...{ independent: true, seed: 7, limit: 9, json: 'j', speakers: ['b', 'a'], modelDir: 'm' },
      ...{ foldsDir: null, warmUp: false, curves: false, fec: true, dtx: true, concealment: 'plc' },
    });
    expect(readOptions([...needed, '--folds', 'f', '--curves'])).toMatchObject({ foldsDir: 'f', curves: true, modelDir: shippedModelDir });
    expect(readOptions([...needed, '--warm-up'])).toMatchObject({ warmUp: true });
    expect(readOptions(needed)).toEqual({ ...plain, data: 'd', limit: null, json: null });
    expect(readOptions(['--help'])).toBeNull();
  });

  it('reads names of speakers from a file', () => {
    const file = join(folder, 'names.txt');
    writeFileSync(file, '1015\n1020, 1021\n');
    expect(readOptions([...needed, '--speakers', file])?.speakers).toEqual(['1015', '1020', '1021']);
    writeFileSync(file, '\n');
    expect(() => readOptions([...needed, '--speakers', file])).toThrow('a file without any');
  });

  it.each([
    [['--corpus', 'timit', '--data', 'd'], '--corpus to be one of crema-d, ravdess, emodb, savee, iemocap, got `timit`'],
    [[...needed, '--folds', 'f', '--model', 'm'], 'Expected --folds without --model'],
    [[...needed, '--folds', 'f', '--split', 'test'], 'Expected --folds without --split'],
    [[...needed, '--folds', 'f', '--speakers', 'a'], 'Expected --folds without --speakers'],
    [[...needed, '--independent', '--curves'], 'Expected --independent without --curves'],
    [[...needed, '--independent', '--warm-up'], 'Expected --independent without --warm-up'],
    [[...needed, '--warm-up', '--curves'], 'Expected --warm-up without --curves'],
    [[...needed, '--fec'], '--codec to be opus:KBPS with --fec, got none'],
    [[...needed, '--codec', 'pcmu', '--dtx'], '--codec to be opus:KBPS with --dtx, got `pcmu`'],
    [[...needed, '--concealment', 'magic'], '--concealment to be fec, plc, silence, got `magic`'],
    [[...needed, '--speakers', ' '], '--speakers to be a,b,c'],
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
