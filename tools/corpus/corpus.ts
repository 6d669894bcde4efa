// Reads a corpus folder: which clips it has, who speaks, and what emotion was intended.
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readEvaluations } from './iemocap.ts';
import { corpusNames, parseClipPath, type CorpusName, type NamedClip } from './names.ts';

/** The labels of the models, in the order of their outputs. */
export const labels = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'] as const;

/** One clip of a corpus. */
export interface CorpusClip {
  /** Relative to the corpus folder. */
  readonly path: string;
  /** The corpus that the manifest names, else whose file names these are; null where they are of none. */
  readonly corpus: CorpusName | null;
  readonly speaker: string;
  readonly sex: string;
  readonly emotion: string;
  /** Official split of the corpus, empty where it has none. */
  readonly split: string;
  /** The corpus's code of the sentence that is spoken; empty where it is not known. */
  readonly sentence: string;
  /** Crowd votes by label, in the order of {@link labels}; all 0 where the corpus has none. */
  readonly votes: readonly number[];
}

/** Clips of CREMA-D whose audio or label is known to be wrong. */
const defective = new Set(['1076_MTI_SAD_XX', '1006_TIE_NEU_XX', '1013_WSI_DIS_XX', '1017_IWW_FEA_XX', '1040_ITH_SAD_XX']);

/**
 * Reads what a corpus folder holds: `manifest.csv` where there is one, else clips that lie and are named as in the official
 * layouts ({@link corpusNames}), in any folder below, with the sexes of CREMA-D's `VideoDemographics.csv` where that is
 * there. Clips with a known defect are left out, and of files in several folders or formats that are one clip the first is taken.
 * @throws Error if the manifest lacks a column, IEMOCAP's clips have no labels beside them, or there is no clip.
 */
export async function readCorpus(folder: string): Promise<CorpusClip[]> {
  const names = await readdir(folder, { recursive: true }).catch((cause: unknown) => {
    throw new Error(`Expected a corpus folder at ${folder}, but it cannot be read`, { cause });
  });
  const clips = names.includes('manifest.csv')
    ? await readManifest(join(folder, 'manifest.csv'))
    : await fromNames(folder, names.toSorted());
  const sound = clips.filter((clip) => !defective.has(stemOf(clip.path)));
  if (sound.length === 0) {
    const known = corpusNames.join(', ');
    throw new Error(
      `Expected a manifest.csv that lists clips, or clips in the official layout of one of ${known}, in ${folder}, got neither`,
    );
  }
  return sound;
}

async function fromNames(folder: string, names: readonly string[]): Promise<CorpusClip[]> {
  const found = new Map<string, NamedClip & { readonly path: string }>();
  for (const path of names) {
    const named = parseClipPath(path);
    if (named === null) continue;
    const clip = `${named.corpus} ${named.speaker} ${stemOf(path).replace(`${named.speaker}_`, '')}`;
    if (!found.has(clip)) found.set(clip, { path, ...named });
  }
  const clips = [...found.values()];
  const demographics = names.find((name) => basename(name) === 'VideoDemographics.csv');
  const sexes = demographics === undefined ? new Map<string, string>() : await readSexes(join(folder, demographics));
  const told = clips.some(({ emotion }) => emotion === null) ? await readEvaluations(folder, names) : new Map<string, string>();
  return clips.flatMap(({ emotion: named, sex, ...clip }) => {
    const emotion = named ?? told.get(stemOf(clip.path));
    if (emotion === undefined) return [];
    return [{ ...clip, emotion, sex: sex || (sexes.get(clip.speaker) ?? ''), votes: labels.map(() => 0) }];
  });
}

async function readSexes(file: string): Promise<Map<string, string>> {
  const { rows } = parseCsv(await readFile(file, 'utf8'));
  return new Map(rows.map((cell) => [cell('ActorID'), cell('Sex').toLowerCase()]));
}

async function readManifest(file: string): Promise<CorpusClip[]> {
  const { columns, rows } = parseCsv(await readFile(file, 'utf8'));
  for (const column of ['path', 'speaker', 'sex', 'emotion']) {
    if (!columns.includes(column)) throw new Error(`Expected ${file} to have a column \`${column}\`, got ${columns.join(',')}`);
  }
  return rows.map((cell) => ({
    path: cell('path'),
    corpus: corpusNames.find((name) => name === cell('corpus')) ?? parseClipPath(cell('path'))?.corpus ?? null,
    speaker: cell('speaker'),
    sex: cell('sex'),
    emotion: cell('emotion'),
    split: cell('split'),
    sentence: cell('sentence') || (parseClipPath(cell('path'))?.sentence ?? ''),
    votes: labels.map((label) => Number(cell(`vote_${label}`)) || 0),
  }));
}

/** The name without folders and extension. */
function stemOf(path: string): string {
  return /([^\\/]+)\.\w+$/.exec(path)?.[1] ?? '';
}

/** Plain comma-separated values, none of them quoted; each row gives its cell of a column, empty where there is none. */
function parseCsv(text: string): { columns: string[]; rows: ((column: string) => string)[] } {
  const [header = '', ...lines] = text.trim().split(/\r?\n/);
  const columns = header.split(',');
  const rows = lines.map((line) => {
    const cells = line.split(',');
    return (column: string) => cells[columns.indexOf(column)] ?? '';
  });
  return { columns, rows };
}
