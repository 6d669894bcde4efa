// The engines on a GPU, as far as they go on any machine: what is found, how a trial ends, what is said.
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { gpuEngines } from '../../../src/models/engine-gpu.ts';
import { ThreadEngine } from '../../../src/models/engine-thread.ts';
import { findGpus } from '../../../src/models/gpu-hardware.ts';
import { loadEngines } from '../../../src/models/load-engine.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import { readOnnx } from '../../../src/models/onnx-file.ts';
import { loadNativeTfjs } from '../../../src/models/tfjs/native.ts';
import { tryEngine, type TrialOptions } from '../../../src/models/try-engine.ts';
import type { Engine } from '../../../src/models/types.ts';
import { expectGolden, goldenCount, goldenWindow } from './golden.ts';
import { silentLogger, threadOf, tinyModelDir } from './support.ts';

const model = await loadManifest(tinyModelDir);
const cpu = threadOf(model);
const fixture = (name: string): string => new URL(`../../fixtures/engines/${name}.ts`, import.meta.url).href;
const wasmTfjs = { ...cpu, runtime: 'tfjs' as const, packages: [fixture('wasm-tfjs')], requireGpu: false };

const folders: string[] = [];
const opened: Engine[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((engine) => engine.close()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'undertone-gpu-'));
  folders.push(made);
  return made;
}

describe('findGpus', () => {
  /** A tree of devices as Linux shows it: render nodes by their driver and vendor, and files in /dev. */
  async function machine(nodes: Record<string, [driver: string, vendor: string]>, devices: string[] = []): Promise<string> {
    const root = await folder();
    await mkdir(join(root, 'dev'));
    for (const device of devices) await writeFile(join(root, 'dev', device), '');
    await mkdir(join(root, 'sys/class/drm/card0'), { recursive: true });
    for (const [node, [driver, vendor]] of Object.entries(nodes)) {
      const device = join(root, 'sys/devices/pci0000:00', node);
      await mkdir(join(device, 'drm', node), { recursive: true });
      await writeFile(join(device, 'uevent'), `DRIVER=${driver}\nPCI_CLASS=30000\n`);
      await writeFile(join(device, 'vendor'), `${vendor}\n`);
      await symlink(device, join(device, 'drm', node, 'device'));
      await symlink(join(device, 'drm', node), join(root, 'sys/class/drm', node));
    }
    return root;
  }

  const cases: readonly (readonly [string, Parameters<typeof machine>, object])[] = [
    ['nothing', [{}], { nvidia: false, any: false, found: [] }],
    ['an Intel GPU', [{ renderD128: ['i915', '0x8086'] }], { nvidia: false, any: true, found: ['i915 (renderD128)'] }],
    ['an AMD GPU', [{ renderD129: ['amdgpu', '0x1002'] }], { nvidia: false, any: true, found: ['amdgpu (renderD129)'] }],
    ['an NVIDIA GPU', [{ renderD128: ['nvidia', '0x10de'] }, ['nvidia0', 'nvidiactl']], { nvidia: true, any: true }],
    ['an NVIDIA GPU without its own driver', [{ renderD128: ['nouveau', '0x10de'] }], { nvidia: false, any: true }],
    ['an NVIDIA GPU in a container', [{}, ['null', 'nvidia0', 'nvidiactl']], { nvidia: true, any: true, found: ['nvidia0'] }],
    ['the driver of one, without a GPU', [{}, ['nvidiactl', 'nvidia-uvm']], { nvidia: false, any: false, found: [] }],
    ["WSL's GPU", [{}, ['dxg']], { nvidia: true, any: true, found: ['dxg'] }],
    ['GPUs that are software', [{ renderD128: ['vgem', ''], renderD129: ['virtio_gpu', '0x1af4'] }], { any: false, found: [] }],
  ];

  it.each(cases)('finds %s', async (_name, tree, expected) => {
    expect(await findGpus(await machine(...tree), 'linux')).toMatchObject(expected);
  });

  it('finds nothing where nothing can be read, and rules nothing out on other systems', async () => {
    expect(await findGpus(join(await folder(), 'none'), 'linux')).toEqual({ nvidia: false, any: false, found: [] });
    expect(await findGpus('/', 'darwin')).toMatchObject({ nvidia: false, any: true });
    expect(await findGpus('/', 'win32')).toMatchObject({ nvidia: true, any: true });
  });
});

describe('an engine’s trial', () => {
  const trial = (options: Partial<TrialOptions> = {}) =>
    tryEngine({ candidate: cpu, reference: cpu, batch: 3, timeoutMs: 30_000, ...options });
  const refusal = (message: RegExp) => ({ code: 'UT_ENGINE_UNAVAILABLE', message: expect.stringMatching(message) });

  it('measures how an engine that is right differs from the CPU, and both their times', async () => {
    const { difference, candidateMs, referenceMs } = await trial({ candidate: wasmTfjs });
    expect(difference).toBeGreaterThan(0);
    expect(difference).toBeLessThan(1e-5);
    expect(candidateMs).toBeGreaterThan(0);
    expect(referenceMs).toBeGreaterThan(0);
    expect((await trial()).difference).toBe(0);
  });

  it('refuses one whose scores are a little off', async () => {
    const headPath = join(await folder(), 'head.onnx');
    const bytes = await readFile(cpu.headPath);
    const bias = readOnnx(bytes).constants.get('head_b')!.data as Float32Array;
    bytes.writeFloatLE(bias[0]! + 0.01, bytes.indexOf(Buffer.from(bias.buffer)));
    await writeFile(headPath, bytes);
    await expect(trial({ candidate: { ...cpu, headPath } })).rejects.toMatchObject(
      refusal(/^Expected its scores to be the CPU engine's to 0\.0001, got ones that differ by \d\.\de-[23]$/),
    );
  });

  it('refuses one that breaks the manifest’s promises', async () => {
    const candidate = { ...cpu, shape: { ...cpu.shape, contextFrames: 10 } };
    await expect(trial({ candidate })).rejects.toMatchObject(refusal(/look back on at most contextFrames = 10 frames/));
  });

  it.each([
    ['crashes', 'crash', /^Expected its trial to end well, got a crash: SIGSEGV/],
    ['does not answer', 'mute', /^Expected its trial to end within 500 ms, got no answer$/],
  ])('refuses one that %s, and the server goes on', async (_name, program, message) => {
    const timeoutMs = program === 'mute' ? 500 : 30_000;
    await expect(trial({ program: new URL(fixture(program)), timeoutMs })).rejects.toMatchObject(refusal(message));
  });

  it("says which library is missing where onnxruntime's CUDA provider does not load", async () => {
    const candidate = { ...cpu, executionProviders: ['cuda'] };
    await expect(trial({ candidate })).rejects.toMatchObject(refusal(/Failed to load shared library \(.*\.so.*\)$/));
  });
});

describe('native tfjs', () => {
  it('is not there unless it was installed', async () => {
    const packages = ['@tensorflow/not-there', '@tensorflow/nor-there'];
    await expect(loadNativeTfjs({ packages, requireGpu: false })).rejects.toMatchObject({
      code: 'UT_ENGINE_UNAVAILABLE',
      message: 'Expected package `@tensorflow/not-there` or `@tensorflow/nor-there` to be installed, got none',
    });
  });

  it('says why it does not load', async () => {
    await expect(loadNativeTfjs({ packages: ['not-there', fixture('broken-tfjs')], requireGpu: false })).rejects.toThrow(
      /broken-tfjs.ts` to load, got: libtensorflow.so.2: cannot open shared object file$/,
    );
  });

  it('is refused on the CPU where a GPU is asked for', async () => {
    await expect(loadNativeTfjs({ packages: [fixture('wasm-tfjs')], requireGpu: true })).rejects.toThrow(/to find a GPU, got none/);
  });

  it('finds the function of `util` again that tfjs-node calls', async () => {
    await loadNativeTfjs({ packages: [fixture('wasm-tfjs')], requireGpu: false });
    const { isNullOrUndefined } = process.getBuiltinModule('node:util') as unknown as Record<string, (value: unknown) => boolean>;
    expect([null, undefined, 0, ''].map((value) => isNullOrUndefined!(value))).toEqual([true, true, false, false]);
  });

  it('carries the streams of an inference thread', async () => {
    const engine = await ThreadEngine.start({ name: 'tfjs-gpu', thread: wasmTfjs, logger: silentLogger });
    opened.push(engine);
    for (let index = 0; index < goldenCount; index += 1) {
      const windows = [0, 1, 2].map((caller): [number, number] => [caller, index]);
      expectGolden(await engine.run(windows.map(([caller]) => goldenWindow(caller, index))), windows);
    }
  });
});

describe('an engine on a GPU', () => {
  const context = { ...model, intraOpNumThreads: 1, precision: 'fp32' as const, native: true, maxBatch: 8, logger: silentLogger };

  it.each(gpuEngines.map((entry) => [entry.name, entry] as const))(
    '%s is told apart from none at all within 100 ms',
    async (_name, entry) => {
      if ((await findGpus()).any) return;
      const startMs = performance.now();
      await expect(entry.prepare?.({ ...context, pinned: false })).rejects.toMatchObject({
        code: 'UT_ENGINE_UNAVAILABLE',
        message: expect.stringMatching(/GPU( and its driver)?, got none$/),
      });
      expect(performance.now() - startMs).toBeLessThan(100);
    },
  );

  it.each(['cuda', 'webgpu', 'tfjs-gpu'] as const)(
    '%s, asked for, scores as the CPU does or says what it lacks',
    async (name) => {
      let engine: Engine | undefined;
      try {
        [engine] = await loadEngines({ model, name, logger: silentLogger });
      } catch (error) {
        const needs = gpuEngines.find((entry) => entry.name === name)?.needs ?? '';
        expect(error).toMatchObject({ code: 'UT_ENGINE_UNAVAILABLE' });
        expect((error as Error).message).toMatch(new RegExp(`^Expected inference engine \`${name}\` to load, got: ${name}: .{10,}`, 's'));
        expect((error as Error).message).toContain(`. It needs ${needs}`);
        return;
      }
      opened.push(engine!);
      for (let index = 0; index < goldenCount; index += 1) {
        const windows = [0, 1, 2].map((caller): [number, number] => [caller, index]);
        expectGolden(await engine!.run(windows.map(([caller]) => goldenWindow(caller, index))), windows);
      }
    },
    400_000,
  );
});
