// Proves, before anyone is scored, that a session's networks keep what streaming rests on.
import { messageOf, UndertoneError } from '../errors.ts';
import type { Session, StreamShape, TrunkOutput } from './session.ts';

/** Frames of noise or silence, `[frame][feature]` and `[frame]`. */
interface Frames {
  readonly features: Float32Array;
  readonly mask: Float32Array;
}

/** Greatest difference, relative where values exceed 1. */
const tolerance = 1e-4;

/**
 * Runs both networks a few times. Rejects with UT_MODEL_INVALID where one does not take or give the sizes of the manifest,
 * gives numbers that are not finite, or where the trunk
 * - makes more of silence than zeros: then silence before a window would differ from nothing before it,
 * - sees more than `contextFrames` back: then scores would depend on when a stream began,
 * - makes other steps of frames in two runs than in one: then they would depend on dropped windows.
 */
export async function checkSession(session: Session, shape: StreamShape): Promise<void> {
  const { contextFrames, hopFrames, strideFrames, stateSize, windowFrames, stepSize } = shape;
  const nothing = new Float32Array(stateSize);
  const silence = await runTrunk(session, shape, [silent(shape, hopFrames)], nothing);
  expectThat(silence.steps.every(isZero) && silence.next.every(isZero), 'the trunk to make zeros of silence', 'others');

  const common = noise(shape, contextFrames + strideFrames);
  const [spoken, unspoken] = [noise(shape, strideFrames), silent(shape, strideFrames)].map((before) => join(before, common));
  const once = await runTrunk(session, shape, [spoken ?? common, unspoken ?? common], new Float32Array(2 * stateSize));
  const all = once.steps.subarray(0, once.steps.length / 2);
  const last = (steps: Float32Array): Float32Array => steps.subarray(steps.length - stepSize);
  const context = String(contextFrames);
  expectThat(agree(last(all), last(once.steps)), `the trunk to look back on at most contextFrames = ${context} frames`, 'more');

  const first = await runTrunk(session, shape, [noise(shape, strideFrames)], nothing);
  const second = await runTrunk(session, shape, [common], first.next);
  const [after, next] = [all.subarray(stepSize), once.next.subarray(0, stateSize)];
  const goesOn = agree(all.subarray(0, stepSize), first.steps) && agree(after, second.steps) && agree(next, second.next);
  expectThat(goesOn, 'the trunk to go on from its state as if it had run once', 'other steps');

  const window = new Float32Array((windowFrames / strideFrames) * stepSize);
  window.set(all.subarray(Math.max(0, all.length - window.length)), Math.max(0, window.length - all.length));
  const logits = await attempt('head', () => session.head(Float32Array.from([...window, ...window.fill(0)]), 2));
  expectSize('head', 'logits', logits, 2, shape.labelCount);
  expectThat(logits.every(Number.isFinite), 'finite logits', 'others');
}

async function runTrunk(session: Session, shape: StreamShape, rows: readonly Frames[], state: Float32Array): Promise<TrunkOutput> {
  const batch = rows.length;
  const frames = rows[0]?.mask.length ?? 0;
  const { features, mask } = rows.reduce(join);
  const { steps, next } = await attempt('trunk', () => session.trunk({ batch, frames, features, mask, state }));
  expectSize('trunk', 'steps', steps, batch, (frames / shape.strideFrames) * shape.stepSize);
  expectSize('trunk', 'next', next, batch, shape.stateSize);
  expectThat(steps.every(Number.isFinite) && next.every(Number.isFinite), 'finite steps and states of the trunk', 'others');
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

function join(a: Frames, b: Frames): Frames {
  return { features: Float32Array.from([...a.features, ...b.features]), mask: Float32Array.from([...a.mask, ...b.mask]) };
}

function isZero(value: number): boolean {
  return value === 0;
}

function agree(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= tolerance * Math.max(1, Math.abs(value)));
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
