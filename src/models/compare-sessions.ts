// Holds one runtime against another: the same callers, hop by hop, through both.
import type { Session, StreamShape, TrunkOutput } from './session.ts';

/** How two sessions that run the same model differ. */
export interface Comparison {
  /** Greatest difference of a step, a state or a logit; relative where values exceed 1. */
  readonly difference: number;
  /** One hop of every caller and the scores of their windows, the quickest of a few, ms. */
  readonly candidateMs: number;
  readonly referenceMs: number;
}

/** A session and what it remembers of the callers. */
interface Lane {
  readonly session: Session;
  state: Float32Array;
  /** `[caller][step][stepSize]` of a window. */
  readonly window: Float32Array;
}

const timedRuns = 5;

/** Streams a window's worth of noise, with pauses, of `batch` callers through both; then times both in turn. */
export async function compareSessions(candidate: Session, reference: Session, shape: StreamShape, batch: number): Promise<Comparison> {
  const { windowFrames, hopFrames, strideFrames, stepSize, stateSize, featureCount } = shape;
  const lane = (session: Session): Lane => ({
    session,
    state: new Float32Array(batch * stateSize),
    window: new Float32Array((batch * windowFrames * stepSize) / strideFrames),
  });
  const [ours, theirs] = [lane(candidate), lane(reference)];
  const hops = Math.floor(windowFrames / hopFrames);
  const input = {
    batch,
    features: new Float32Array(batch * hopFrames * featureCount),
    mask: new Float32Array(batch * hopFrames),
  };
  let difference = 0;
  for (let hop = 0; hop < hops; hop += 1) {
    fillNoise(input.features, input.mask, hop);
    const [a, b] = [await append(ours, input, hop, shape), await append(theirs, input, hop, shape)];
    difference = Math.max(difference, differenceOf(a.steps, b.steps), differenceOf(a.next, b.next));
  }
  const score = ({ session, window }: Lane): Promise<Float32Array> => session.head(window, batch);
  difference = Math.max(difference, differenceOf((await score(ours)).slice(), (await score(theirs)).slice()));

  const timesMs: [number[], number[]] = [[], []];
  for (let run = 0; run < timedRuns; run += 1) {
    for (const [i, one] of [ours, theirs].entries()) {
      const startMs = performance.now();
      await one.session.trunk({ ...input, state: one.state });
      await score(one);
      timesMs[i]?.push(performance.now() - startMs);
    }
  }
  return { difference, candidateMs: Math.min(...timesMs[0]), referenceMs: Math.min(...timesMs[1]) };
}

/** Runs one hop, and puts its steps where they belong in the window. */
async function append(
  lane: Lane,
  input: { batch: number; features: Float32Array; mask: Float32Array },
  hop: number,
  shape: StreamShape,
): Promise<TrunkOutput> {
  const { steps, next } = await lane.session.trunk({ ...input, state: lane.state });
  const size = (shape.hopFrames / shape.strideFrames) * shape.stepSize;
  const rowSize = lane.window.length / input.batch;
  for (let row = 0; row < input.batch; row += 1) {
    lane.window.set(steps.subarray(row * size, (row + 1) * size), row * rowSize + hop * size);
  }
  // Copied: a session's outputs may be valid only until its next call.
  lane.state = next.slice();
  return { steps: steps.slice(), next: lane.state };
}

/** The same each time; of the size of normalised features, and zero in every fifth frame, as in a pause. */
function fillNoise(features: Float32Array, mask: Float32Array, seed: number): void {
  const featureCount = features.length / mask.length;
  for (const frame of mask.keys()) {
    const heard = (frame + seed) % 5 === 0 ? 0 : 1;
    mask[frame] = heard;
    for (let i = frame * featureCount; i < (frame + 1) * featureCount; i += 1) features[i] = heard * 1.5 * Math.sin(i * i + (seed + 3) * i);
  }
}

function differenceOf(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (const [i, value] of b.entries()) {
    const off = Math.abs((a[i] ?? NaN) - value) / Math.max(1, Math.abs(value));
    // What is no number differs, too.
    if (!(off <= worst)) worst = Number.isNaN(off) ? Infinity : off;
  }
  return worst;
}
