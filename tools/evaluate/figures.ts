// Figures of merit of a classifier: recall, F1, calibration.

/** The answer to one clip. */
export interface Verdict {
  readonly speaker: string;
  /** Empty where it is not known. */
  readonly sex: string;
  /** Index of the intended label. */
  readonly truth: number;
  /** By label, summing to 1; null where no window of it was scored. */
  readonly probabilities: readonly number[] | null;
}

type Answer = Pick<Verdict, 'truth'> & { readonly probabilities: ArrayLike<number> };

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

/** All that figures are taken of, as counts that can be added up. */
export interface Tally {
  /** Clips by intended label. */
  readonly intended: readonly number[];
  /** Row-major `[intended][answered]`. */
  readonly answered: readonly number[];
  /** By bin of confidence: how many more were right than the confidence promised. */
  readonly gaps: readonly number[];
}

const bins = 15;

/** Takes the figures. A clip without a verdict counts as an error. */
export function figuresOf(verdicts: readonly Verdict[], labelCount: number): Figures {
  return figuresOfTally(tallyOf(verdicts, labelCount));
}

/** Counts verdicts up. */
export function tallyOf(verdicts: readonly Pick<Verdict, 'truth' | 'probabilities'>[], labelCount: number): Tally {
  const intended = new Array<number>(labelCount).fill(0);
  const answered = new Array<number>(labelCount * labelCount).fill(0);
  for (const { truth, probabilities } of verdicts) {
    intended[truth] = (intended[truth] ?? 0) + 1;
    if (probabilities === null) continue;
    const cell = truth * labelCount + leaderOf(probabilities);
    answered[cell] = (answered[cell] ?? 0) + 1;
  }
  return { intended, answered, gaps: confidenceGaps(verdicts.flatMap(withAnswer)) };
}

/** The counts of several groups together; at least one group. */
export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = { intended: [] as number[], answered: [] as number[], gaps: [] as number[] };
  for (const tally of tallies) {
    for (const key of ['intended', 'answered', 'gaps'] as const) {
      const into = sum[key];
      tally[key].forEach((value, i) => (into[i] = (into[i] ?? 0) + value));
    }
  }
  return sum;
}

/** The figures of what was counted. */
export function figuresOfTally({ intended, answered, gaps }: Tally): Figures {
  const confusion = intended.map((_, i) => answered.slice(i * intended.length, (i + 1) * intended.length));
  const hits = confusion.map((row, i) => row[i] ?? 0);
  const recalls = hits.map((hit, i) => ratioOf(hit, intended[i] ?? 0));
  const scores = hits.map((hit, i) => {
    const given = confusion.reduce((sum, row) => sum + (row[i] ?? 0), 0);
    return intended[i] === 0 ? null : (2 * hit) / ((intended[i] ?? 0) + given);
  });
  return {
    uar: meanOf(recalls),
    accuracy: ratioOf(total(hits), total(intended)),
    macroF1: meanOf(scores),
    ece: ratioOf(total(gaps.map(Math.abs)), total(answered)),
    perClassRecall: recalls,
    confusion,
  };
}

/** Index of the greatest value, the first of several. */
export function leaderOf(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i;
  return best;
}

/** Mean of the values that are known. */
export function meanOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return ratioOf(total(known), known.length);
}

/** Standard deviation of a population of which the known values are a sample; null of fewer than two. */
export function deviationOf(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  const mean = meanOf(known);
  if (mean === null || known.length < 2) return null;
  return Math.sqrt(total(known.map((value) => (value - mean) ** 2)) / (known.length - 1));
}

/**
 * How many more answers were right than their confidence promised, by bin of equal width. The mean gap is the expected
 * calibration error (C. Guo et al., ICML 2017).
 */
function confidenceGaps(answers: readonly Answer[]): number[] {
  const gaps = new Array<number>(bins).fill(0);
  for (const { truth, probabilities } of answers) {
    const leader = leaderOf(probabilities);
    const confidence = probabilities[leader] ?? 0;
    const bin = Math.min(bins - 1, Math.floor(confidence * bins));
    gaps[bin] = (gaps[bin] ?? 0) + Number(leader === truth) - confidence;
  }
  return gaps;
}

function withAnswer({ truth, probabilities }: Pick<Verdict, 'truth' | 'probabilities'>): Answer[] {
  return probabilities === null ? [] : [{ truth, probabilities }];
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}

function ratioOf(part: number, whole: number): number | null {
  return whole === 0 ? null : part / whole;
}
