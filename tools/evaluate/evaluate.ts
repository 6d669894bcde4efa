// Evaluates the shipped model on a corpus, clip by clip through the live pipeline.
import { loadManifest } from '../../src/models/manifest.ts';
import { play, shippedModelDir, type OfflineCaller } from '../analyse/play.ts';
import { createRandom } from '../callers/random.ts';
import { readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import { corpusEmotions } from '../corpus/names.ts';
import { bootstrapIntervals, calibrationError, figuresOf, type Figures, type Interval, type Verdict } from './figures.ts';
import { Line, shuffled, trackOf } from './line.ts';
import { recordedNoise, whiteNoise } from './noise.ts';
import { codecText, type EvaluationOptions } from './options.ts';

/** All figures of an evaluation; ratios are 0 to 1. */
export interface Evaluation {
  readonly model: string;
  readonly options: Omit<EvaluationOptions, 'codec' | 'data'> & { readonly codec: string };
  readonly uar: number | null;
  readonly accuracy: number | null;
  readonly macroF1: number | null;
  /** Of the clips' verdicts. */
  readonly ece: number | null;
  /** Of the windows' posteriors, which is what was calibrated. */
  readonly eceOfWindows: number | null;
  /** 95 %, by bootstrap over speakers. */
  readonly intervals: Readonly<Record<'uar' | 'accuracy' | 'macroF1' | 'ece', Interval>> | null;
  readonly perClassRecall: Readonly<Record<string, number | null>>;
  readonly perSpeakerUar: Readonly<Record<string, number | null>>;
  readonly bySex: Readonly<Record<string, { readonly uar: number | null; readonly clips: number; readonly speakers: number }>>;
  readonly clips: number;
  /** Clips in which no window was scored; they count as errors. */
  readonly unheard: number;
  readonly windows: number;
  readonly speakers: readonly string[];
  /** How many of them are of the corpus's train split: figures with any are not of strangers' voices. */
  readonly trainSpeakers: number;
  /** Labels that both the corpus and the model have. */
  readonly labels: readonly string[];
  /** `[intended][answered]`, in the order of `labels`. */
  readonly confusion: readonly (readonly number[])[];
  readonly leftOut: {
    /** Clips by the label that the model does not have. */
    readonly corpusLabels: Readonly<Record<string, number>>;
    /** Labels of the model that the corpus does not have; answers are among the others. */
    readonly modelLabels: readonly string[];
  };
}

interface ScoredClip {
  readonly sum: number[];
  readonly windows: number[][];
}

/**
 * Runs an evaluation. A clip's verdict is the mean posterior of the windows that end within its utterances.
 * @param onProgress told of the callers done and of all
 * @throws Error if the folder does not hold clips of the corpus and split that the model has labels for.
 */
export async function evaluate(
  options: EvaluationOptions,
  onProgress: (done: number, all: number) => void = () => undefined,
  modelDir = shippedModelDir,
): Promise<Evaluation> {
  const { manifest } = await loadManifest(modelDir);
  const { clips, labels, leftOut } = await choose(options, manifest.labels);
  const noise = options.noiseFrom === null ? whiteNoise : await recordedNoise(options.noiseFrom);
  const lines = new Map<string, Line>();
  const groups = Map.groupBy(clips, (clip) => (options.independent ? clip.path : clip.speaker));
  for (const [name, ofCaller] of groups) lines.set(name, await Line.open(options, ofCaller, noise, name));
  const scored = new Map<CorpusClip, ScoredClip>();
  const kept = labels.map((label) => manifest.labels.indexOf(label));
  let done = 0;
  await play({
    modelDir,
    callers: [...lines].map(([name, line]): OfflineCaller => ({ track: trackOf(name, line.wire), media: () => line.media() })),
    // Without smoothing a point is its window's own posterior; which windows make points does not depend on it.
    smoothing: { alpha: 1 },
    onOutput: (output) => {
      if (output.kind === 'gap') throw new Error('Expected every window to be scored, got a gap');
      if (output.kind === 'segment') return;
      const { track, endSample, probabilities } = output.point;
      const clip = lines.get(track.trackId)?.sent.findLast(({ startSample }) => startSample < endSample)?.clip;
      if (clip === undefined) return;
      const posterior = normalised(kept.map((index) => probabilities[index] ?? 0));
      const entry = scored.get(clip) ?? { sum: labels.map(() => 0), windows: [] };
      scored.set(clip, { sum: entry.sum.map((value, i) => value + (posterior[i] ?? 0)), windows: [...entry.windows, posterior] });
    },
    onPlayed: () => {
      onProgress(++done, lines.size);
    },
  });
  const verdicts = clips.map((clip): Verdict => {
    const { speaker, sex, emotion } = clip;
    const entry = scored.get(clip);
    return { speaker, sex, truth: labels.indexOf(emotion), probabilities: entry === undefined ? null : normalised(entry.sum) };
  });
  const windows = clips.flatMap((clip) =>
    (scored.get(clip)?.windows ?? []).map((probabilities) => ({ truth: labels.indexOf(clip.emotion), probabilities })),
  );
  const { data: _data, codec, ...rest } = options;
  return {
    model: `${manifest.name} ${manifest.version}`,
    options: { ...rest, codec: codecText(codec) },
    ...summary(figuresOf(verdicts, labels.length), labels),
    eceOfWindows: calibrationError(windows),
    intervals: bootstrapIntervals(verdicts, labels.length, createRandom(options.seed)),
    perSpeakerUar: by(
      verdicts,
      ({ speaker }) => speaker,
      (own) => figuresOf(own, labels.length).uar,
    ),
    bySex: by(
      verdicts,
      ({ sex }) => sex || 'unknown',
      (own) => ({
        uar: figuresOf(own, labels.length).uar,
        clips: own.length,
        speakers: speakersOf(own).length,
      }),
    ),
    clips: clips.length,
    unheard: verdicts.filter(({ probabilities }) => probabilities === null).length,
    windows: windows.length,
    speakers: speakersOf(clips),
    trainSpeakers: speakersOf(clips.filter((clip) => clip.split === 'train')).length,
    labels,
    leftOut,
  };
}

/** The clips to play, the labels that corpus and model share, and what is left out for want of the other. */
async function choose(options: EvaluationOptions, modelLabels: readonly string[]) {
  const { corpus, data, split, limit, seed } = options;
  const all = await readCorpus(data);
  const ofCorpus = all.filter((clip) => clip.corpus === corpus);
  if (ofCorpus.length === 0) {
    const others = [...new Set(all.map((clip) => clip.corpus ?? 'unknown names'))].join(', ');
    throw new Error(`Expected clips of ${corpus} in ${data}, got ${all.length} of ${others}`);
  }
  const ofSplit = split === 'all' ? ofCorpus : ofCorpus.filter((clip) => clip.split === split);
  const labels = modelLabels.filter((label) => corpusEmotions[corpus].includes(label));
  const known = ofSplit.filter(({ emotion }) => labels.includes(emotion));
  if (known.length === 0) {
    const splits = [...new Set(ofCorpus.map((clip) => clip.split || 'none'))].join(', ');
    throw new Error(
      `Expected clips of ${corpus}'s ${split} split in ${data}, got none; the splits of its ${ofCorpus.length} clips: ${splits}`,
    );
  }
  const corpusLabels = by(
    ofSplit.filter(({ emotion }) => !labels.includes(emotion)),
    ({ emotion }) => emotion,
    ({ length }) => length,
  );
  const clips = limit === null ? known : shuffled(known, createRandom(seed)).slice(0, limit);
  return { clips, labels, leftOut: { corpusLabels, modelLabels: modelLabels.filter((label) => !labels.includes(label)) } };
}

function summary({ perClassRecall, ...figures }: Figures, labels: readonly string[]) {
  return { ...figures, perClassRecall: Object.fromEntries(labels.map((label, i) => [label, perClassRecall[i] ?? null])) };
}

function speakersOf(of: readonly { readonly speaker: string }[]): string[] {
  return [...new Set(of.map(({ speaker }) => speaker))].toSorted();
}

function by<T, V>(items: readonly T[], key: (item: T) => string, value: (own: readonly T[]) => V): Record<string, V> {
  const groups = [...Map.groupBy(items, key)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(groups.map(([name, own]) => [name, value(own)]));
}

function normalised(values: readonly number[]): number[] {
  const sum = values.reduce((total, value) => total + value, 0);
  return values.map((value) => value / sum);
}
