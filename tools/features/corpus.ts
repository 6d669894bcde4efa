// Reads a corpus folder: which clips it has, who speaks, and what emotion was intended.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** The labels of the models, in the order of their outputs. */
export const labels = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'] as const;

/** One clip of a corpus. */
export interface CorpusClip {
  /** Relative to the corpus folder. */
  readonly path: string;
  readonly speaker: string;
  readonly sex: string;
  readonly emotion: string;
  /** Official split of the corpus, empty where it has none. */
  readonly split: string;
  /** Crowd votes by label, in the order of {@link labels}; all 0 where the corpus has none. */
  readonly votes: readonly number[];
}

/** Clips of CREMA-D whose audio or label is known to be wrong. */
const defective = new Set(['1076_MTI_SAD_XX', '1006_TIE_NEU_XX', '1013_WSI_DIS_XX', '1017_IWW_FEA_XX', '1040_ITH_SAD_XX']);

/** CREMA-D's own file names: actor, sentence, emotion, intensity. */
const cremaDName = /^(\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{2}\.opus$/;
const cremaDEmotions: Readonly<Record<string, string>> = {
  ANG: 'anger',
  DIS: 'disgust',
  FEA: 'fear',
  HAP: 'happiness',
  NEU: 'neutral',
  SAD: 'sadness',
};

/**
 * Reads what a corpus folder holds: `manifest.csv` where there is one, else clips named as CREMA-D names them. Clips
 * with a known defect are left out.
 * @throws Error if the manifest lacks a column, or there is no clip.
 */
export async function readCorpus(folder: string): Promise<CorpusClip[]> {
  const names = await readdir(folder).catch((cause: unknown) => {
    throw new Error(`Expected a corpus folder at ${folder}, but it cannot be read`, { cause });
  });
  const clips = names.includes('manifest.csv') ? await readManifest(join(folder, 'manifest.csv')) : fromNames(names);
  const sound = clips.filter((clip) => !defective.has(/([^/]+)\.\w+$/.exec(clip.path)?.[1] ?? ''));
  if (sound.length === 0) {
    throw new Error(`Expected a manifest.csv that lists clips, or clips named as in CREMA-D, in ${folder}, got neither`);
  }
  return sound;
}

function fromNames(names: readonly string[]): CorpusClip[] {
  return names.toSorted().flatMap((path) => {
    const [, speaker = '', code = ''] = cremaDName.exec(path) ?? [];
    const emotion = cremaDEmotions[code];
    return emotion === undefined ? [] : [{ path, speaker, sex: '', emotion, split: '', votes: labels.map(() => 0) }];
  });
}

async function readManifest(file: string): Promise<CorpusClip[]> {
  const text = await readFile(file, 'utf8');
  const [header = '', ...lines] = text.trim().split(/\r?\n/);
  const columns = header.split(',');
  for (const column of ['path', 'speaker', 'sex', 'emotion']) {
    if (!columns.includes(column)) throw new Error(`Expected ${file} to have a column \`${column}\`, got ${header}`);
  }
  return lines.map((line) => {
    const cells = line.split(',');
    const cell = (name: string) => cells[columns.indexOf(name)] ?? '';
    return {
      path: cell('path'),
      speaker: cell('speaker'),
      sex: cell('sex'),
      emotion: cell('emotion'),
      split: cell('split'),
      votes: labels.map((label) => Number(cell(`vote_${label}`)) || 0),
    };
  });
}
