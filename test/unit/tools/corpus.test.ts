// Corpus folders: manifests and official layouts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCorpus } from '../../../tools/corpus/corpus.ts';
import { parseClipName } from '../../../tools/corpus/names.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-corpus-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function put(path: string, text = ''): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

describe('parseClipName', () => {
  it.each([
    ['1001_DFA_ANG_XX.wav', { corpus: 'crema-d', speaker: '1001', emotion: 'anger', sex: '', split: 'train' }],
    ['1015_IEO_HAP_HI.flac', { corpus: 'crema-d', speaker: '1015', emotion: 'happiness', sex: '', split: 'validation' }],
    ['1010_TSI_SAD_XX.opus', { corpus: 'crema-d', speaker: '1010', emotion: 'sadness', sex: '', split: 'test' }],
    ['03-01-08-02-02-01-12.wav', { corpus: 'ravdess', speaker: '12', emotion: 'surprise', sex: 'female', split: '' }],
    ['03-01-01-01-01-01-01.WAV', { corpus: 'ravdess', speaker: '01', emotion: 'neutral', sex: 'male', split: '' }],
  ])('reads %s', (name, expected) => {
    expect(parseClipName(name)).toEqual(expected);
  });

  it.each([
    '1001_DFA_ANG_XX.mp3',
    '1001_DFA_XXX_XX.wav',
    '03-02-05-01-01-01-01.wav',
    '03-01-09-01-01-01-01.wav',
    '._1001_DFA_ANG_XX.wav',
    '',
  ])('does not take %s for a clip of speech', (name) => {
    expect(parseClipName(name)).toBeNull();
  });
});

describe('readCorpus', () => {
  it("finds CREMA-D's clips by name in the official layout, and the actors' sexes", async () => {
    put('AudioWAV/1002_DFA_NEU_XX.wav');
    put('AudioWAV/1001_DFA_ANG_XX.wav');
    put('AudioMP3/1001_DFA_ANG_XX.mp3');
    put(
      'VideoDemographics.csv',
      'ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Caucasian,Not Hispanic\n',
    );
    const clips = await readCorpus(folder);
    expect(clips.map(({ path, speaker, emotion, sex, split, corpus }) => [path, speaker, emotion, sex, split, corpus])).toEqual([
      ['AudioWAV/1001_DFA_ANG_XX.wav', '1001', 'anger', 'male', 'train', 'crema-d'],
      ['AudioWAV/1002_DFA_NEU_XX.wav', '1002', 'neutral', 'female', 'train', 'crema-d'],
    ]);
  });

  it("finds RAVDESS's clips by name", async () => {
    put('Actor_12/03-01-05-01-01-01-12.wav');
    put('Actor_12/03-02-05-01-01-01-12.wav');
    expect(await readCorpus(folder)).toMatchObject([{ speaker: '12', emotion: 'anger', sex: 'female', corpus: 'ravdess' }]);
  });

  it('leaves out clips with a known defect', async () => {
    put('1076_MTI_SAD_XX.wav');
    put('1076_MTI_ANG_XX.wav');
    expect((await readCorpus(folder)).map(({ path }) => path)).toEqual(['1076_MTI_ANG_XX.wav']);
  });

  it('believes a manifest before the names', async () => {
    put('1001_DFA_ANG_XX.opus');
    put(
      'manifest.csv',
      'path,speaker,sex,emotion,split,vote_anger\r\n1001_DFA_ANG_XX.opus,one,female,fear,test,3\r\nx.opus,two,male,calm,,\r\n',
    );
    expect(await readCorpus(folder)).toEqual([
      {
        path: '1001_DFA_ANG_XX.opus',
        corpus: 'crema-d',
        speaker: 'one',
        sex: 'female',
        emotion: 'fear',
        split: 'test',
        votes: [3, 0, 0, 0, 0, 0],
      },
      { path: 'x.opus', corpus: null, speaker: 'two', sex: 'male', emotion: 'calm', split: '', votes: [0, 0, 0, 0, 0, 0] },
    ]);
  });

  it('says what is wrong with a folder', async () => {
    await expect(readCorpus(folder)).rejects.toThrow('got neither');
    await expect(readCorpus(join(folder, 'none'))).rejects.toThrow('cannot be read');
    put('manifest.csv', 'path,speaker\n');
    await expect(readCorpus(folder)).rejects.toThrow('a column `sex`');
  });
});
