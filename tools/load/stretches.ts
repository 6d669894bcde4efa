// What silence saves, side by side in one run: the listeners talk and listen in turns, a stretch each.
import { partNames, type CpuParts } from './meters.ts';
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

/**
 * Compares the stretches that were measured whole. Null where there is no pair of them, or the server does not tell CPU time.
 *
 * @param samples one after another, warm-up included
 * @param fromSeconds since when it was measured
 */
export function stretchesOf(samples: readonly Sample[], stretchSeconds: number, fromSeconds: number): StretchFigures | null {
  const stretches = new Map<number, { seconds: number; callerSeconds: number; readonly ms: Record<keyof CpuParts, number> }>();
  for (const [index, { atSeconds, callers, cpuMs }] of samples.entries()) {
    const sinceSeconds = samples[index - 1]?.atSeconds ?? 0;
    const number = Math.floor(sinceSeconds / stretchSeconds);
    const beganSeconds = number * stretchSeconds;
    if (cpuMs === null || beganSeconds < fromSeconds - settleSeconds || sinceSeconds < fromSeconds) continue;
    // A reading comes some milliseconds after it was due.
    if (sinceSeconds < beganSeconds + settleSeconds || atSeconds > beganSeconds + stretchSeconds + 0.5) continue;
    const stretch = stretches.get(number) ?? {
      seconds: 0,
      callerSeconds: 0,
      ms: { main: 0, pipeline: 0, inference: 0, mediasoup: 0, other: 0, total: 0 },
    };
    stretches.set(number, stretch);
    const seconds = atSeconds - sinceSeconds;
    stretch.seconds += seconds;
    stretch.callerSeconds += callers * seconds;
    for (const part of [...partNames, 'total'] as const) stretch.ms[part] += cpuMs[part] * seconds;
  }
  const whole = (number: number) => {
    const stretch = stretches.get(number);
    return stretch === undefined || stretch.seconds < stretchSeconds - settleSeconds - 1.5 ? null : stretch;
  };
  const pairs = [...stretches.keys()]
    .sort((a, b) => a - b)
    .flatMap((number) => {
      const [talking, listening] = [whole(number), whole(number + 1)];
      return listensAt(number * stretchSeconds, stretchSeconds) || talking === null || listening === null ? [] : [{ talking, listening }];
    });
  if (pairs.length === 0) return null;
  const sumOf = (kind: 'talking' | 'listening'): CpuParts => {
    const callerSeconds = pairs.reduce((sum, pair) => sum + pair[kind].callerSeconds, 0);
    const of = (part: keyof CpuParts): number => pairs.reduce((sum, pair) => sum + pair[kind].ms[part], 0) / callerSeconds;
    return {
      main: of('main'),
      pipeline: of('pipeline'),
      inference: of('inference'),
      mediasoup: of('mediasoup'),
      other: of('other'),
      total: of('total'),
    };
  };
  const [talking, listening] = [sumOf('talking'), sumOf('listening')];
  const rate = ({ ms, callerSeconds }: (typeof pairs)[number]['talking']): number => ms.total / callerSeconds;
  const pairRatios = pairs.map((pair) => rate(pair.listening) / rate(pair.talking));
  return { pairs: pairs.length, talking, listening, ratio: listening.total / talking.total, pairRatios };
}
