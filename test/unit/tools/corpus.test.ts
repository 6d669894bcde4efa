// Corpus folders: manifests and official layouts.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readCorpus } from '../../../tools/corpus/corpus.ts';
import { parseClipPath } from '../../../tools/corpus/names.ts';

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

describe('parseClipPath', () => {
  it.each([
    ['1001_DFA_ANG_XX.wav', { corpus: 'crema-d', speaker: '1001', emotion: 'anger', sex: '', split: 'train', sentence: 'DFA' }],
    ['1015_IEO_HAP_HI.flac', { corpus: 'crema-d', speaker: '1015', emotion: 'happiness', sex: '', split: 'validation', sentence: 'IEO' }],
    ['1010_TSI_SAD_XX.opus', { corpus: 'crema-d', speaker: '1010', emotion: 'sadness', sex: '', split: 'test', sentence: 'TSI' }],
    ['03-01-08-02-02-01-12.wav', { corpus: 'ravdess', speaker: '12', emotion: 'surprise', sex: 'female', split: '', sentence: '02' }],
    ['03-01-01-01-01-01-01.WAV', { corpus: 'ravdess', speaker: '01', emotion: 'neutral', sex: 'male', split: '', sentence: '01' }],
    ['wav/03a01Fa.wav', { corpus: 'emodb', speaker: '03', emotion: 'happiness', sex: 'male', split: '', sentence: 'a01' }],
    ['16b10Wb.ogg', { corpus: 'emodb', speaker: '16', emotion: 'anger', sex: 'female', split: '', sentence: 'b10' }],
    ['08b02Lc.flac', { corpus: 'emodb', speaker: '08', emotion: 'boredom', sex: 'female', split: '', sentence: 'b02' }],
    ['AudioData/DC/a01.wav', { corpus: 'savee', speaker: 'DC', emotion: 'anger', sex: 'male', split: '', sentence: '' }],
    ['KL\\su15.wav', { corpus: 'savee', speaker: 'KL', emotion: 'surprise', sex: 'male', split: '', sentence: '' }],
    ['JE_sa07.wav', { corpus: 'savee', speaker: 'JE', emotion: 'sadness', sex: 'male', split: '', sentence: '' }],
    [
      'IEMOCAP_full_release/Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M000.wav',
      { corpus: 'iemocap', speaker: 'Ses01M', emotion: null, sex: 'male', split: '', sentence: '' },
    ],
    [
      'Session5/sentences/wav/Ses05M_script03_2b/Ses05M_script03_2b_F012.wav',
      { corpus: 'iemocap', speaker: 'Ses05F', emotion: null, sex: 'female', split: '', sentence: '' },
    ],
  ])('reads %s', (name, expected) => {
    expect(parseClipPath(name)).toEqual(expected);
  });

  it.each([
    '1001_DFA_ANG_XX.mp3',
    '1001_DFA_XXX_XX.wav',
    '03-02-05-01-01-01-01.wav',
    '03-01-09-01-01-01-01.wav',
    '._1001_DFA_ANG_XX.wav',
    '03a01Xa.wav',
    'a01.wav',
    'XX/a01.wav',
    'DC/x01.wav',
    'DC/constructor01.wav',
    'Session1/dialog/wav/Ses01F_impro01.wav',
    'Session1/sentences/wav/Ses01F_impro02/Ses01F_impro01_F000.wav',
    '',
  ])('does not take %s for a clip of speech', (name) => {
    expect(parseClipPath(name)).toBeNull();
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

  it("finds IEMOCAP's clips by name and their labels in the raters' verdicts", async () => {
    const sentences = 'Session1/sentences/wav/Ses01F_impro01';
    for (const utterance of ['F000', 'F001', 'M000', 'M001']) put(`${sentences}/Ses01F_impro01_${utterance}.wav`);
    const evaluations = 'Session1/dialog/EmoEvaluation';
    put(
      `${evaluations}/Ses01F_impro01.txt`,
      [
        '% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]',
        '',
        '[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]',
        'C-E2:\tNeutral;\t()',
        '[10.0100 - 11.3925]\tSes01F_impro01_F001\texc\t[2.5000, 2.5000, 2.5000]',
        '[14.8872 - 18.0175]\tSes01F_impro01_M000\txxx\t[2.5000, 2.5000, 2.5000]',
        '',
      ].join('\r\n'),
    );
    // One rater's opinion, and what an archive of macOS leaves behind.
    put(`${evaluations}/Categorical/Ses01F_impro01_e2_cat.txt`, 'Ses01F_impro01_F000 :Anger; ()\n');
    put(`${evaluations}/._Ses01F_impro01.txt`, '[0.1 - 0.2]\tSes01F_impro01_F000\tbad\t[1, 1, 1]\n');
    const clips = await readCorpus(folder);
    expect(clips.map(({ path, speaker, emotion }) => [path, speaker, emotion])).toEqual([
      [`${sentences}/Ses01F_impro01_F000.wav`, 'Ses01F', 'neutral'],
      [`${sentences}/Ses01F_impro01_F001.wav`, 'Ses01F', 'excitement'],
      [`${sentences}/Ses01F_impro01_M000.wav`, 'Ses01M', 'undecided'],
    ]);
    put(`${evaluations}/Ses01F_impro02.txt`, '[0.1 - 0.2]\tSes01F_impro02_F000\tbad\t[1, 1, 1]\n');
    await expect(readCorpus(folder)).rejects.toThrow(/Ses01F_impro02.txt .* got `bad`/);
  });

  it("says that IEMOCAP's labels are missing", async () => {
    put('Session2/sentences/wav/Ses02F_impro01/Ses02F_impro01_F000.wav');
    await expect(readCorpus(folder)).rejects.toThrow("Expected IEMOCAP's labels");
  });

  it('takes a clip once that lies there in two places or formats', async () => {
    put('Actor_01/03-01-05-01-01-01-01.wav');
    put('audio_speech_actors_01-24/Actor_01/03-01-05-01-01-01-01.wav');
    put('Actor_01/03-01-05-01-01-01-01.flac');
    put('DC/a01.wav');
    put('ALL/DC_a01.wav');
    put('ALL/JE_a01.wav');
    expect((await readCorpus(folder)).map(({ path }) => path)).toEqual([
      'ALL/DC_a01.wav',
      'ALL/JE_a01.wav',
      'Actor_01/03-01-05-01-01-01-01.flac',
    ]);
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
        sentence: 'DFA',
        votes: [3, 0, 0, 0, 0, 0],
      },
      { path: 'x.opus', corpus: null, speaker: 'two', sex: 'male', emotion: 'calm', split: '', sentence: '', votes: [0, 0, 0, 0, 0, 0] },
    ]);
  });

  it('takes the corpus that a manifest names where the files have names of their own', async () => {
    put('manifest.csv', 'path,corpus,speaker,sex,emotion\na.opus,ravdess,01,male,anger\nb.opus,other,01,male,anger\n');
    expect((await readCorpus(folder)).map(({ corpus }) => corpus)).toEqual(['ravdess', null]);
  });

  it('says what is wrong with a folder', async () => {
    await expect(readCorpus(folder)).rejects.toThrow('got neither');
    await expect(readCorpus(join(folder, 'none'))).rejects.toThrow('cannot be read');
    put('manifest.csv', 'path,speaker\n');
    await expect(readCorpus(folder)).rejects.toThrow('a column `sex`');
  });
});
