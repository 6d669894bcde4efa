// Proves, before anyone is scored, that a session's networks keep what streaming rests on.
import { messageOf, UndertoneError } from '../errors.ts';
import type { Session, StreamShape, TrunkOutput } from './session.ts';

/** Frames of noise or silence, `[frame][feature]` and `[frame]`. */
interface Frames {
  readonly features: Float32Array;
  readonly mask: Float32Array;
}

/**
 * Runs both networks a few times. Rejects with UT_MODEL_INVALID where one does not take or give the sizes of the manifest,
 * gives numbers that are not finite, or where the trunk
 * - makes more of silence than zeros: then silence before a window would differ from nothing before it,
 * - sees more than `contextFrames` back: then scores would depend on when a stream began,
 * - makes other steps of the same frames where they lie otherwise in the hops: then what it remembers is not what it saw.
 */
export async function checkSession(session: Session, shape: StreamShape): Promise<void> {
  const { contextFrames, hopFrames, strideFrames, stateSize, windowFrames } = shape;
  const { stepSize } = session;
  const silence = await runTrunk(session, shape, [silent(shape, hopFrames)], new Float32Array(stateSize));
  expectThat(silence.steps.every(isZero) && silence.next.every(isZero), 'the trunk to make zeros of silence', 'others');

  const hops = Math.ceil((contextFrames + strideFrames) / hopFrames);
  const common = noise(shape, hops * hopFrames);
  const spoken = join(noise(shape, hopFrames), common);
  const [all = [], after = [], shifted = []] = await stream(session, shape, [
    spoken,
    join(silent(shape, hopFrames), common),
    join(silent(shape, strideFrames), spoken),
  ]);
  const context = String(contextFrames);
  const clear = Math.ceil((hopFrames + contextFrames) / strideFrames);
  const agree = (a: readonly Float32Array[], b: readonly Float32Array[]): boolean => allNear(a, b, shape.stepSize, session.tolerance);
  expectThat(agree(all.slice(clear), after.slice(clear)), `the trunk to look back on at most contextFrames = ${context} frames`, 'more');
  expectThat(agree(all.slice(0, -1), shifted.slice(1)), 'the trunk to make the same steps wherever the hops begin', 'others');

  const window = new Float32Array((windowFrames / strideFrames) * stepSize);
  const newest = all.slice(-windowFrames / strideFrames);
  for (const [i, step] of newest.entries()) window.set(step, window.length - (newest.length - i) * stepSize);
  const logits = await attempt('head', () => session.head(Float32Array.from([...window, ...window.fill(0)]), 2));
  expectSize('head', 'logits', logits, 2, shape.labelCount);
  expectThat(logits.every(Number.isFinite), 'finite logits', 'others');
}

/** The steps of each row, whose frames go through the trunk hop by hop; what is less than a hop at the end is left out. */
async function stream(session: Session, shape: StreamShape, rows: readonly Frames[]): Promise<Float32Array[][]> {
  const { hopFrames, stateSize } = shape;
  const { stepSize } = session;
  const hops = Math.floor(Math.min(...rows.map(({ mask }) => mask.length)) / hopFrames);
  const made = rows.map((): Float32Array[] => []);
  let state: Float32Array = new Float32Array(rows.length * stateSize);
  for (let hop = 0; hop < hops; hop += 1) {
    const parts = rows.map((row) => cut(row, hop * hopFrames, hopFrames));
    const { steps, next } = await runTrunk(session, shape, parts, state);
    const each = steps.length / stepSize / rows.length;
    for (const [i, row] of made.entries()) {
      for (let step = i * each; step < (i + 1) * each; step += 1) row.push(steps.subarray(step * stepSize, (step + 1) * stepSize));
    }
    state = next;
  }
  return made;
}

/** Runs one hop of each row. */
async function runTrunk(session: Session, shape: StreamShape, rows: readonly Frames[], state: Float32Array): Promise<TrunkOutput> {
  const batch = rows.length;
  const { features, mask } = rows.reduce(join);
  const { steps, next } = await attempt('trunk', () => session.trunk({ batch, features, mask, state }));
  expectSize('trunk', 'steps', steps, batch, (shape.hopFrames / shape.strideFrames) * session.stepSize);
  expectSize('trunk', 'next', next, batch, shape.stateSize);
  const own = steps.every((value, i) => i % session.stepSize >= shape.stepSize || Number.isFinite(value));
  expectThat(own && next.every(Number.isFinite), 'finite steps and states of the trunk', 'others');
  // Copied: a session's outputs may be valid only until its next call.
  return { steps: steps.slice(), next: next.slice() };
}

/** A runtime that refuses an input says so by an error: the network is not what the manifest says. */
async function attempt<T>(network: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw fault(`the ${network} to take inputs of the manifest's sizes`, messageOf(error), error);
  }
}

function silent({ featureCount }: StreamShape, frames: number): Frames {
  return { features: new Float32Array(frames * featureCount), mask: new Float32Array(frames) };
}

/** The same each time; of the size of normalised features. */
function noise({ featureCount }: StreamShape, frames: number): Frames {
  const features = Float32Array.from({ length: frames * featureCount }, (_, i) => 1.5 * Math.sin(i * i + 3 * i));
  return { features, mask: new Float32Array(frames).fill(1) };
}

function cut({ features, mask }: Frames, from: number, frames: number): Frames {
  const width = features.length / mask.length;
  return { features: features.subarray(from * width, (from + frames) * width), mask: mask.subarray(from, from + frames) };
}

function join(a: Frames, b: Frames): Frames {
  return { features: Float32Array.from([...a.features, ...b.features]), mask: Float32Array.from([...a.mask, ...b.mask]) };
}

function isZero(value: number): boolean {
  return value === 0;
}

/** Whether the first `size` values of each step are the same: what a session keeps behind them is its own. */
function allNear(a: readonly Float32Array[], b: readonly Float32Array[], size: number, tolerance: number): boolean {
  const near = (x: number, y: number): boolean => Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(x));
  return a.length === b.length && a.every((step, i) => step.subarray(0, size).every((value, k) => near(value, b[i]?.[k] ?? NaN)));
}

function expectSize(network: string, name: string, values: Float32Array, batch: number, each: number): void {
  const got = `${String(values.length / batch)} values`;
  expectThat(values.length === batch * each, `the ${network}'s \`${name}\` to be of ${String(each)} values each`, got);
}

function expectThat(holds: boolean, expected: string, got: string): void {
  if (!holds) throw fault(expected, got);
}

function fault(expected: string, got: string, cause?: unknown): UndertoneError {
  return new UndertoneError('UT_MODEL_INVALID', `Expected ${expected}, got: ${got}`, { cause });
}
