// The pitch bands of a frame by their formula, in double precision.
import {
  correlatedSamples,
  energyProductFloor,
  lagBands,
  longestLag,
  lowPassTaps,
  pitchRateHz,
  shortestLag,
} from '../../src/pipeline/pitch.ts';
import { sampleRateHz } from '../../src/pipeline/types.ts';

const taps = lowPassTaps(sampleRateHz);
const every = sampleRateHz / pitchRateHz;

/** Of the frame that begins at sample `at`; before sample 240, where the first frame's last hop begins, the low rate is silent. */
export function plainPitch(samples: Float32Array, at: number): number[] {
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
  const halves = whole.slice(1, -2).flatMap((value, i) => {
    const [before, next, after] = [whole[i]!, whole[i + 2]!, whole[i + 3]!];
    return [value, (9 * (value + next) - before - after) / 16];
  });
  return lagBands().map(({ first, end: last }) => Math.max(...halves.slice(first, last)));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}
