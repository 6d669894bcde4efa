// Which engine is taken: in order, with each reason, or the one that is asked for and no other.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { UndertoneError } from '../../../src/errors.ts';
import { cpuEngine } from '../../../src/models/engine-cpu.ts';
import { engineNames, type EngineEntry } from '../../../src/models/engine-entry.ts';
import { loadEngines } from '../../../src/models/load-engine.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import type { Engine } from '../../../src/models/types.ts';
import { expectGolden, goldenWindow } from './golden.ts';
import { FakeEngine, silentLogger, tinyModelDir } from './support.ts';

const model = await loadManifest(tinyModelDir);
const opened: Engine[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
});

/** Runs windows of the fixture's callers and checks their scores. */
async function runGolden(engine: Engine, ...windows: [caller: number, index: number][]): Promise<void> {
  expectGolden(await engine.run(windows.map(([caller, index]) => goldenWindow(caller, index))), windows);
}

describe('loadEngines', () => {
  const entry = (name: string, create: EngineEntry['create']): EngineEntry => ({ name, create });
  const unavailable = (name: string) =>
    entry(name, () => Promise.reject(new UndertoneError('UT_ENGINE_UNAVAILABLE', `no library for ${name}`)));

  async function load(options: Partial<Parameters<typeof loadEngines>[0]> = {}): Promise<readonly Engine[]> {
    const engines = await loadEngines({ model, logger: silentLogger, ...options });
    opened.push(...engines);
    return engines;
  }

  it('loads the CPU engine by name', async () => {
    const [engine] = await load({ name: 'cpu' });
    expect(engine).toMatchObject({ name: 'cpu', ready: true, streamCount: 0 });
    await runGolden(engine!, [0, 8], [1, 8]);
  });

  it('tries every engine in order as auto, and loses no time with GPUs that are not there', async () => {
    const lines: LogLine[] = [];
    const startMs = Date.now();
    const [engine] = await load({ logger: recorder(lines) });
    await runGolden(engine!, [0, 8], [1, 8]);
    const order = engineNames.slice(0, engineNames.indexOf(engine!.name as (typeof engineNames)[number]) + 1);
    expect([...new Set(lines.map((line) => line.engine))]).toEqual(order);
    for (const { reason, time } of lines.filter((line) => line.reason?.includes('got none') === true)) {
      expect(reason).toMatch(/^Expected an? (NVIDIA )?GPU/);
      expect(time - startMs).toBeLessThan(300);
    }
  });

  it('takes the next engine where one is not available, and logs why', async () => {
    const lines: LogLine[] = [];
    const logger = recorder(lines);
    const engine = automaticEngine();
    expect(await load({ logger, table: [unavailable('cuda'), entry('cpu', () => Promise.resolve(engine))] })).toEqual([engine]);
    expect(engine.released).toEqual(['warm-up-1', 'warm-up-2']);
    expect(lines).toMatchObject([{ engine: 'cuda', reason: 'no library for cuda' }, { engine: 'cpu' }]);
  });

  it('says every reason where none is available', async () => {
    const promise = load({ table: [unavailable('cuda'), unavailable('webgpu')] });
    await expect(promise).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
    await expect(promise).rejects.toThrow(/cuda: no library for cuda; webgpu: no library for webgpu/);
  });

  it('finds out once whether an engine may run, and creates none that may not', async () => {
    const prepare = vi.fn(() => Promise.resolve());
    const create = vi.fn(() => Promise.resolve(automaticEngine()));
    const refuse = () => Promise.reject(new UndertoneError('UT_ENGINE_UNAVAILABLE', 'slower than the CPU'));
    const never = vi.fn(() => Promise.resolve(automaticEngine()));
    await load({
      threads: 2,
      maxBatch: 5,
      table: [
        { name: 'cuda', prepare: refuse, create: never },
        { name: 'webgpu', prepare, create },
      ],
    });
    expect(prepare).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ pinned: false, maxBatch: 5 }));
    expect([create.mock.calls.length, never.mock.calls.length]).toEqual([2, 0]);
    await load({ name: 'webgpu', table: [{ name: 'webgpu', prepare, create }] });
    expect(prepare).toHaveBeenLastCalledWith(expect.objectContaining({ pinned: true }));
  });

  it('starts no more threads of an engine than it bears', async () => {
    const create = () => Promise.resolve(automaticEngine());
    expect(await load({ threads: 3, table: [{ name: 'webgpu', maxThreads: 1, create }] })).toHaveLength(1);
    expect(await load({ threads: 2, table: [{ name: 'cuda', maxThreads: 4, create }] })).toHaveLength(2);
  });

  it('says what an engine needs that is asked for and not there', async () => {
    const table = [{ ...unavailable('cuda'), needs: 'an NVIDIA GPU' }, cpuEngine];
    await expect(load({ name: 'cuda', table })).rejects.toMatchObject({
      code: 'UT_ENGINE_UNAVAILABLE',
      message: 'Expected inference engine `cuda` to load, got: cuda: no library for cuda. It needs an NVIDIA GPU',
    });
  });

  it('takes the next engine where one runs this model badly: the model is judged on the CPU', async () => {
    const fault = () => Promise.reject(new UndertoneError('UT_MODEL_INVALID', 'Expected finite logits, got: others'));
    const [engine] = await load({ table: [entry('webgpu', fault), cpuEngine] });
    expect(engine?.name).toBe('cpu');
    await expect(load({ name: 'webgpu', table: [entry('webgpu', fault)] })).rejects.toMatchObject({
      code: 'UT_ENGINE_UNAVAILABLE',
      message: expect.stringContaining('finite logits, got: others'),
    });
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
    const promise = load({ model: { ...model, manifest }, table: [cpuEngine, entry('other', other)] });
    await expect(promise).rejects.toMatchObject({ code: 'UT_MODEL_INVALID' });
    await expect(promise).rejects.toThrow(/`logits` to be of 2 values each, got: 6 values/);
    expect(other).not.toHaveBeenCalled();
  });

  it.each([
    ['no finite logits', NaN, 6],
    ['too many logits', 0, 7],
  ])('refuses and closes an engine that gives %s', async (_name, value, labels) => {
    const engine = new FakeEngine();
    engine.run = (windows) => Promise.resolve(new Float32Array(windows.length * labels).fill(value));
    const odd = entry('cpu', () => Promise.resolve(engine));
    await expect(load({ table: [odd] })).rejects.toMatchObject({ code: 'UT_MODEL_INVALID' });
    expect(engine.ready).toBe(false);
  });

  it('loads as many as it is asked for, or none', async () => {
    const engines = await load({ threads: 2 });
    expect(engines.map(({ name }) => name)).toEqual(['cpu', 'cpu']);
    await Promise.all(engines.map((engine, row) => runGolden(engine, [row, 12])));

    const [first, second] = [automaticEngine(), automaticEngine()];
    const started = [() => Promise.resolve(first), () => Promise.reject(new Error('out of threads')), () => Promise.resolve(second)];
    const table = [entry('cpu', () => started.shift()!())];
    await expect(load({ threads: 3, table })).rejects.toThrow(/cpu: out of threads/);
    expect([first.ready, second.ready]).toEqual([false, false]);
  });

  it('refuses to start no thread at all', async () => {
    await expect(load({ threads: 0 })).rejects.toThrow(/`threads` to be at least 1, got `0`/);
  });

  it('refuses a network whose bytes are no network, though its hash is right', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'undertone-engine-'));
    try {
      await cp(tinyModelDir, dir, { recursive: true });
      const head = join(dir, 'head.onnx');
      await writeFile(head, 'not a network');
      await expect(load({ model: { ...model, paths: { ...model.paths, head } } })).rejects.toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
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

interface LogLine {
  readonly engine: string;
  readonly reason?: string;
  readonly time: number;
}

function recorder(lines: LogLine[]) {
  return pino({}, { write: (line) => lines.push(JSON.parse(line) as LogLine) });
}
