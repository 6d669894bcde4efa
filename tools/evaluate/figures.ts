// Figures of merit of a classifier: recall, F1, calibration, and how sure of them one can be.
import type { Random } from '../callers/random.ts';

/** The answer to one clip. */
export interface Verdict {
  readonly speaker: string;
  /** Empty where it is not known. */
  readonly sex: string;
  /** Index of the intended label. */
  readonly truth: number;
  /** Mean posterior of the clip's windows, by label; null where no window of it was scored. */
  readonly probabilities: readonly number[] | null;
}

/** The figures of some verdicts. Ratios are 0 to 1; null where there is nothing to take them of. */
export interface Figures {
  /** Mean of the recalls of the labels that occur. */
  readonly uar: number | null;
  readonly accuracy: number | null;
  /** Mean of the F1 of the labels that occur. */
  readonly macroF1: number | null;
  /** Expected calibration error of the leading label, 15 bins; of the clips that got a verdict. */
  readonly ece: number | null;
  /** By label; null where no clip has it. */
  readonly perClassRecall: readonly (number | null)[];
  /** `[intended][answered]`; clips without a verdict are in no column. */
  readonly confusion: readonly (readonly number[])[];
}

/** Bounds that 95 % of the resampled figures lie between. */
export type Interval = readonly [low: number, high: number];

const bins = 15;
const resamples = 1000;

/** Takes the figures. A clip without a verdict counts as an error. */
export function figuresOf(verdicts: readonly Verdict[], labelCount: number): Figures {
  const confusion = Array.from({ length: labelCount }, () => new Array<number>(labelCount).fill(0));
  const totals = new Array<number>(labelCount).fill(0);
  for (const { truth, probabilities } of verdicts) {
    totals[truth] = (totals[truth] ?? 0) + 1;
    const row = confusion[truth];
    if (probabilities === null || row === undefined) continue;
    const answered = leaderOf(probabilities);
    row[answered] = (row[answered] ?? 0) + 1;
  }
  const hits = confusion.map((row, i) => row[i] ?? 0);
  const recalls = hits.map((hit, i) => (totals[i] === 0 ? null : hit / (totals[i] ?? 1)));
  const scores = hits.map((hit, i) => {
    const answered = confusion.reduce((sum, row) => sum + (row[i] ?? 0), 0);
    return totals[i] === 0 ? null : (2 * hit) / ((totals[i] ?? 0) + answered);
  });
  return {
    uar: meanOf(recalls),
    accuracy: verdicts.length === 0 ? null : hits.reduce((sum, hit) => sum + hit, 0) / verdicts.length,
    macroF1: meanOf(scores),
    ece: calibrationError(verdicts.flatMap(({ truth, probabilities }) => (probabilities === null ? [] : [{ truth, probabilities }]))),
    perClassRecall: recalls,
    confusion,
  };
}

/** Mean gap between confidence and accuracy over bins of equal width (C. Guo et al., ICML 2017), weighted by their size. */
export function calibrationError(answers: readonly { readonly truth: number; readonly probabilities: ArrayLike<number> }[]): number | null {
  if (answers.length === 0) return null;
  const gaps = new Float64Array(bins);
  for (const { truth, probabilities } of answers) {
    const leader = leaderOf(probabilities);
    const confidence = probabilities[leader] ?? 0;
    const bin = Math.min(bins - 1, Math.floor(confidence * bins));
    gaps[bin] = (gaps[bin] ?? 0) + Number(leader === truth) - confidence;
  }
  return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0) / answers.length;
}

/** Index of the greatest value, the first of several. */
export function leaderOf(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

/**
 * 95 % intervals by the percentile bootstrap over speakers: clips of one speaker are not independent, so speakers are
 * drawn anew, each with all clips. Null with fewer than two speakers.
 */
export function bootstrapIntervals(
  verdicts: readonly Verdict[],
  labelCount: number,
  random: Random,
): Record<'uar' | 'accuracy' | 'macroF1' | 'ece', Interval> | null {
  const speakers = [...Map.groupBy(verdicts, ({ speaker }) => speaker).values()];
  if (speakers.length < 2) return null;
  const drawn = Array.from({ length: resamples }, () => {
    const sample = speakers.flatMap(() => speakers[Math.floor(random() * speakers.length)] ?? []);
    return figuresOf(sample, labelCount);
  });
  const interval = (name: 'uar' | 'accuracy' | 'macroF1' | 'ece'): Interval => {
    const values = drawn.flatMap((figures) => figures[name] ?? []).toSorted((a, b) => a - b);
    return [quantile(values, 0.025), quantile(values, 0.975)];
  };
  return { uar: interval('uar'), accuracy: interval('accuracy'), macroF1: interval('macroF1'), ece: interval('ece') };
}

function quantile(sorted: readonly number[], at: number): number {
  const position = at * (sorted.length - 1);
  const low = sorted[Math.floor(position)] ?? NaN;
  const high = sorted[Math.ceil(position)] ?? NaN;
  return low + (high - low) * (position - Math.floor(position));
}

function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}
