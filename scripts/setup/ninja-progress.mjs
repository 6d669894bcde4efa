// Reads ninja's `[12/300] Compiling …` and says how far the whole build is, also one that continues an earlier run.
import { durationText } from './report.mjs';

/** @typedef {{ done: number, total: number }} NinjaStep Steps done and to do in this run of ninja. */

/**
 * @param {string} line
 * @returns {NinjaStep | undefined}
 */
export function parseNinjaLine(line) {
  const match = /^\[(\d+)\/(\d+)\] /.exec(line);
  return match === null ? undefined : { done: Number(match[1]), total: Number(match[2]) };
}

/**
 * How far the whole build is. A build that continues counts only what is left, so the whole is remembered.
 *
 * @param {NinjaStep} step
 * @param {number} wholeSteps Steps of the whole build.
 * @param {number} elapsedMs Of this run.
 * @returns {{ ratio: number, text: string }} `ratio` from 0 to 1; `text` such as `120 of 300 files, about 3 min left`.
 */
export function buildProgress(step, wholeSteps, elapsedMs) {
  const whole = Math.max(wholeSteps, step.total);
  const done = whole - step.total + step.done;
  const leftMs = step.done === 0 ? undefined : (elapsedMs / step.done) * (step.total - step.done);
  const left = leftMs === undefined || leftMs === 0 ? '' : `, about ${durationText(leftMs)} left`;
  return { ratio: whole === 0 ? 1 : done / whole, text: `${done} of ${whole} steps${left}` };
}
