// The pitch of frames by its formulas, in double precision.
import {
  correlatedSamples,
  energyProductFloor,
  lagBands,
  lagCosts,
  longestLag,
  lowPassTaps,
  pitchRateHz,
  shortestLag,
} from '../../src/pipeline/pitch.ts';
import { sampleRateHz } from '../../src/pipeline/types.ts';

const taps = lowPassTaps(sampleRateHz);
const every = sampleRateHz / pitchRateHz;

/** The 27 numbers of each of so many frames from the first on. */
export function plainPitch(samples: Float32Array, frames: number): number[][] {
  const costs = lagCosts();
  const [held, raw]: [number[], (number | null)[]] = [[], []];
  return Array.from({ length: frames }, (_, frame) => {
    const r = correlations(samples, 160 * frame);
    const isPeak = (i: number): boolean => r[i]! >= r[i - 1]! && r[i]! >= r[i + 1]!;
    const peaks = Array.from({ length: 120 }, (__, i) => i + 1).filter(isPeak);
    const best = peaks.toSorted((a, b) => r[b]! - costs[b]! - (r[a]! - costs[a]!))[0];
    const voicing = best === undefined ? 0 : Math.max(0, r[best]!);
    raw.push(best !== undefined && voicing > 0.5 ? Math.log2(4000 / 150 / lagOf(r, best)) : null);
    held.push(steadied(raw) ?? held.at(-1) ?? 0);
    const glide = held[frame]! - (held[frame - 2] ?? 0);
    const bands = lagBands().map(({ first, end }) => Math.max(...r.slice(first, end)));
    return [held[frame]!, voicing, Math.abs(glide) > 0.4 ? 0 : 5 * glide, ...bands];
  });
}

function lagOf(r: readonly number[], at: number): number {
  const [low, own, high] = [r[at - 1]!, r[at]!, r[at + 1]!];
  const bend = low - 2 * own + high;
  return 8 + (at + (bend < 0 ? (low - high) / 2 / bend : 0)) / 2;
}

function steadied(raw: readonly (number | null)[]): number | null {
  const [own = null, last = null, secondLast = null] = raw.toReversed();
  if (own === null || last === null) return own;
  return secondLast === null ? (own + last) / 2 : [own, last, secondLast].toSorted((a, b) => a - b)[1]!;
}

/** At half lags from 8 on, of the frame that begins at sample `at`; before sample 240, where the first frame's last hop begins, the low rate is silent. */
function correlations(samples: Float32Array, at: number): number[] {
  const lowRate = (index: number): number =>
    index < 60 ? 0 : taps.reduce((sum, tap, i) => sum + tap * (samples[every * index - taps.length + 1 + i] ?? 0), 0);
  const end = (at + 400) / every;
  const span = Array.from({ length: correlatedSamples + longestLag }, (_, i) => lowRate(end - correlatedSamples - longestLag + i));
  const own = span.slice(longestLag);
  const correlation = (lag: number): number => {
    const other = span.slice(longestLag - lag, longestLag - lag + correlatedSamples);
    return dot(own, other) / Math.sqrt(dot(own, own) * dot(other, other) + energyProductFloor);
  };
  const whole = Array.from({ length: longestLag - shortestLag + 1 }, (_, i) => correlation(shortestLag + i));
  return whole.slice(1, -2).flatMap((value, i) => {
    const [before, next, after] = [whole[i]!, whole[i + 2]!, whole[i + 3]!];
    return [value, (9 * (value + next) - before - after) / 16];
  });
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
