// Evaluates models on a corpus, clip by clip through the live pipeline.
import { choose, speakersOf, type Choice, type LeftOut } from './choose.ts';
import { takeCurves, type Curves } from './curves.ts';
import { deviationOf, figuresOf, meanOf } from './figures.ts';
import { recordedNoise, whiteNoise } from './noise.ts';
import { codecText, type EvaluationOptions } from './options.ts';
import { Runs, verdictOf, type Heard } from './runs.ts';
import { by, summarise, type Summary } from './summary.ts';

/** All figures of an evaluation. Those of several folds are of all their verdicts together. */
export interface Evaluation extends Summary {
  /** Name and version; of folds also how many. */
  readonly model: string;
  readonly options: Pick<
    EvaluationOptions,
    | 'corpus'
    | 'split'
    | 'fec'
    | 'dtx'
    | 'concealment'
    | 'lossPercent'
    | 'burstPackets'
    | 'noiseDb'
    | 'independent'
    | 'warmUp'
    | 'seed'
    | 'limit'
  > & {
    readonly codec: string;
    /** What noise was added; null for none. */
    readonly noise: string | null;
  };
  /** Null without folds. */
  readonly folds: FoldFigures | null;
  readonly clips: number;
  /** Clips in which no window was scored; they count as errors. */
  readonly unheard: number;
  readonly windows: number;
  /** Their names in order. */
  readonly speakers: readonly string[];
  /** How many of them the model was trained on: figures with any are not of strangers' voices. */
  readonly trainSpeakers: number;
  /** Labels that both the corpus and the model have. */
  readonly labels: readonly string[];
  readonly leftOut: LeftOut;
  /** Null where they were not asked for. */
  readonly curves: Curves | null;
}

/** Figures of each fold by itself, and over the folds. */
export interface FoldFigures {
  readonly meanUar: number | null;
  readonly deviationOfUar: number | null;
  /** By the fold's name. */
  readonly each: Readonly<
    Record<
      string,
      Readonly<Record<'uar' | 'accuracy' | 'macroF1' | 'ece', number | null>> & { readonly clips: number; readonly speakers: number }
    >
  >;
}

/**
 * Runs an evaluation. A clip's verdict is what the product would say of the windows that end within its utterances.
 * @param onProgress told of the callers done and of all, in each run
 * @throws Error if the folder does not hold clips that the model has labels for, or a model was trained on a test speaker.
 */
export async function evaluate(
  options: EvaluationOptions,
  onProgress: (done: number, all: number, run: string) => void = () => undefined,
): Promise<Evaluation> {
  const choice = await choose(options);
  const { labels, leftOut, trainSpeakers } = choice;
  const noise = options.noiseFrom === null ? { source: whiteNoise, name: 'white' } : await recordedNoise(options.noiseFrom);
  const runs = new Runs(options, choice, noise.source, onProgress);
  const heard = await runs.main();
  const { corpus, split, codec, fec, dtx, concealment, lossPercent, burstPackets, noiseDb, independent, warmUp, seed, limit } = options;
  return {
    model: modelOf(choice, options.foldsDir !== null),
    options: {
      ...{
        corpus,
        split,
        codec: codecText(codec),
        fec,
        dtx,
        concealment,
        lossPercent,
        burstPackets,
        noiseDb,
        noise: noiseDb === null ? null : noise.name,
      },
      ...{ independent, warmUp, seed, limit },
    },
    ...summarise(heard, labels, seed),
    folds: options.foldsDir === null ? null : foldFigures(heard, labels.length),
    clips: heard.length,
    unheard: heard.filter(({ windows }) => windows.length === 0).length,
    windows: heard.reduce((sum, { windows }) => sum + windows.length, 0),
    speakers: speakersOf(heard),
    trainSpeakers,
    labels,
    leftOut,
    curves: options.curves ? await takeCurves(runs, heard, labels.length, seed) : null,
  };
}

function modelOf({ parts }: Choice, areFolds: boolean): string {
  const names = [...new Set(parts.map(({ manifest }) => `${manifest.name} ${manifest.version}`))].join(', ');
  return areFolds ? `${parts.length} folds of ${names}` : names;
}

function foldFigures(heard: readonly Heard[], labelCount: number): FoldFigures {
  const each = by(
    heard,
    ({ model }) => model,
    (own) => {
      const { uar, accuracy, macroF1, ece } = figuresOf(
        own.map((clip) => verdictOf(clip)),
        labelCount,
      );
      return { uar, accuracy, macroF1, ece, clips: own.length, speakers: speakersOf(own).length };
    },
  );
  const uars = Object.values(each).map(({ uar }) => uar);
  return { meanUar: meanOf(uars), deviationOfUar: deviationOf(uars), each };
}
