import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { spawnEngineThread, ThreadEngine, type ThreadEngineOptions } from '../../../src/models/engine-thread.ts';
import type { EngineRequest, EngineThreadData } from '../../../src/models/engine-worker.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import type { Engine, EngineWindow } from '../../../src/models/types.ts';
import { expectGolden, goldenCallers, goldenCount, goldenWindow } from './golden.ts';
import { silentLogger, threadOf, tinyModelDir } from './support.ts';

const model = await loadManifest(tinyModelDir);
const thread = threadOf(model);
/** A thread may take long to come up where the machine is busy. */
const patience = { timeout: 15_000, interval: 5 };

const opened: Engine[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

async function start(options: Partial<ThreadEngineOptions> = {}): Promise<ThreadEngine> {
  const engine = await ThreadEngine.start({ name: 'cpu', thread, logger: silentLogger, restartDelayMs: 1, ...options });
  opened.push(engine);
  return engine;
}

/** Runs windows of the fixture's callers and checks their scores. */
async function runGolden(engine: Engine, ...windows: [caller: number, index: number][]): Promise<void> {
  expectGolden(await engine.run(windows.map(([caller, index]) => goldenWindow(caller, index))), windows);
}

/** Work that keeps the thread busy for a while. */
function longBatch(): EngineWindow[] {
  return Array.from({ length: 400 }, (_, index) => goldenWindow(2, 19, `long-${String(index)}`));
}

/** A thread of the test's own that stands in for one that is broken; `answer` is what it does with a batch. */
function brokenThread(atStart: string, answer = ''): Worker {
  const listen = `parentPort.on('message', ({ kind, id }) => { if (kind === 'close') process.exit(0); ${answer} });`;
  return new Worker(`const { parentPort } = require('node:worker_threads'); ${atStart} ${listen}`, { eval: true });
}
const sayReady = "parentPort.postMessage({ kind: 'ready' });";

describe('the CPU engine', () => {
  it('agrees with NumPy to 1e-4 on every window of callers who speak and pause', async () => {
    const engine = await start();
    for (let index = 0; index < goldenCount; index += 1) await runGolden(engine, [0, index], [1, index], [2, index]);
    expect(engine.streamCount).toBe(goldenCallers);
  });

  it('gives a window the same logits in any batch, after any other window of its track', async () => {
    const engine = await start();
    await runGolden(engine, [0, 6]);
    await runGolden(engine, [2, 11], [0, 7]);
    await runGolden(engine, [1, 2], [0, 19], [2, 13]);
    await runGolden(engine, [0, 3], [1, 19]);
    await runGolden(engine, [0, 3]);
    await runGolden(engine, [2, 14], [0, 5], [1, 0]);
  });

  it('answers runs that overlap, each with its own', async () => {
    const engine = await start();
    await Promise.all(Array.from({ length: 60 }, (_, n) => runGolden(engine, [n % goldenCallers, Math.floor(n / goldenCallers)])));
  });

  it('rings the bell with each answer, be it an error', async () => {
    const memory = new SharedArrayBuffer(4);
    const bell = new Int32Array(memory);
    const engine = await start({ bell: memory });
    expect(bell[0]).toBe(0);
    await runGolden(engine, [0, 5]);
    await vi.waitFor(() => {
      expect(Atomics.exchange(bell, 0, 0)).toBe(1);
    });
    await expect(engine.run([goldenWindow(0, 6), goldenWindow(0, 7)])).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
    await vi.waitFor(() => {
      expect(bell[0]).toBe(1);
    });
  });

  it('sends its thread what is new, and leaves the blocks as they are', async () => {
    const requests: EngineRequest[] = [];
    const engine = await start({
      spawn: (data) => {
        const worker = spawnEngineThread(data);
        const post = worker.postMessage.bind(worker);
        worker.postMessage = (message: EngineRequest, transfer?: readonly ArrayBuffer[]) => {
          requests.push(structuredClone(message));
          post(message, transfer);
        };
        return worker;
      },
    });
    const window = goldenWindow(2, 3);
    const before = structuredClone(window);
    await engine.run([window]);
    await runGolden(engine, [2, 4], [0, 19]);
    engine.release('golden-2');
    await runGolden(engine, [2, 5]);
    const [items, ...others] = requests.flatMap((request) => (request.kind === 'run' ? [request.batch.items] : []));
    // Caller 2 pauses from frame 90 on: of the four hops so far, all hold speech.
    expect(items).toEqual([{ trackId: 'golden-2', endFrame: 100, frames: 100, fresh: true }]);
    expect(others).toEqual([
      [
        { trackId: 'golden-2', endFrame: 125, frames: 25, fresh: false },
        { trackId: 'golden-0', endFrame: 500, frames: 125, fresh: true },
      ],
      [{ trackId: 'golden-2', endFrame: 150, frames: 125, fresh: true }],
    ]);
    expect(window).toEqual(before);
  });

  it('gives no score of a window whose new block is overwritten by now, and the right ones of those beside it, also where an old block is', async () => {
    const engine = await start();
    await runGolden(engine, [0, 5], [1, 5]);
    const torn = (caller: number, index: number): EngineWindow => {
      const window = goldenWindow(caller, 6);
      const place = (index + window.blocks.length) % window.blocks.length;
      const blocks = window.blocks.map((block, at) => (at === place && block !== null ? { ...block, intact: false } : block));
      expect(blocks[place]).toHaveProperty('intact', false);
      return { ...window, blocks };
    };
    // Of the first caller one that the thread has had; of the second the new one.
    const logits = await engine.run([torn(0, 1), torn(1, -1), goldenWindow(2, 6)]);
    const labelCount = model.manifest.labels.length;
    expect([...logits.subarray(labelCount, 2 * labelCount)]).toEqual(Array<number>(labelCount).fill(NaN));
    expectGolden(logits.subarray(0, labelCount), [[0, 6]]);
    expectGolden(logits.subarray(2 * labelCount), [[2, 6]]);
    // Its stream is not built upon.
    expect(engine.streamCount).toBe(2);
    await runGolden(engine, [1, 7], [0, 7]);
  });

  it('rejects a batch that it cannot run, and runs the next in the same thread, anew', async () => {
    const spawn = vi.fn(spawnEngineThread);
    const engine = await start({ spawn });
    await runGolden(engine, [0, 5], [1, 5]);
    const twice = [goldenWindow(0, 6), goldenWindow(1, 6), goldenWindow(0, 7)];
    await expect(engine.run(twice)).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: true });
    const long = { features: new Int16Array(99_999), mask: new Float32Array(25) };
    await expect(engine.run([{ ...goldenWindow(2, 6), blocks: [long] }])).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
    expect(engine.streamCount).toBe(0);
    await runGolden(engine, [0, 8], [1, 7], [2, 7]);
    expect(spawn).toHaveBeenCalledTimes(1);
  });

  it('keeps nothing of tracks that were released, whether their windows were answered or not', async () => {
    const engine = await start();
    const pending: Promise<unknown>[] = [];
    for (let index = 0; index < 1000; index += 1) {
      const trackId = `t${String(index)}`;
      pending.push(engine.run([goldenWindow(index % goldenCallers, 9, trackId)]));
      if (index % 2 === 0) engine.release(trackId);
      if (pending.length === 50) await Promise.all(pending.splice(0));
      if (index % 2 === 1) engine.release(trackId);
    }
    expect(engine.streamCount).toBe(0);
    engine.release('t0');
    await runGolden(engine, [0, 4]);
  });

  it.each([
    ['ends', 'process.exit(3);', /exit of its thread with code 3/],
    ['throws', "throw new Error('broken');", /error in its thread: broken/],
  ])('rejects every pending run when its thread %s, and goes on in another', async (_name, death, reason) => {
    let spawned = 0;
    const spawn: typeof spawnEngineThread = (data) => (spawned++ === 0 ? brokenThread(sayReady, death) : spawnEngineThread(data));
    const engine = await start({ spawn });
    const outcomes = await Promise.allSettled([engine.run([goldenWindow(0, 7)]), engine.run([goldenWindow(0, 7)])]);
    const rejected = {
      status: 'rejected',
      reason: { code: 'UT_ENGINE_FAILED', retryable: true, message: expect.stringMatching(reason) },
    };
    expect(outcomes).toMatchObject([rejected, rejected]);
    expect(engine.ready).toBe(false);
    await expect(engine.run([goldenWindow(0, 7)])).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: true });
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    await runGolden(engine, [0, 8], [1, 8]);
    expect(spawned).toBe(2);
  });

  it('goes on in another thread when an idle one is gone', async () => {
    const workers: Worker[] = [];
    const engine = await start({ spawn: (data) => remember(workers, data) });
    await runGolden(engine, [0, 8], [1, 8]);
    await workers[0]?.terminate();
    expect(engine.ready).toBe(false);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    await runGolden(engine, [0, 8], [1, 8]);
    expect(workers).toHaveLength(2);
  });

  it('tries again, ever later, where the new thread does not come up either', async () => {
    const delays: unknown[] = [];
    const logger = pino({ level: 'warn' }, { write: (line) => delays.push((JSON.parse(line) as { delayMs?: number }).delayMs) });
    const workers: Worker[] = [];
    const broken = [() => brokenThread('process.exit(3)'), () => brokenThread("throw new Error('broken')"), throwAtOnce];
    const engine = await start({
      logger,
      restartDelayMs: 2,
      maxRestartDelayMs: 8,
      spawn: (data) => {
        const worker = workers.length === 0 ? spawnEngineThread(data) : (broken.shift()?.() ?? spawnEngineThread(data));
        workers.push(worker);
        return worker;
      },
    });
    await workers[0]?.terminate();
    await vi.waitFor(() => expect(broken).toHaveLength(0), patience);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    await runGolden(engine, [0, 8], [1, 8]);
    expect(delays).toEqual([2, 4, 8, 8]);
  });

  it('replaces a thread that does not answer', async () => {
    let spawned = 0;
    const spawn: typeof spawnEngineThread = (data) => (spawned++ === 0 ? brokenThread(sayReady) : spawnEngineThread(data));
    const engine = await start({ spawn, runTimeoutMs: 2000 });
    // The first thread is mute; only its time limit is short enough to be waited for.
    await expect(engine.run([goldenWindow(0, 7)])).rejects.toThrow(/no answer to a batch within 2000 ms/);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    await runGolden(engine, [0, 8], [1, 8]);
  });

  it('replaces a thread whose every batch fails, and not one that fails now and then', async () => {
    const workers: Worker[] = [];
    const engine = await start({ spawn: (data) => remember(workers, data), maxFailedBatches: 3 });
    const fails = () => expect(engine.run([goldenWindow(0, 6), goldenWindow(0, 7)])).rejects.toThrow(/each track once/);
    for (let round = 0; round < 3; round += 1) {
      await fails();
      await fails();
      await runGolden(engine, [0, 8]);
    }
    expect(workers).toHaveLength(1);
    for (let batch = 0; batch < 3; batch += 1) await fails();
    expect(engine.ready).toBe(false);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    await runGolden(engine, [0, 9], [1, 9]);
    expect(workers).toHaveLength(2);
  });

  it('rejects what is pending when it closes, and closes once', async () => {
    const engine = await start();
    const pending = engine.run(longBatch());
    const closed = engine.close();
    expect(engine.close()).toBe(closed);
    await expect(pending).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
    await closed;
    expect(engine.ready).toBe(false);
    await expect(engine.run([goldenWindow(0, 7)])).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: false });
  });

  it('does not come back when it is closed while its thread is being replaced', async () => {
    const workers: Worker[] = [];
    const engine = await start({ spawn: (data) => remember(workers, data) });
    await workers[0]?.terminate();
    await vi.waitFor(() => expect(workers).toHaveLength(2), patience);
    await engine.close();
    expect(engine.ready).toBe(false);
    await vi.waitFor(() => expect(workers[1]?.threadId).toBe(-1), patience);
    expect(workers).toHaveLength(2);
  });

  it('is unavailable where the network does not load, or nothing answers', async () => {
    const missing = { ...thread, headPath: join(tinyModelDir, 'make.py') };
    await expect(start({ thread: missing })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    const provider = { ...thread, executionProviders: ['no-such-provider'] };
    await expect(start({ thread: provider })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    const mute = () => brokenThread('');
    await expect(start({ spawn: mute, startTimeoutMs: 10 })).rejects.toThrow(/to load within 10 ms/);
  });

  it('refuses a network with other inputs', async () => {
    const renamed = { ...thread, trunkPath: join(tinyModelDir, 'renamed.onnx') };
    await expect(start({ thread: renamed })).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringContaining('got inputs input, mask, state and outputs next, steps'),
    });
  });

  it('refuses networks of other sizes than the manifest’s', async () => {
    const odd = { ...thread, shape: { ...thread.shape, stateSize: 500 } };
    await expect(start({ thread: odd })).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringMatching(/the trunk to take inputs of the manifest's sizes, got: .*state/),
    });
  });

  it('keeps its memory level over thousands of windows and hundreds of tracks', async () => {
    const engine = await start();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const runTracks = async (from: number, tracks: number) => {
      for (let at = from; at < from + tracks; at += 8) {
        const trackIds = Array.from({ length: 8 }, (_, i) => `t${String(at + i)}`);
        for (let index = 0; index < goldenCount; index += 1) await engine.run(trackIds.map((trackId) => goldenWindow(1, index, trackId)));
        for (const trackId of trackIds) engine.release(trackId);
      }
      collect();
      const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
      return { heldMb: (heapUsed + external + arrayBuffers) / 2 ** 20, rssMb: rss / 2 ** 20 };
    };
    const before = await runTracks(0, 160);
    const after = await runTracks(160, 160);
    // Their 3,200 windows brought 33 MB of features: what keeps them shows.
    expect(after.heldMb - before.heldMb).toBeLessThan(10);
    expect(after.rssMb - before.rssMb).toBeLessThan(30);
  }, 60_000);
});

function remember(workers: Worker[], data: EngineThreadData): Worker {
  const worker = spawnEngineThread(data);
  workers.push(worker);
  return worker;
}

function throwAtOnce(): Worker {
  throw new Error('no thread to be had');
}
