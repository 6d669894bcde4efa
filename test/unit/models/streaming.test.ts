// The shipped model on real speech: whatever becomes of a caller's windows, each scores as if it were the only one.
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { spawnEngineThread, ThreadEngine } from '../../../src/models/engine-thread.ts';
import { frontEndSpec, loadManifest, type LoadedModel } from '../../../src/models/manifest.ts';
import { EmotionService } from '../../../src/models/service.ts';
import type { Engine } from '../../../src/models/types.ts';
import type { FeatureWindow } from '../../../src/pipeline/types.ts';
import { WholeNetwork } from '../../../tools/models/whole-network.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { shippedModelDir, windowsOf } from './speech.ts';
import { silentLogger, threadOf } from './support.ts';

/** Greatest difference of a logit. */
const tolerance = 1e-4;
const patience = { timeout: 15_000, interval: 5 };

let model: LoadedModel;
/** Windows of a caller who pauses for less than a window, for longer than the context, and for longer than both. */
let windows: FeatureWindow[];
/** What the whole network makes of each. */
let expected: Float32Array[];
/** The engine of all tests that leave it as it is. */
let engine: ThreadEngine;
const opened: Engine[] = [];
let workers: Worker[] = [];

beforeAll(async () => {
  model = await loadManifest(shippedModelDir);
  const parts = [
    ...['1015_DFA_DIS_XX.opus', 0.5, '1020_ITS_HAP_XX.opus', 2, '1021_WSI_ANG_XX.opus', 0.1, '1030_IOM_DIS_XX.opus'],
    ...[5, '1050_IWL_SAD_XX.opus', 1.3, '1070_TIE_ANG_XX.opus', 0.7],
  ];
  windows = await windowsOf(parts, frontEndSpec(model.manifest));
  const whole = await WholeNetwork.open(model);
  expected = [];
  for (const window of windows) expected.push((await whole.run(whole.gather([window]))).slice());
  await whole.close();
  engine = await ThreadEngine.start({ name: 'cpu', thread: threadOf(model), logger: silentLogger });
});

afterAll(() => engine.close());

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
  workers = [];
});

async function start(): Promise<ThreadEngine> {
  const spawn: typeof spawnEngineThread = (data) => {
    const worker = spawnEngineThread(data);
    workers.push(worker);
    return worker;
  };
  const engine = await ThreadEngine.start({ name: 'cpu', thread: threadOf(model), logger: silentLogger, restartDelayMs: 1, spawn });
  opened.push(engine);
  return engine;
}

/** A window of the fixture, as of a caller of that id. */
const of = (trackId: string, index: number) => ({ trackId, endFrame: windows[index]!.endFrame, blocks: windows[index]!.blocks });

/** Scores windows together; the greatest difference of their logits to the whole network's. */
async function score(batch: readonly (readonly [trackId: string, index: number])[], on: Engine = engine): Promise<number> {
  const logits = await on.run(batch.map(([trackId, index]) => of(trackId, index)));
  return Math.max(...batch.flatMap(([, index], row) => differences(expected[index]!, logits.subarray(row * 6, (row + 1) * 6))));
}

function differences(a: Float32Array, b: Float32Array): number[] {
  expect(b).toHaveLength(a.length);
  return Array.from(a, (value, i) => Math.abs(value - (b[i] ?? NaN)));
}

describe('a streamed score', () => {
  it('is of windows that differ: the fixture tells scores apart, and has pauses of every kind', () => {
    const gaps = new Set(windows.slice(1).map(({ endFrame }, i) => (endFrame - windows[i]!.endFrame) / model.manifest.hopFrames));
    expect(windows.length).toBeGreaterThan(30);
    expect(gaps.has(1)).toBe(true);
    expect(Math.max(...gaps)).toBeGreaterThan(windows[0]!.blocks.length);
    expect([...gaps].some((gap) => gap > 1 && gap < windows[0]!.blocks.length)).toBe(true);
    for (const [i, logits] of expected.entries()) {
      const others = expected.filter((_, j) => j !== i);
      expect(Math.min(...others.map((other) => Math.max(...differences(other, logits))))).toBeGreaterThan(3 * tolerance);
    }
  });

  it("is the whole window's, window after window", async () => {
    for (const index of windows.keys()) expect(await score([['alone', index]])).toBeLessThan(tolerance);
  });

  it.each([2, 3, 4, 5, 6, 7, 8])("is the whole window's in batches of %i callers who are not in step", async (size) => {
    const random = createRandom(size);
    const next = Array.from({ length: size }, (_, caller) => 3 * caller);
    for (let round = 0; round < 20; round += 1) {
      const batch = next.map((index, caller) => [`${String(size)}-${String(caller)}`, index % windows.length] as const);
      expect(await score(batch)).toBeLessThan(tolerance);
      for (const caller of next.keys()) next[caller]! += 1 + Math.floor(3 * random() ** 4);
    }
  });

  it('is the same where windows were dropped before it, few or many', async () => {
    for (const seed of [1, 2, 3]) {
      const random = createRandom(seed);
      for (let index = 0; index < windows.length; index += 1 + Math.floor(20 * random() ** 3)) {
        expect(await score([['dropping', index]])).toBeLessThan(tolerance);
      }
    }
  });

  it('is that of a caller whose hop never widened, once it has widened and narrowed again, and while it does', async () => {
    const softmax = (logits: Float32Array): number[] => {
      const powers = Array.from(logits, (logit) => Math.exp(logit));
      return powers.map((power) => power / powers.reduce((sum, one) => sum + one, 0));
    };
    const factorAt = (index: number): number => [1, 2, 4, 2, 1][Math.floor((5 * index) / windows.length)]!;
    let [lastEndFrame, compared, narrowed] = [-Infinity, 0, 0];
    for (const [index, { endFrame }] of windows.entries()) {
      const steady = await engine.run([of('steady', index)]);
      const factor = factorAt(index);
      if (endFrame - lastEndFrame < factor * model.manifest.hopFrames) continue;
      lastEndFrame = endFrame;
      const widened = await engine.run([of('widened', index)]);
      const [expectedHere, got] = [softmax(steady), softmax(widened)];
      for (const [label, probability] of got.entries()) expect(Math.abs(probability - expectedHere[label]!)).toBeLessThan(1e-5);
      compared += 1;
      narrowed += Number(index > windows.length / 2 && factor === 1);
    }
    expect(compared).toBeLessThan(0.75 * windows.length);
    expect(narrowed).toBeGreaterThan(5);
  });

  it('is the same whether its track was released meanwhile or not', async () => {
    for (const index of windows.keys()) {
      const batch = [['released', index] as const, ['backwards', windows.length - 1 - index] as const];
      expect(await score(batch)).toBeLessThan(tolerance);
      if (index % 3 === 0) engine.release('released');
    }
  });

  it('is the same after the thread was replaced', async () => {
    const fragile = await start();
    for (const index of windows.keys()) {
      if (index % 20 === 6) {
        // Idle: terminated within a run, the runtime would take the process with it.
        await workers.at(-1)?.terminate();
        await expect(score([['a', index]], fragile)).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
        await vi.waitFor(() => expect(fragile.ready).toBe(true), patience);
        if (index % 40 === 6) continue;
      }
      const batch = [['a', index] as const, ...(index % 2 === 0 ? [['b', index] as const] : [])];
      expect(await score(batch, fragile)).toBeLessThan(tolerance);
    }
    expect(workers.length).toBeGreaterThan(2);
  });

  it('takes a new hop of frames to the thread, and no more, where a caller speaks on', async () => {
    const watched = await start();
    const { hopFrames } = model.manifest;
    const posted: number[] = [];
    const worker = workers[0]!;
    const post = worker.postMessage.bind(worker);
    worker.postMessage = (message: { kind: string; batch?: { mask: Float32Array } }, transfer?: readonly ArrayBuffer[]) => {
      if (message.batch !== undefined) posted.push(message.batch.mask.length / hopFrames);
      post(message, transfer);
    };
    for (const index of windows.keys()) await watched.run([of('a', index)]);
    const gaps = windows.slice(1).map(({ endFrame }, i) => (endFrame - windows[i]!.endFrame) / hopFrames);
    // After a longer gap a new utterance may have begun, whose window needs less of what was before.
    for (const [i, gap] of gaps.entries()) if (gap < 3) expect(posted[i + 1]).toBe(gap);
    expect(gaps.filter((gap) => gap < 3).length).toBeGreaterThan(5);
    expect(Math.max(...posted)).toBeLessThanOrEqual(windows[0]!.blocks.length);
  });
});

describe('EmotionService', () => {
  it.each([1, 2])('gives every caller the scores of whole windows on %i threads, when one of them dies as well', async (threads) => {
    const engines: Engine[] = [];
    for (let started = 0; started < threads; started += 1) engines.push(await start());
    const scores = new Map<string, Float32Array>();
    const service = new EmotionService({
      model,
      engines,
      logger: silentLogger,
      clock: { nowMs: () => 0 },
      batching: { maxBatch: 4, maxQueueMs: 0 },
      // So that a point is the posterior itself.
      smoothing: { alpha: 1 },
    });
    service.outputs$.subscribe((output) => {
      if (output.kind !== 'point') return;
      const { track, endSample, probabilities } = output.point;
      scores.set(`${track.trackId}/${String(endSample)}`, probabilities);
    });
    const trackIds = ['a', 'b', 'c', 'd', 'e'];
    for (const trackId of trackIds) {
      const track = { ...windows[0]!.track, trackId };
      service.openTrack(track);
      service.speech({ track, state: 'start', atSample: 0, arrivalMs: 0 });
    }
    for (const [index, window] of windows.entries()) {
      if (index === 20) {
        // It ends with windows still to be answered; terminated, it would take the process with it.
        workers[0]?.postMessage({ kind: 'close' });
        for (const trackId of trackIds) service.submit({ ...window, track: { ...window.track, trackId } });
        await vi.waitFor(() => expect(workers).toHaveLength(threads + 1), patience);
        await vi.waitFor(() => expect(engines[0]?.ready).toBe(true), patience);
        continue;
      }
      // Not awaited each time: windows supersede each other as they like.
      for (const trackId of trackIds) service.submit({ ...window, track: { ...window.track, trackId } });
      if (index % 2 === 0) await vi.waitFor(() => expect(scores.has(`a/${String(window.endSample)}`)).toBe(true), patience);
    }
    await Promise.all(trackIds.map((trackId) => service.closeTrack(trackId, { discard: false })));
    await service.close();
    expect(scores.size).toBeGreaterThan((trackIds.length * windows.length) / 3);
    for (const [index, { endSample }] of windows.entries()) {
      const posterior = softmax(expected[index]!, model.manifest.temperature);
      for (const trackId of trackIds) {
        const got = scores.get(`${trackId}/${String(endSample)}`);
        if (got !== undefined) expect(Math.max(...differences(posterior, got))).toBeLessThan(tolerance);
      }
    }
  });
});

function softmax(logits: Float32Array, temperature: number): Float32Array {
  const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return Float32Array.from(weights, (weight) => weight / sum);
}
