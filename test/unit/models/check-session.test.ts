// What a session must prove before it serves: each promise of the manifest, broken in turn.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSession } from '../../../src/models/check-session.ts';
import { loadManifest, streamShape } from '../../../src/models/manifest.ts';
import { OnnxSession } from '../../../src/models/onnx-session.ts';
import type { Session, StreamShape, TrunkInput, TrunkOutput } from '../../../src/models/session.ts';
import { shippedModelDir } from './speech.ts';
import { threadOf, tinyManifest, tinyModelDir } from './support.ts';

const shape = streamShape(tinyManifest);
let tiny: OnnxSession;

beforeAll(async () => {
  tiny = await OnnxSession.open(threadOf(await loadManifest(tinyModelDir)));
});

afterAll(() => tiny.close());

interface Change {
  readonly trunk?: (output: TrunkOutput, input: TrunkInput) => TrunkOutput;
  readonly head?: (logits: Float32Array) => Float32Array;
  readonly stepSize?: number;
}

/** The tiny model's session, with other outputs. */
function altered({ trunk, head, stepSize = tiny.stepSize }: Change): Session {
  return {
    stepSize,
    tolerance: tiny.tolerance,
    trunk: async (input) => {
      const output = await tiny.trunk(input);
      return trunk === undefined ? output : trunk(output, input);
    },
    head: async (steps, batch) => {
      const logits = await tiny.head(steps, batch);
      return head === undefined ? logits : head(logits);
    },
    close: () => Promise.resolve(),
  };
}

const faults: readonly (readonly [string, () => Session, Partial<StreamShape>, RegExp])[] = [
  ['a trunk that takes another state', () => tiny, { stateSize: 500 }, /the trunk to take inputs of the manifest's sizes/],
  ['a trunk that takes other features', () => tiny, { featureCount: 100 }, /the trunk to take inputs of the manifest's sizes/],
  ['steps of another size', () => altered({ stepSize: 10 }), {}, /the trunk's `steps` to be of 50 values each, got: 45 values/],
  ['steps of another rate', () => tiny, { strideFrames: 1 }, /the trunk's `steps`/],
  [
    'a state of another size',
    () => altered({ trunk: ({ steps }) => ({ steps, next: new Float32Array(3) }) }),
    {},
    /`next` to be of 536 values/,
  ],
  [
    'steps that mean nothing',
    () => altered({ trunk: ({ steps, next }) => ({ steps: steps.map((v) => (v === 0 ? v : NaN)), next }) }),
    {},
    /finite steps and states of the trunk/,
  ],
  [
    'a trunk that hears something in silence',
    () => altered({ trunk: ({ steps, next }) => ({ steps: steps.map((v) => v + 1e-3), next }) }),
    {},
    /the trunk to make zeros of silence/,
  ],
  ['a trunk that looks further back', () => tiny, { contextFrames: 10 }, /look back on at most contextFrames = 10 frames/],
  [
    'a trunk that ignores its state',
    () => ({ ...altered({}), trunk: (input) => tiny.trunk({ ...input, state: new Float32Array(input.state.length) }) }),
    {},
    /the trunk to make the same steps wherever the hops begin/,
  ],
  [
    'a trunk that keeps another state',
    () => altered({ trunk: ({ steps, next }) => ({ steps, next: next.map((v) => v * 1.01) }) }),
    {},
    /the trunk to make the same steps wherever the hops begin/,
  ],
  ['a window of another length', () => tiny, { windowFrames: 50 }, /the head to take inputs of the manifest's sizes/],
  ['another number of labels', () => tiny, { labelCount: 7 }, /the head's `logits` to be of 7 values each, got: 6 values/],
  ['logits that mean nothing', () => altered({ head: (logits) => logits.fill(Infinity) }), {}, /finite logits/],
];

describe('checkSession', () => {
  it('passes networks that keep the contract', async () => {
    await checkSession(tiny, shape);
    await checkSession(altered({}), shape);
  });

  it('passes a context that is longer than it need be', async () => {
    await checkSession(tiny, { ...shape, contextFrames: 40 });
  });

  it('passes the model that ships, and would not with half its context', async () => {
    const model = await loadManifest(shippedModelDir);
    const shipped = streamShape(model.manifest);
    const session = await OnnxSession.open(threadOf(model));
    await checkSession(session, shipped);
    const contextFrames = shipped.strideFrames * Math.floor(shipped.contextFrames / shipped.strideFrames / 2);
    await expect(checkSession(session, { ...shipped, contextFrames })).rejects.toThrow(/look back/);
    await session.close();
  });

  it.each(faults)('refuses %s', async (_name, session, change, message) => {
    await expect(checkSession(session(), { ...shape, ...change })).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringMatching(message),
    });
  });
});
