// What an evaluation plays: which clips to which model, and what is left out.
import { createRandom } from '../callers/random.ts';
import { readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import { corpusEmotions } from '../corpus/names.ts';
import { assertDisjoint, readFolds, readModel, type EvaluatedModel } from './folds.ts';
import { shuffled } from './line.ts';
import type { EvaluationOptions } from './options.ts';

/** A model and the clips that it is asked about. */
export interface Part extends EvaluatedModel {
  readonly clips: readonly CorpusClip[];
}

/** What is not evaluated. */
export interface LeftOut {
  /** Clips by the label that the model does not have. */
  readonly corpusLabels: Readonly<Record<string, number>>;
  /** Labels of the model that the corpus does not have; answers are among the others. */
  readonly modelLabels: readonly string[];
  /** Speakers of the corpus whom no fold tests. */
  readonly speakers: readonly string[];
}

/** What is evaluated. */
export interface Choice {
  readonly parts: readonly Part[];
  /** Labels that both the corpus and the model have. */
  readonly labels: readonly string[];
  readonly leftOut: LeftOut;
  /** How many of the speakers were trained on, as the model's `speakers.json` says, else the corpus' split. */
  readonly trainSpeakers: number;
}

/**
 * Chooses the clips of an evaluation and assigns them to models.
 * @throws Error if the folder does not hold clips of the corpus, split and speakers that the model has labels for, or a
 * model was trained on a speaker that it would be tested on.
 */
export async function choose(options: EvaluationOptions): Promise<Choice> {
  const { corpus, limit, seed, foldsDir, modelDir } = options;
  const models = foldsDir === null ? [await readModel(modelDir)] : await readFolds(foldsDir);
  const modelLabels = models[0]?.manifest.labels ?? [];
  const labels = modelLabels.filter((label) => corpusEmotions[corpus].includes(label));
  const found = await readChosen(options);
  const asked = foldsDir === null ? found : ofFolds(found, models, options.data);
  const known = asked.filter(({ emotion }) => labels.includes(emotion));
  if (known.length === 0) throw new Error(`Expected clips of ${labels.join(', ')} in ${options.data}, got none of them`);
  const clips = limit === null ? known : shuffled(known, createRandom(seed)).slice(0, limit);
  const parts = models.map((model): Part => ({ ...model, clips: foldsDir === null ? clips : clips.filter(isTestedBy(model)) }));
  return {
    parts: parts.filter((part) => part.clips.length > 0),
    labels,
    leftOut: {
      corpusLabels: countByLabel(asked.filter(({ emotion }) => !labels.includes(emotion))),
      modelLabels: modelLabels.filter((label) => !labels.includes(label)),
      speakers: withoutThose(speakersOf(found), speakersOf(asked)),
    },
    trainSpeakers: foldsDir === null ? trainedOn(options, models[0], clips) : 0,
  };
}

/** Names in order, each once. */
export function speakersOf(of: readonly { readonly speaker: string }[]): string[] {
  return [...new Set(of.map(({ speaker }) => speaker))].toSorted();
}

/** The clips of the corpus, split and speakers asked for. */
async function readChosen({ corpus, data, split, speakers }: EvaluationOptions): Promise<CorpusClip[]> {
  const all = await readCorpus(data);
  const ofCorpus = all.filter((clip) => clip.corpus === corpus);
  if (ofCorpus.length === 0) {
    const others = [...new Set(all.map((clip) => clip.corpus ?? 'unknown names'))].join(', ');
    throw new Error(`Expected clips of ${corpus} in ${data}, got ${all.length} of ${others}`);
  }
  const ofSplit = split === 'all' ? ofCorpus : ofCorpus.filter((clip) => clip.split === split);
  if (ofSplit.length === 0) {
    const splits = [...new Set(ofCorpus.map((clip) => clip.split || 'none'))].join(', ');
    throw new Error(
      `Expected clips of ${corpus}'s ${split} split in ${data}, got none; the splits of its ${ofCorpus.length} clips: ${splits}`,
    );
  }
  if (speakers === null) return ofSplit;
  assertThere(speakers, ofSplit, data);
  return ofSplit.filter(({ speaker }) => speakers.includes(speaker));
}

function ofFolds(clips: readonly CorpusClip[], folds: readonly EvaluatedModel[], data: string): CorpusClip[] {
  assertThere(
    folds.flatMap(({ speakers }) => speakers?.test ?? []),
    clips,
    data,
  );
  return clips.filter((clip) => folds.some((fold) => isTestedBy(fold)(clip)));
}

function assertThere(speakers: readonly string[], clips: readonly CorpusClip[], data: string): void {
  const missing = withoutThose(speakers, speakersOf(clips));
  if (missing.length > 0) throw new Error(`Expected clips of all speakers asked for in ${data}, got none of ${missing.join(', ')}`);
}

function isTestedBy({ speakers }: EvaluatedModel): (clip: CorpusClip) => boolean {
  const tested = new Set(speakers?.test);
  return ({ speaker }) => tested.has(speaker);
}

/**
 * How many speakers of the clips trained the model.
 * @throws Error if any did where strangers were asked for: by split or by name.
 */
function trainedOn(
  { split, speakers, corpus }: EvaluationOptions,
  model: EvaluatedModel | undefined,
  clips: readonly CorpusClip[],
): number {
  const known = model?.speakers ?? null;
  const asked = speakersOf(clips);
  if (model === undefined || known === null) return speakersOf(clips.filter((clip) => clip.split === 'train')).length;
  // Another corpus may have speakers of the same names.
  if ((known.corpus ?? corpus) !== corpus) return 0;
  if (split === 'test' || speakers !== null) assertDisjoint(model.name, asked, known);
  return asked.filter((speaker) => known.train.includes(speaker)).length;
}

function withoutThose(all: readonly string[], those: readonly string[]): string[] {
  const left = new Set(all);
  for (const one of those) left.delete(one);
  return [...left];
}

function countByLabel(clips: readonly CorpusClip[]): Record<string, number> {
  const groups = [...Map.groupBy(clips, ({ emotion }) => emotion)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(groups.map(([label, own]) => [label, own.length]));
}
