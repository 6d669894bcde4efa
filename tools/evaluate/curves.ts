// How the figures depend on how much was heard of a clip, on how long a caller has spoken, and on confidence.
import { createRandom } from '../callers/random.ts';
import { bootstrap, type Interval } from './bootstrap.ts';
import { figuresOf, figuresOfTally, leaderOf, sumOf, tallyOf, type Verdict } from './figures.ts';
import { verdictOf, type Heard, type Runs } from './runs.ts';

/** The curves of an evaluation; ratios are 0 to 1, null where there is nothing to take them of. */
export interface Curves {
  readonly speechHeard: {
    /** In the calls that the figures are of. */
    readonly inCalls: readonly SpeechHeardRow[];
    /** The same clips in calls with pauses longer than the model's window: no window holds speech of the clip before. */
    readonly apart: readonly SpeechHeardRow[];
  };
  readonly coldStart: {
    readonly rows: readonly ColdStartRow[];
    /** All clips before which at least 10 s were heard. */
    readonly after10s: ColdStartRow;
    /** UAR with the statistics of all of a caller's clips, by seed. */
    readonly fullStatisticsUars: readonly (number | null)[];
    /** Of the clips' order, in short calls. */
    readonly seeds: readonly number[];
  };
  readonly riskCoverage: {
    readonly rows: readonly RiskCoverageRow[];
    /** Mean share of errors over all coverages, the surest clips first: 0 is best, and 1 - accuracy what chance would order. */
    readonly area: number | null;
    /** At the confidence below which the product says "uncertain", by the manifest. */
    readonly atUncertainBelow: RiskCoverageRow & {
      /** Of the clips below. */
      readonly accuracyBelow: number | null;
    };
  };
}

/** Verdicts of the windows that hold no more than some seconds of a clip's speech. */
export interface SpeechHeardRow {
  /** Null for all. */
  readonly seconds: number | null;
  /** A clip of which no window was scored by then counts as an error. */
  readonly uar: number | null;
  /** By how much this is less than with all that was said. */
  readonly below: number | null;
  /** 95 % of `below`, by bootstrap over speakers. */
  readonly interval: Interval | null;
  /** Share of the clips of which a window was scored by then. */
  readonly coverage: number;
  /** Of those clips alone. */
  readonly uarOfHeard: number | null;
  /** Of those clips alone, with all that was said. */
  readonly finalUarOfHeard: number | null;
}

/** Clips before which some seconds of their caller's speech were heard in the call. */
export interface ColdStartRow {
  readonly fromSeconds: number;
  /** Null where there is no bound. */
  readonly toSeconds: number | null;
  readonly clips: number;
  readonly uar: number | null;
  /** Of the same clips where each caller's clips were all heard before. */
  readonly fullStatisticsUar: number | null;
  /** By how much `uar` is less than that. */
  readonly below: number | null;
  /** 95 % of `below`, by bootstrap over speakers. */
  readonly interval: Interval | null;
}

/** The clips of which the model was at least so sure. */
export interface RiskCoverageRow {
  /** Where models have thresholds of their own, the highest. */
  readonly confidence: number;
  /** Their share of all clips. */
  readonly coverage: number;
  readonly accuracy: number | null;
  readonly uar: number | null;
}

/** A clip twice: as it was answered, and as it would have been with more heard. */
interface Pair {
  readonly now: Verdict;
  readonly then: Verdict;
}

const secondsHeard = [0.5, 1, 1.5, 2, 3];
/** Bounds of the time in the call, s; the first clips, before which nothing was heard, are by themselves. */
const secondsBefore = [0, 2, 5, 10, 20, 60];
const shortRuns = 5;
const fullRuns = 2;
const framesPerSecond = 100;
const confidenceSteps = 20;

/** Takes the curves, with the runs that they need. `heard` is what the main run gave. */
export async function takeCurves(runs: Runs, heard: readonly Heard[], labelCount: number, seed: number): Promise<Curves> {
  return {
    speechHeard: { inCalls: bySpeechHeard(heard, labelCount, seed), apart: bySpeechHeard(await runs.apart(), labelCount, seed) },
    coldStart: await coldStart(runs, heard, labelCount, seed),
    riskCoverage: riskCoverage(heard, labelCount),
  };
}

/** Verdicts after some seconds of each clip's speech. */
export function bySpeechHeard(heard: readonly Heard[], labelCount: number, seed: number): SpeechHeardRow[] {
  return [...secondsHeard, null].map((seconds) => {
    const most = seconds === null ? Infinity : seconds * framesPerSecond;
    const pairs = heard.map((clip): Pair => ({ now: verdictOf(clip, ({ heardFrames }) => heardFrames <= most), then: verdictOf(clip) }));
    const { uar, below, interval } = compared(pairs, labelCount, seed);
    const answered = pairs.filter(({ now }) => now.probabilities !== null);
    const { uar: uarOfHeard, thenUar: finalUarOfHeard } = uarsOf(answered, labelCount);
    return { seconds, uar, below, interval, coverage: answered.length / pairs.length, uarOfHeard, finalUarOfHeard };
  });
}

/** Clips by how much of their caller was heard before, beside the same clips with full statistics. */
async function coldStart(runs: Runs, heard: readonly Heard[], labelCount: number, seed: number): Promise<Curves['coldStart']> {
  const full: ReadonlyMap<string, Verdict>[] = [];
  for (let i = 0; i < fullRuns; i++) full.push(new Map((await runs.warm(seed + i)).map((clip) => [clip.path, verdictOf(clip)])));
  const clips: (Pair & { readonly framesBefore: number })[] = [];
  const add = (run: readonly Heard[]): void => {
    for (const clip of run) {
      for (const reference of full) {
        const then = reference.get(clip.path);
        if (then !== undefined) clips.push({ now: verdictOf(clip), then, framesBefore: clip.framesBefore });
      }
    }
  };
  add(heard);
  const seeds = Array.from({ length: shortRuns }, (_, i) => seed + 1 + i);
  for (const own of seeds) add(await runs.short(own));
  const row = (fromSeconds: number, toSeconds: number | null): ColdStartRow => {
    // From the first bound on, except of the clips before which nothing at all was heard.
    const isIn = (frames: number): boolean =>
      toSeconds === 0
        ? frames === 0
        : frames > 0 && frames >= fromSeconds * framesPerSecond && frames < (toSeconds ?? Infinity) * framesPerSecond;
    const pairs = clips.filter(({ framesBefore }) => isIn(framesBefore));
    const { thenUar: fullStatisticsUar, ...rest } = compared(pairs, labelCount, seed);
    return { fromSeconds, toSeconds, clips: pairs.length / fullRuns, fullStatisticsUar, ...rest };
  };
  return {
    rows: [row(0, 0), ...secondsBefore.map((from, i) => row(from, secondsBefore[i + 1] ?? null))],
    after10s: row(10, null),
    fullStatisticsUars: full.map((verdicts) => figuresOf([...verdicts.values()], labelCount).uar),
    seeds,
  };
}

/** The clips of which the model was sure, by how sure. Clips that were not heard are the least sure, and errors. */
export function riskCoverage(heard: readonly Heard[], labelCount: number): Curves['riskCoverage'] {
  const clips = heard.map((clip) => {
    const verdict = verdictOf(clip);
    const { probabilities, truth } = verdict;
    const leader = probabilities === null ? -1 : leaderOf(probabilities);
    return { verdict, confidence: probabilities?.[leader] ?? -1, right: leader === truth, uncertainBelow: clip.uncertainBelow };
  });
  const row = (confidence: number, isSure: (clip: (typeof clips)[number]) => boolean): RiskCoverageRow => {
    const sure = clips.filter(isSure);
    const { accuracy, uar } = figuresOf(
      sure.map(({ verdict }) => verdict),
      labelCount,
    );
    return { confidence, coverage: sure.length / clips.length, accuracy, uar };
  };
  let errors = 0;
  const risks = clips
    .toSorted((a, b) => b.confidence - a.confidence)
    .map(({ right }, i) => {
      errors += Number(!right);
      return errors / (i + 1);
    });
  const below = clips.filter(({ confidence, uncertainBelow }) => confidence < uncertainBelow);
  return {
    rows: Array.from({ length: confidenceSteps + 1 }, (_, i) =>
      row(i / confidenceSteps, ({ confidence }) => confidence >= i / confidenceSteps),
    ),
    area: risks.length === 0 ? null : risks.reduce((sum, risk) => sum + risk, 0) / risks.length,
    atUncertainBelow: {
      ...row(
        Math.max(...clips.map(({ uncertainBelow }) => uncertainBelow)),
        ({ confidence, uncertainBelow }) => confidence >= uncertainBelow,
      ),
      accuracyBelow: below.length === 0 ? null : below.filter(({ right }) => right).length / below.length,
    },
  };
}

function uarsOf(pairs: readonly Pair[], labelCount: number) {
  const now = figuresOf(
    pairs.map((pair) => pair.now),
    labelCount,
  );
  const then = figuresOf(
    pairs.map((pair) => pair.then),
    labelCount,
  );
  return { uar: now.uar, thenUar: then.uar };
}

/** The UAR of both answers, and the difference with its interval. */
function compared(pairs: readonly Pair[], labelCount: number, seed: number) {
  const speakers = [...Map.groupBy(pairs, ({ now }) => now.speaker).values()].map((own) => ({
    now: tallyOf(
      own.map((pair) => pair.now),
      labelCount,
    ),
    then: tallyOf(
      own.map((pair) => pair.then),
      labelCount,
    ),
  }));
  const below = (drawn: readonly (typeof speakers)[number][]): { below: number | null } => {
    const { uar } = figuresOfTally(sumOf(drawn.map(({ now }) => now)));
    const { uar: thenUar } = figuresOfTally(sumOf(drawn.map(({ then }) => then)));
    return { below: uar === null || thenUar === null ? null : thenUar - uar };
  };
  const interval = bootstrap(speakers, below, createRandom(seed))?.below ?? null;
  return { ...uarsOf(pairs, labelCount), ...below(speakers), interval };
}
