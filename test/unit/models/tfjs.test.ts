// The networks on tfjs against the same on onnxruntime: streams with state, pauses, batches of several sizes.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkSession } from '../../../src/models/check-session.ts';
import { frontEndSpec, loadManifest, streamShape, type LoadedModel } from '../../../src/models/manifest.ts';
import { readOnnx } from '../../../src/models/onnx-file.ts';
import { OnnxSession } from '../../../src/models/onnx-session.ts';
import type { NetworkFiles, StreamShape } from '../../../src/models/session.ts';
import { StreamFeed } from '../../../src/models/stream-feed.ts';
import { Streams } from '../../../src/models/streams.ts';
import { TfjsNetwork } from '../../../src/models/tfjs/network.ts';
import { TfjsSession } from '../../../src/models/tfjs/session.ts';
import type { EngineWindow } from '../../../src/models/types.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { portableTfjs } from '../../../tools/models/portable-tfjs.ts';
import { expectGolden, goldenCallers, goldenCount, goldenWindow } from './golden.ts';
import { shippedModelDir, windowsOf } from './speech.ts';
import { threadOf, tinyModelDir } from './support.ts';

/** Greatest difference of a logit. */
const tolerance = 1e-4;

let tf: Awaited<ReturnType<typeof portableTfjs>>;

function filesOf({ manifest, paths }: LoadedModel): NetworkFiles {
  return { trunkPath: paths.trunk, headPath: paths.head, shape: streamShape(manifest) };
}

/** Scores windows as an inference thread does. */
function scorer(session: ConstructorParameters<typeof Streams>[0], shape: StreamShape) {
  const [streams, feed] = [new Streams(session, shape), new StreamFeed(shape)];
  return async (windows: readonly EngineWindow[]) => (await streams.run(feed.pack(windows))).slice();
}

describe.each(['cpu', 'wasm'] as const)('tfjs on its backend %s', (backend) => {
  let files: NetworkFiles;
  let session: TfjsSession;

  beforeAll(async () => {
    tf = await portableTfjs(backend);
    files = filesOf(await loadManifest(tinyModelDir));
    session = await TfjsSession.open(tf, files);
  });

  afterAll(() => session.close());

  it('agrees with NumPy to 1e-4 on every window of callers who speak and pause, alone and together', async () => {
    expect(tf.getBackend()).toBe(backend);
    const [alone, together] = [scorer(session, files.shape), scorer(session, files.shape)];
    for (let index = 0; index < goldenCount; index += 1) {
      const callers = Array.from({ length: goldenCallers }, (_, caller): [number, number] => [caller, index]);
      expectGolden(await together(callers.map(([caller]) => goldenWindow(caller, index))), callers);
      expectGolden(await alone([goldenWindow(index % goldenCallers, index)]), [[index % goldenCallers, index]]);
    }
  });

  it('keeps what streaming rests on', async () => {
    await expect(checkSession(session, files.shape)).resolves.toBeUndefined();
  });

  it('keeps its weights alone, run after run, and nothing once it is closed', async () => {
    const before = tf.memory().numTensors;
    const second = await TfjsSession.open(tf, files);
    const weights = tf.memory().numTensors - before;
    expect(weights).toBeGreaterThan(5);
    const score = scorer(second, files.shape);
    for (let index = 0; index < goldenCount; index += 1) await score([goldenWindow(0, index), goldenWindow(2, index)]);
    await expect(second.head(new Float32Array(3), 1)).rejects.toThrow(/shape/);
    expect(tf.memory().numTensors - before).toBe(weights);
    await second.close();
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the shipped model on tfjs', () => {
  let model: LoadedModel;
  let [ours, reference]: [TfjsSession | undefined, OnnxSession | undefined] = [undefined, undefined];
  let windows: readonly EngineWindow[];

  beforeAll(async () => {
    tf = await portableTfjs('wasm');
    model = await loadManifest(shippedModelDir);
    ours = await TfjsSession.open(tf, filesOf(model));
    reference = await OnnxSession.open(threadOf(model));
    const parts = ['1020_ITS_HAP_XX.opus', 1.5, '1021_WSI_ANG_XX.opus', 0.4, '1030_IOM_DIS_XX.opus'];
    windows = (await windowsOf(parts, frontEndSpec(model.manifest))).map(({ endFrame, blocks }) => ({ trackId: 'a', endFrame, blocks }));
  });

  afterAll(() => Promise.all([ours?.close(), reference?.close()]));

  it.each([1, 3, 8])('scores real speech as onnxruntime does, %i callers a batch who are not in step', async (size) => {
    const shape = streamShape(model.manifest);
    const [got, expected] = [scorer(ours!, shape), scorer(reference!, shape)];
    const random = createRandom(size);
    const next = Array.from({ length: size }, (_, caller) => 2 * caller);
    for (let round = 0; round < 4 + 12 / size; round += 1) {
      const batch = next.map((index, caller) => ({ ...windows[index % windows.length]!, trackId: String(caller) }));
      const [a, b] = [await got(batch), await expected(batch)];
      expect(a).toHaveLength(size * model.manifest.labels.length);
      expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))).toBeLessThan(tolerance);
      for (const caller of next.keys()) next[caller]! += 1 + Math.floor(3 * random() ** 4);
    }
  });

  it('keeps what streaming rests on', async () => {
    await expect(checkSession(ours!, streamShape(model.manifest))).resolves.toBeUndefined();
  });
});

describe('a network that tfjs cannot carry', () => {
  const files = async () => filesOf(await loadManifest(tinyModelDir));

  it('is refused where its inputs are others', async () => {
    const opened = TfjsSession.open(tf, { ...(await files()), trunkPath: join(tinyModelDir, 'renamed.onnx') });
    await expect(opened).rejects.toMatchObject({ code: 'UT_MODEL_INVALID', message: expect.stringContaining('got inputs input, mask') });
  });

  it('is refused where it is no ONNX file', async () => {
    const opened = TfjsSession.open(tf, { ...(await files()), headPath: join(tinyModelDir, 'make.py') });
    await expect(opened).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE', message: expect.stringContaining('make.py') });
  });

  it('is refused with the names of the operators that are not known, and leaves no tensor', async () => {
    const graph = readOnnx(await readFile(join(tinyModelDir, 'head.onnx')));
    const before = tf.memory().numTensors;
    const other = graph.nodes.map((node) => (node.op === 'Div' ? { ...node, op: 'Einsum' } : node));
    expect(() => new TfjsNetwork(tf, { ...graph, nodes: other })).toThrow('operators that are known on tfjs, got Einsum');
    const reverse = graph.nodes.map((node) => ({ ...node, attributes: new Map([...node.attributes, ['direction', 'reverse'] as const]) }));
    expect(() => new TfjsNetwork(tf, { ...graph, nodes: reverse })).toThrow(/an LSTM that runs forward or both ways/);
    expect(tf.memory().numTensors).toBe(before);
  });
});
