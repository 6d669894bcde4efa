// What silence saves, side by side in one run: the listeners talk and listen in turns, a stretch each.
import { mapParts, type CpuParts } from './meters.ts';
import type { Sample } from './run.ts';

/** Beginning of a stretch that is not counted, s: what was said last is still scored, and silence is not settled. */
export const settleSeconds = 4;

/** CPU time by kind of stretch, ms a caller-second. */
export interface StretchFigures {
  /** Stretches of each kind, in turns; one that lacks its neighbour is left out. */
  readonly pairs: number;
  readonly talking: CpuParts;
  readonly listening: CpuParts;
  /** `listening` to `talking`, by their totals: of the whole run, and of each pair. */
  readonly ratio: number;
  readonly pairRatios: readonly number[];
}

/** Whether the listeners listen at a time of the run: in its second stretch, its fourth, and so on. */
export function listensAt(seconds: number, stretchSeconds: number): boolean {
  return Math.floor(seconds / stretchSeconds) % 2 === 1;
}

/** What was measured of a stretch. */
interface Stretch {
  readonly seconds: number;
  readonly callerSeconds: number;
  readonly ms: CpuParts;
}

const nothing: Stretch = { seconds: 0, callerSeconds: 0, ms: { main: 0, pipeline: 0, inference: 0, mediasoup: 0, other: 0, total: 0 } };

/**
 * Compares the stretches that were measured whole. Null where there is no pair of them, or the server does not tell CPU time.
 *
 * @param samples one after another, warm-up included
 * @param fromSeconds since when it was measured
 */
export function stretchesOf(samples: readonly Sample[], stretchSeconds: number, fromSeconds: number): StretchFigures | null {
  const stretches = new Map<number, Stretch>();
  for (const [index, { atSeconds, callers, cpuMs }] of samples.entries()) {
    const sinceSeconds = samples[index - 1]?.atSeconds ?? 0;
    const number = Math.floor(sinceSeconds / stretchSeconds);
    const beganSeconds = number * stretchSeconds;
    if (cpuMs === null || sinceSeconds < Math.max(fromSeconds, beganSeconds + settleSeconds)) continue;
    // A reading comes some milliseconds after it was due.
    if (atSeconds > beganSeconds + stretchSeconds + 0.5) continue;
    const seconds = atSeconds - sinceSeconds;
    const one = { seconds, callerSeconds: callers * seconds, ms: mapParts(cpuMs, (rate) => rate * seconds) };
    stretches.set(number, sum(stretches.get(number) ?? nothing, one));
  }
  const pairs = [...stretches.keys()]
    .filter((number) => !listensAt(number * stretchSeconds, stretchSeconds))
    .flatMap((number) => {
      const [talking, listening] = [stretches.get(number), stretches.get(number + 1)];
      return isWhole(talking, stretchSeconds) && isWhole(listening, stretchSeconds) ? [{ talking, listening }] : [];
    });
  if (pairs.length === 0) return null;
  const talking = perCallerSecond(pairs.map((pair) => pair.talking).reduce(sum));
  const listening = perCallerSecond(pairs.map((pair) => pair.listening).reduce(sum));
  const pairRatios = pairs.map((pair) => perCallerSecond(pair.listening).total / perCallerSecond(pair.talking).total);
  return { pairs: pairs.length, talking, listening, ratio: listening.total / talking.total, pairRatios };
}

/** Whether nothing of a stretch is missing but its beginning, and perhaps a second at either end. */
function isWhole(stretch: Stretch | undefined, stretchSeconds: number): stretch is Stretch {
  return stretch !== undefined && stretch.seconds >= stretchSeconds - settleSeconds - 1.5;
}

function sum(one: Stretch, other: Stretch): Stretch {
  return {
    seconds: one.seconds + other.seconds,
    callerSeconds: one.callerSeconds + other.callerSeconds,
    ms: mapParts(one.ms, (ms, part) => ms + other.ms[part]),
  };
}

function perCallerSecond({ ms, callerSeconds }: Stretch): CpuParts {
  return mapParts(ms, (value) => value / callerSeconds);
}
