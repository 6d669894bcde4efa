// The command as a person runs it: corpora in their official layouts, what it prints and writes, and how it ends.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { writeWav } from '../../../tools/audio/wav.ts';
import type { Evaluation } from '../../../tools/evaluate/evaluate.ts';

vi.setConfig({ testTimeout: 120_000 });

const root = new URL('../../../', import.meta.url).pathname;
const demo = join(root, 'assets/demo');
const tiny = join(root, 'test/fixtures/tiny-model');
const sentences: Readonly<Record<string, string>> = {
  anger: '1021_WSI_ANG_XX',
  disgust: '1021_IEO_DIS_MD',
  happiness: '1021_TAI_HAP_XX',
  neutral: '1021_MTI_NEU_XX',
  sadness: '1021_IOM_SAD_XX',
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-command-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function command(...args: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['tools/evaluate/main.ts', ...args], { cwd: root }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** Puts a clip of that emotion at a path of a corpus, in the format of its extension; another's where there is none of it. */
async function put(path: string, emotion: string): Promise<void> {
  const clip = join(demo, `${sentences[emotion] ?? '1021_IWW_FEA_XX'}.opus`);
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  if (!path.endsWith('.wav')) cpSync(clip, file);
  else writeFileSync(file, writeWav({ sampleRateHz: 16_000, channels: [await samplesOf(await readRecording(clip))] }));
}

/** Runs the command on the folder, and reads what it wrote. */
async function evaluated(corpus: string, ...args: string[]): Promise<{ readonly json: Evaluation; readonly stdout: string }> {
  const file = join(folder, 'figures.json');
  const { code, stdout, stderr } = await command('--corpus', corpus, '--data', folder, '--json', file, ...args);
  expect(code, stderr).toBe(0);
  return { json: JSON.parse(readFileSync(file, 'utf8')) as Evaluation, stdout };
}

describe('npm run evaluate', () => {
  it('is this command', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    expect(scripts['evaluate']).toBe('node tools/evaluate/main.ts');
  });

  it('reads EMO-DB', async () => {
    await put('wav/03a01Wa.wav', 'anger');
    await put('wav/03a02Nc.wav', 'neutral');
    await put('wav/08a01Fa.wav', 'happiness');
    await put('wav/08a02Ta.ogg', 'sadness');
    await put('wav/08b01La.wav', 'boredom');
    const { json, stdout } = await evaluated('emodb');
    expect(json).toMatchObject({
      clips: 4,
      unheard: 0,
      speakers: ['03', '08'],
      leftOut: { corpusLabels: { boredom: 1 }, modelLabels: [] },
    });
    expect(json.bySex).toMatchObject({ female: { speakers: 1 }, male: { speakers: 1 } });
    expect(json.perClassRecall).toMatchObject({ anger: expect.any(Number), disgust: null, fear: null });
    expect(stdout).toContain('left out, for the model has no such label: boredom (1 clips)');
  });

  it('reads SAVEE', async () => {
    await put('AudioData/DC/a01.wav', 'anger');
    await put('AudioData/DC/sa01.wav', 'sadness');
    await put('AudioData/KL/su02.wav', 'surprise');
    await put('AudioData/KL/n30.opus', 'neutral');
    const { json, stdout } = await evaluated('savee', '--codec', 'opus:16', '--loss', '5', '--noise', '30');
    expect(json).toMatchObject({ clips: 3, speakers: ['DC', 'KL'], leftOut: { corpusLabels: { surprise: 1 } } });
    expect(json.options).toMatchObject({ codec: 'opus:16', lossPercent: 5, noiseDb: 30, noise: 'white' });
    expect(stdout).toContain('surprise (1 clips)');
  });

  it('reads IEMOCAP, with the labels of its text files and the speaker of each utterance', async () => {
    const turns = [
      ['F000', 'neu', 'neutral'],
      ['M000', 'ang', 'anger'],
      ['M001', 'fru', 'frustration'],
      ['F001', 'xxx', 'undecided'],
    ] as const;
    const lines = turns.map(([turn, code], i) => `[${i}.0000 - ${i}.9000]\tSes01F_impro01_${turn}\t${code}\t[2.5, 2.5, 2.5]\n`);
    for (const [turn, , emotion] of turns) await put(`Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_${turn}.wav`, emotion);
    mkdirSync(join(folder, 'Session1/dialog/EmoEvaluation'), { recursive: true });
    writeFileSync(join(folder, 'Session1/dialog/EmoEvaluation/Ses01F_impro01.txt'), lines.join(''));
    const { json } = await evaluated('iemocap');
    expect(json).toMatchObject({ clips: 2, speakers: ['Ses01F', 'Ses01M'], leftOut: { corpusLabels: { frustration: 1, undecided: 1 } } });
  });

  it('writes the fields that are documented, and says what a corpus lacks', async () => {
    await put('1021_WSI_ANG_XX.wav', 'anger');
    await put('1021_MTI_NEU_XX.opus', 'neutral');
    const { json, stdout } = await evaluated('crema-d', '--split', 'validation', '--model', tiny);
    const { uar, accuracy, macroF1, ece, perClassRecall, perSpeakerUar, clips, speakers, labels, confusion } = json;
    for (const ratio of [uar, accuracy, macroF1, ece]) {
      expect(ratio).toBeGreaterThanOrEqual(0);
      expect(ratio).toBeLessThanOrEqual(1);
    }
    expect({ clips, speakers, perSpeakerUar }).toEqual({ clips: 2, speakers: ['1021'], perSpeakerUar: { 1021: uar } });
    expect(labels).toEqual(['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness']);
    expect(Object.keys(perClassRecall)).toEqual(labels);
    expect(confusion.flat().reduce((sum, count) => sum + count, 0)).toBe(2);
    expect(json.model).toBe('tiny 1');
    expect(stdout).toMatch(/^tiny 1 on crema-d, split validation: 2 clips of 1 speakers/);
    const documented = readFileSync(join(root, 'docs/evaluation.md'), 'utf8');
    for (const field of Object.keys(json)) expect(documented).toContain(`\`${field}`);
  });

  it('ends with a message and an exit code on a wrong folder or option', async () => {
    const on = (corpus: string, ...args: string[]): Promise<Ended> => command('--corpus', corpus, '--data', folder, ...args);
    const none = join(folder, 'none');
    expect(await on('crema-d')).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('official layout of one of') });
    expect(await command('--corpus', 'savee', '--data', none)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('cannot be read'),
    });
    await put('03a01Wa.wav', 'anger');
    expect(await on('ravdess')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^Expected clips of ravdess in .*, got 1 of emodb\n$/),
    });
    expect(await on('emodb', '--split', 'test')).toMatchObject({ code: 1, stderr: expect.stringContaining("emodb's test split") });
    expect(await on('emodb', '--model', none)).toMatchObject({ code: 1, stderr: expect.stringContaining("a model's manifest") });
    expect(await on('emodb', '--folds', none)).toMatchObject({ code: 1, stderr: expect.stringContaining('a folder of folds') });
    expect(await on('emodb', '--speakers', '09')).toMatchObject({ code: 1, stderr: expect.stringContaining('got none of 09') });
    rmSync(join(folder, '03a01Wa.wav'));
    await put('03a01La.wav', 'boredom');
    expect(await on('emodb')).toMatchObject({ code: 1, stderr: expect.stringContaining('got none of them') });
  });
});
