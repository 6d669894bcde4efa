import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { UndertoneError } from '../../../src/errors.ts';
import { spawnEngineThread, ThreadEngine, type ThreadEngineOptions } from '../../../src/models/engine-thread.ts';
import type { EngineThreadData } from '../../../src/models/engine-worker.ts';
import { loadEngine, type EngineEntry } from '../../../src/models/load-engine.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import type { Engine, EngineBatch } from '../../../src/models/types.ts';
import { FakeEngine, silentLogger, tinyModelDir } from './support.ts';

interface Golden {
  readonly batch: number;
  readonly frameCount: number;
  readonly features: readonly number[];
  readonly mask: readonly number[];
  readonly logits: readonly number[];
}

const golden = JSON.parse(readFileSync(`${tinyModelDir}golden.json`, 'utf8')) as Golden;
const model = await loadManifest(tinyModelDir);
const thread = { onnxPath: model.onnxPath, executionProviders: ['cpu'], intraOpNumThreads: 1 };
const toleranceDigits = 4;
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

function goldenBatch(rows = [0, 1, 2]): EngineBatch {
  const stride = golden.frameCount * 104;
  return {
    batch: rows.length,
    frameCount: golden.frameCount,
    featureCount: 104,
    features: Float32Array.from(rows.flatMap((row) => golden.features.slice(row * stride, (row + 1) * stride))),
    mask: Float32Array.from(rows.flatMap((row) => golden.mask.slice(row * golden.frameCount, (row + 1) * golden.frameCount))),
  };
}

function expectGolden(logits: Float32Array, rows = [0, 1, 2]): void {
  const expected = rows.flatMap((row) => golden.logits.slice(row * 6, (row + 1) * 6));
  expect(logits).toHaveLength(expected.length);
  for (const [index, value] of expected.entries()) expect(logits[index]).toBeCloseTo(value, toleranceDigits);
}

/** Work that keeps the thread busy for a while. */
function longBatch(): EngineBatch {
  const [batch, frameCount] = [16, 3000];
  const features = new Float32Array(batch * frameCount * 104).fill(0.5);
  return { batch, frameCount, featureCount: 104, features, mask: new Float32Array(batch * frameCount).fill(1) };
}

/** A thread of the test's own that stands in for one that is broken; `answer` is what it does with a batch. */
function brokenThread(atStart: string, answer = ''): Worker {
  const listen = `parentPort.on('message', ({ kind, id }) => { if (kind === 'close') process.exit(0); ${answer} });`;
  return new Worker(`const { parentPort } = require('node:worker_threads'); ${atStart} ${listen}`, { eval: true });
}
const sayReady = "parentPort.postMessage({ kind: 'ready', inputs: ['features', 'mask'], outputs: ['logits'] });";

describe('the CPU engine', () => {
  it('agrees with NumPy to 1e-4', async () => {
    const engine = await start();
    expectGolden(await engine.run(goldenBatch()));
  });

  it('gives a window the same logits in any batch', async () => {
    const engine = await start();
    for (const rows of [[0], [1], [2, 0], [1, 1, 2, 0, 0]]) expectGolden(await engine.run(goldenBatch(rows)), rows);
  });

  it('answers runs that overlap, each with its own', async () => {
    const engine = await start();
    const rows = Array.from({ length: 30 }, (_, index) => [index % 3]);
    const answers = await Promise.all(rows.map((row) => engine.run(goldenBatch(row))));
    for (const [index, answer] of answers.entries()) expectGolden(answer, rows[index]);
  });

  it('takes over whole buffers and copies views, also of shared memory', async () => {
    const engine = await start();
    const whole = goldenBatch();
    expectGolden(await engine.run(whole));
    expect(whole.features.byteLength).toBe(0);

    const source = goldenBatch();
    const shared = new Float32Array(new SharedArrayBuffer(source.features.byteLength));
    shared.set(source.features);
    const padded = new Float32Array(source.mask.length + 2);
    padded.set(source.mask, 1);
    expectGolden(await engine.run({ ...source, features: shared, mask: padded.subarray(1, -1) }));
    expect(shared).toEqual(Float32Array.from(golden.features));
    expect(padded.byteLength).toBeGreaterThan(0);
  });

  it('rejects a batch that it cannot run, and runs the next in the same thread', async () => {
    const spawn = vi.fn(spawnEngineThread);
    const engine = await start({ spawn });
    const corrupt = { ...goldenBatch(), features: new Float32Array(7) };
    await expect(engine.run(corrupt)).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: true });
    const used = goldenBatch();
    await engine.run(used);
    await expect(engine.run(used)).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
    expectGolden(await engine.run(goldenBatch()));
    expect(spawn).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['ends', 'process.exit(3);', /exit of its thread with code 3/],
    ['throws', "throw new Error('broken');", /error in its thread: broken/],
  ])('rejects every pending run when its thread %s, and goes on in another', async (_name, death, reason) => {
    let spawned = 0;
    const spawn: typeof spawnEngineThread = (data) => (spawned++ === 0 ? brokenThread(sayReady, death) : spawnEngineThread(data));
    const engine = await start({ spawn });
    const outcomes = await Promise.allSettled([engine.run(goldenBatch()), engine.run(goldenBatch())]);
    const rejected = {
      status: 'rejected',
      reason: { code: 'UT_ENGINE_FAILED', retryable: true, message: expect.stringMatching(reason) },
    };
    expect(outcomes).toMatchObject([rejected, rejected]);
    expect(engine.ready).toBe(false);
    await expect(engine.run(goldenBatch())).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: true });
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    expectGolden(await engine.run(goldenBatch()));
    expect(spawned).toBe(2);
  });

  it('goes on in another thread when an idle one is gone', async () => {
    const workers: Worker[] = [];
    const engine = await start({ spawn: (data) => remember(workers, data) });
    expectGolden(await engine.run(goldenBatch()));
    await workers[0]?.terminate();
    expect(engine.ready).toBe(false);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    expectGolden(await engine.run(goldenBatch()));
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
    expectGolden(await engine.run(goldenBatch()));
    expect(delays).toEqual([2, 4, 8, 8]);
  });

  it('replaces a thread that does not answer', async () => {
    let spawned = 0;
    const spawn: typeof spawnEngineThread = (data) => (spawned++ === 0 ? brokenThread(sayReady) : spawnEngineThread(data));
    const engine = await start({ spawn, runTimeoutMs: 2000 });
    // The first thread is mute; only its time limit is short enough to be waited for.
    await expect(engine.run(goldenBatch())).rejects.toThrow(/no answer to a batch within 2000 ms/);
    await vi.waitFor(() => expect(engine.ready).toBe(true), patience);
    expectGolden(await engine.run(goldenBatch()));
  });

  it('rejects logits of another shape than the batch', async () => {
    const answer = "parentPort.postMessage({ kind: 'result', id, logits: new Float32Array(12), shape: [2, 6] });";
    const engine = await start({ spawn: () => brokenThread(sayReady, answer) });
    await expect(engine.run(goldenBatch())).rejects.toThrow('Expected `logits` to be of shape [3, labels], got [2, 6]');
  });

  it('rejects what is pending when it closes, and closes once', async () => {
    const engine = await start();
    const pending = engine.run(longBatch());
    const closed = engine.close();
    expect(engine.close()).toBe(closed);
    await expect(pending).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED' });
    await closed;
    expect(engine.ready).toBe(false);
    await expect(engine.run(goldenBatch())).rejects.toMatchObject({ code: 'UT_ENGINE_FAILED', retryable: false });
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
    const missing = { ...thread, onnxPath: join(tinyModelDir, 'make.py') };
    await expect(start({ thread: missing })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    const provider = { ...thread, executionProviders: ['no-such-provider'] };
    await expect(start({ thread: provider })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    const mute = () => brokenThread('');
    await expect(start({ spawn: mute, startTimeoutMs: 10 })).rejects.toThrow(/to load within 10 ms/);
  });

  it('refuses a network with other inputs', async () => {
    const renamed = { ...thread, onnxPath: join(tinyModelDir, 'renamed.onnx') };
    await expect(start({ thread: renamed })).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringContaining('got inputs input, mask and outputs logits'),
    });
  });

  it('keeps its memory level over thousands of windows', async () => {
    const engine = await start();
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const batch = 8;
    const frameCount = 300;
    const runWindows = async (windows: number) => {
      for (let done = 0; done < windows; done += batch) {
        const features = new Float32Array(batch * frameCount * 104).fill(0.1);
        await engine.run({ batch, frameCount, featureCount: 104, features, mask: new Float32Array(batch * frameCount).fill(1) });
      }
      collect();
      const { heapUsed, external, arrayBuffers, rss } = process.memoryUsage();
      return { heldMb: (heapUsed + external + arrayBuffers) / 2 ** 20, rssMb: rss / 2 ** 20 };
    };
    const before = await runWindows(1000);
    const after = await runWindows(1000);
    // A thousand windows of features are 119 MB: what keeps even a third of them shows.
    expect(after.heldMb - before.heldMb).toBeLessThan(10);
    expect(after.rssMb - before.rssMb).toBeLessThan(40);
  }, 60_000);
});

describe('loadEngine', () => {
  const entry = (name: string, create: EngineEntry['create']): EngineEntry => ({ name, create });
  const unavailable = (name: string) =>
    entry(name, () => Promise.reject(new UndertoneError('UT_ENGINE_UNAVAILABLE', `no library for ${name}`)));

  async function load(options: Partial<Parameters<typeof loadEngine>[0]> = {}): Promise<Engine> {
    const engine = await loadEngine({ model, logger: silentLogger, ...options });
    opened.push(engine);
    return engine;
  }

  it.each(['auto', 'cpu'] as const)('loads the CPU engine as %s', async (name) => {
    const engine = await load({ name });
    expect(engine).toMatchObject({ name: 'cpu', ready: true });
    expectGolden(await engine.run(goldenBatch()));
  });

  it('takes the next engine where one is not available, and logs why', async () => {
    const lines: { engine: string; reason?: string }[] = [];
    const logger = pino({}, { write: (line) => lines.push(JSON.parse(line) as (typeof lines)[number]) });
    const engine = automaticEngine();
    expect(await load({ logger, table: [unavailable('cuda'), entry('cpu', () => Promise.resolve(engine))] })).toBe(engine);
    expect(lines).toMatchObject([{ engine: 'cuda', reason: 'no library for cuda' }, { engine: 'cpu' }]);
  });

  it('says every reason where none is available', async () => {
    const promise = load({ table: [unavailable('cuda'), unavailable('webgpu')] });
    await expect(promise).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    await expect(promise).rejects.toThrow(/cuda: no library for cuda; webgpu: no library for webgpu/);
  });

  it('takes no other engine than the one that is asked for', async () => {
    const other = vi.fn(() => Promise.resolve(automaticEngine()));
    await expect(load({ name: 'cpu', table: [unavailable('cpu'), entry('webgpu', other)] })).rejects.toThrow(/no library for cpu/);
    await expect(load({ name: 'cpu', table: [entry('webgpu', other)] })).rejects.toThrow(/got: only webgpu/);
    expect(other).not.toHaveBeenCalled();
  });

  it('refuses a network with another number of classes than labels, without trying it elsewhere', async () => {
    const manifest = { ...model.manifest, labels: ['anger', 'fear'] };
    const other = vi.fn(() => Promise.resolve(automaticEngine()));
    const real = entry('cpu', () => ThreadEngine.start({ name: 'cpu', thread, logger: silentLogger }));
    const promise = load({ model: { ...model, manifest }, table: [real, entry('other', other)] });
    await expect(promise).rejects.toMatchObject({ code: 'UT_MODEL_INVALID' });
    await expect(promise).rejects.toThrow(/each of its 2 labels, got 6 logits a window/);
    expect(other).not.toHaveBeenCalled();
  });

  it('refuses and closes an engine that gives no finite logits', async () => {
    const engine = new FakeEngine();
    engine.run = ({ batch }) => Promise.resolve(new Float32Array(batch * 6).fill(NaN));
    await expect(load({ table: [entry('odd', () => Promise.resolve(engine))] })).rejects.toMatchObject({ code: 'UT_MODEL_INVALID' });
    expect(engine.ready).toBe(false);
  });

  it('shares batches out over its threads', async () => {
    const engine = await load({ threads: 2 });
    expect(engine.name).toBe('cpu');
    const answers = await Promise.all([0, 1, 2, 0].map((row) => engine.run(goldenBatch([row]))));
    for (const [index, row] of [0, 1, 2, 0].entries()) expectGolden(answers[index] ?? new Float32Array(), [row]);
    await engine.close();
    expect(engine.ready).toBe(false);
  });

  it('refuses to start no thread at all', async () => {
    await expect(load({ threads: 0 })).rejects.toThrow(/`threads` to be at least 1, got `0`/);
  });

  it('refuses a network whose bytes are no network, though its hash is right', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'undertone-engine-'));
    try {
      await cp(tinyModelDir, dir, { recursive: true });
      const onnxPath = join(dir, 'model.onnx');
      await writeFile(onnxPath, 'not a network');
      await expect(load({ model: { ...model, onnxPath } })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});

function automaticEngine(): FakeEngine {
  const engine = new FakeEngine();
  engine.automatic = true;
  return engine;
}

function remember(workers: Worker[], data: EngineThreadData): Worker {
  const worker = spawnEngineThread(data);
  workers.push(worker);
  return worker;
}

function throwAtOnce(): Worker {
  throw new Error('no thread to be had');
}
