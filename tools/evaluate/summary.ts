// The figures of what was heard, and how sure of them one can be.
import { createRandom } from '../callers/random.ts';
import { bootstrap, type Interval } from './bootstrap.ts';
import { deviationOf, figuresOfTally, meanOf, sumOf, tallyOf, type Figures, type Tally } from './figures.ts';
import { verdictOf, type Heard } from './runs.ts';

/** Figures by name; ratios are 0 to 1, null where there is nothing to take them of. */
export interface Summary {
  readonly uar: number | null;
  readonly accuracy: number | null;
  readonly macroF1: number | null;
  /** Of the clips' verdicts. */
  readonly ece: number | null;
  /** Of the windows' posteriors, which is what was calibrated. */
  readonly eceOfWindows: number | null;
  readonly perClassRecall: ByName<number | null>;
  readonly perSpeakerUar: ByName<number | null>;
  /** Of the speakers' UARs. */
  readonly speakerSpread: Readonly<Record<'mean' | 'deviation' | 'least' | 'most', number | null>>;
  readonly bySex: ByName<SexFigures>;
  /** 95 %, by bootstrap over speakers; null with one speaker. */
  readonly intervals: Intervals | null;
  /** `[intended][answered]`, in the order of the labels; clips without a verdict are in no column. */
  readonly confusion: Figures['confusion'];
}

/** The figures of the speakers of one sex. */
export interface SexFigures {
  readonly uar: number | null;
  /** 95 %, by bootstrap over its speakers; null with one. */
  readonly interval: Interval | null;
  readonly clips: number;
  readonly speakers: number;
}

/** Intervals of the figures of the same names. */
export interface Intervals extends Readonly<Record<'uar' | 'accuracy' | 'macroF1' | 'ece' | 'eceOfWindows', Interval | null>> {
  readonly perClassRecall: ByName<Interval | null>;
  readonly speakerSpread: Readonly<Record<'mean' | 'deviation', Interval | null>>;
}

type ByName<T> = Readonly<Record<string, T>>;

/** Counts of one speaker's clips and of their windows. */
interface SpeakerTally {
  readonly verdicts: Tally;
  readonly windows: Tally;
  readonly uar: number | null;
}

/** Takes all figures; the bootstrap's draws are of `seed`. */
export function summarise(heard: readonly Heard[], labels: readonly string[], seed: number): Summary {
  const tallies = by(
    heard,
    ({ speaker }) => speaker,
    (own) => tallyOfSpeaker(own, labels.length),
  );
  const speakers = Object.values(tallies);
  const { perClassRecall, confusion, ...figures } = figuresOfTally(sumOf(speakers.map(({ verdicts }) => verdicts)));
  const uars = speakers.flatMap(({ uar }) => uar ?? []);
  return {
    ...figures,
    eceOfWindows: eceOfWindows(speakers),
    perClassRecall: byLabel(perClassRecall, labels),
    perSpeakerUar: Object.fromEntries(Object.entries(tallies).map(([speaker, { uar }]) => [speaker, uar])),
    speakerSpread: {
      ...spreadOf(speakers),
      least: uars.length === 0 ? null : Math.min(...uars),
      most: uars.length === 0 ? null : Math.max(...uars),
    },
    bySex: by(
      heard,
      ({ sex }) => sex || 'unknown',
      (own) => ofSex(own, labels.length, seed),
    ),
    intervals: intervalsOf(speakers, labels, seed),
    confusion,
  };
}

/** Groups in the order of their names. */
export function by<T, V>(items: readonly T[], key: (item: T) => string, value: (own: readonly T[]) => V): Record<string, V> {
  const groups = [...Map.groupBy(items, key)].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(groups.map(([name, own]) => [name, value(own)]));
}

function intervalsOf(speakers: readonly SpeakerTally[], labels: readonly string[], seed: number): Intervals | null {
  const main = bootstrap(speakers, mainFigures, createRandom(seed));
  const recalls = bootstrap(speakers, (drawn) => recallsOf(drawn, labels), createRandom(seed));
  const speakerSpread = bootstrap(speakers, spreadOf, createRandom(seed));
  if (main === null || recalls === null || speakerSpread === null) return null;
  return { ...main, perClassRecall: recalls, speakerSpread };
}

function mainFigures(drawn: readonly SpeakerTally[]) {
  const { uar, accuracy, macroF1, ece } = figuresOfTally(sumOf(drawn.map(({ verdicts }) => verdicts)));
  return { uar, accuracy, macroF1, ece, eceOfWindows: eceOfWindows(drawn) };
}

function recallsOf(drawn: readonly SpeakerTally[], labels: readonly string[]): Record<string, number | null> {
  return byLabel(figuresOfTally(sumOf(drawn.map(({ verdicts }) => verdicts))).perClassRecall, labels);
}

function eceOfWindows(speakers: readonly SpeakerTally[]): number | null {
  return figuresOfTally(sumOf(speakers.map(({ windows }) => windows))).ece;
}

function spreadOf(speakers: readonly SpeakerTally[]): Record<'mean' | 'deviation', number | null> {
  const uars = speakers.map(({ uar }) => uar);
  return { mean: meanOf(uars), deviation: deviationOf(uars) };
}

function ofSex(heard: readonly Heard[], labelCount: number, seed: number): SexFigures {
  const speakers = Object.values(
    by(
      heard,
      ({ speaker }) => speaker,
      (own) => tallyOfSpeaker(own, labelCount),
    ),
  );
  const uarOf = (drawn: readonly SpeakerTally[]) => ({ uar: figuresOfTally(sumOf(drawn.map(({ verdicts }) => verdicts))).uar });
  const interval = bootstrap(speakers, uarOf, createRandom(seed))?.uar ?? null;
  return { ...uarOf(speakers), interval, clips: heard.length, speakers: speakers.length };
}

function tallyOfSpeaker(own: readonly Heard[], labelCount: number): SpeakerTally {
  const verdicts = tallyOf(
    own.map((heard) => verdictOf(heard)),
    labelCount,
  );
  const windows = own.flatMap(({ truth, windows: ofClip }) => ofClip.map(({ probabilities }) => ({ truth, probabilities })));
  return { verdicts, windows: tallyOf(windows, labelCount), uar: figuresOfTally(verdicts).uar };
}

function byLabel<T>(values: readonly T[], labels: readonly string[]): Record<string, T> {
  return Object.fromEntries(values.map((value, i) => [labels[i] ?? '', value]));
}
