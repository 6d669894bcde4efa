// The network's kernel: that it is what its sources make, its whole numbers, and the network on it against onnxruntime's floats.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KernelSession } from '../../../src/models/kernel-session.ts';
import { loadNative } from '../../../src/models/kernel/native.ts';
import { instantiateKernel } from '../../../src/models/kernel/module.ts';
import { packFloats, packWhole } from '../../../src/models/kernel/weights.ts';
import { loadManifest, streamShape, type LoadedModel } from '../../../src/models/manifest.ts';
import { OnnxSession } from '../../../src/models/onnx-session.ts';
import type { NetworkFiles, Session } from '../../../src/models/session.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { compileKernel, kernelUrls } from '../../../tools/kernel/compile.ts';
import { shippedModelDir } from './speech.ts';
import { threadOf, tinyManifest, tinyModelDir } from './support.ts';

describe('kernel.wasm', () => {
  it('is what its sources make (npm run build:kernel)', { timeout: 60_000 }, async () => {
    expect(Buffer.from(await compileKernel(kernelUrls.network)).equals(readFileSync(kernelUrls.network))).toBe(true);
  });
});

/** Where set-up compiles: there, that nothing was is a failure. */
const flags = process.platform === 'linux' && process.arch === 'x64' ? readFileSync('/proc/cpuinfo', 'utf8') : '';
const compiled = loadNative();
const open = 'open' in compiled ? compiled.open : undefined;
const vectors = (
  [
    ['AVX-512', ' avx512_vnni '],
    ['AVX2', ' avx2 '],
  ] as const
)
  .filter(([, flag]) => flags.includes(flag))
  .map(([name]) => name);
const ways = ([false, ...vectors] as const).map((native) => ({ way: native === false ? 'WebAssembly' : native, native }));

it.skipIf(flags === '')('compiled code is there, for all vectors that the processor has, and the widest is taken', async () => {
  expect(compiled).toMatchObject(vectors.length === 0 ? { reason: 'this processor has no AVX2' } : { vectors });
  const session = await KernelSession.open(threadOf(await loadManifest(shippedModelDir)));
  expect(session.detail).toBe(vectors[0] ?? 'WebAssembly: this processor has no AVX2');
});

describe.each(ways)('products in $way', ({ native }) => {
  const { memory, functions } = instantiateKernel(1 << 20, native === false ? undefined : (buffer) => open!(buffer, native));
  const [xAt, weightsAt, outAt, stepsAt] = [4096, 1 << 17, 1 << 18, 1 << 19];
  const sizes = { rows: fc.integer({ min: 1, max: 19 }), inputs: fc.integer({ min: 1, max: 40 }).map((n) => 4 * n) };

  it('of whole numbers are exact, also where all are as large as they can be', () => {
    const weight = fc.oneof(fc.constantFrom(-1, 0, 1e-3, 1), fc.double({ min: -1, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.record({ ...sizes, blocks: fc.integer({ min: 1, max: 3 }), weights: fc.array(weight, { minLength: 1 }) }), (given) => {
        const { rows, inputs, weights } = given;
        const outputs = 16 * given.blocks;
        const weightOf = (input: number, output: number): number => weights[(input * 7 + output * 3) % weights.length]!;
        const whole = new Int16Array(memory, weightsAt, inputs * outputs).fill(0);
        const steps = new Float32Array(memory, stepsAt, outputs);
        packWhole({ inputs, outputs, weightOf }, whole, steps);
        const wholeOf = (input: number, output: number): number =>
          whole[Math.floor(output / 8) * 8 * inputs + Math.floor(input / 2) * 16 + 2 * (output % 8) + (input % 2)]!;
        const x = new Int16Array(memory, xAt, rows * inputs);
        for (const i of x.keys()) x[i] = weightOf(i % inputs, 0) < 0 ? -4095 : 4095 - (i % 3);
        functions.multiply(xAt, weightsAt, outAt, rows, inputs, outputs);
        const sums = new Int32Array(memory, outAt, rows * outputs);
        // By how many steps a weight is off: asked once, for to ask each costs seconds.
        let off = 0;
        for (const [i, sum] of sums.entries()) {
          const [row, output] = [Math.floor(i / outputs), i % outputs];
          let expected = 0;
          for (let input = 0; input < inputs; input += 1) {
            expected += x[row * inputs + input]! * wholeOf(input, output);
            off = Math.max(off, Math.abs(wholeOf(input, output) - weightOf(input, output) / steps[output]!));
          }
          expect(sum).toBe(expected);
        }
        expect(off).toBeLessThanOrEqual(0.51);
      }),
    );
  });

  it('of floats are those in double precision to 5e-5, any number of rows, and to the bit those of WebAssembly', () => {
    const plain = instantiateKernel(1 << 20);
    const special = fc.constantFrom(0, -0, 1e-42, NaN, Infinity, -1e38);
    fc.assert(
      fc.property(
        fc.record({ ...sizes, blocks: fc.integer({ min: 1, max: 5 }), cut: fc.boolean(), seed: fc.integer(), special: fc.option(special) }),
        ({ rows, inputs, blocks, cut, seed, special: odd }) => {
          const outputs = 8 * blocks;
          const random = createRandom(seed);
          const draw = (): number => (odd !== null && random() < 0.05 ? odd : random() * 2 - 1);
          const [x, weights, bias] = [rows * inputs, inputs * outputs, outputs].map((length) => Array.from({ length }, draw)) as [
            number[],
            number[],
            number[],
          ];
          const weightOf = (input: number, output: number): number => weights[input * outputs + output]!;
          for (const { memory: own, functions: by } of [{ memory, functions }, plain]) {
            new Float32Array(own, xAt, x.length).set(x);
            packFloats({ inputs, outputs, weightOf }, new Float32Array(own, weightsAt, weights.length));
            new Float32Array(own, stepsAt, outputs).set(bias);
            by.multiplyFloats(xAt, weightsAt, stepsAt, outAt, rows, inputs, outputs, cut ? 1 : 0);
          }
          const got = new Float32Array(memory, outAt, rows * outputs);
          expect(got).toEqual(new Float32Array(plain.memory, outAt, rows * outputs));
          if (odd !== null) return;
          const exact = Array.from(got, (_, i) => {
            const row = Math.floor(i / outputs);
            const sum =
              bias[i % outputs]! +
              weights.slice(0, inputs).reduce((all, _w, k) => all + x[row * inputs + k]! * weightOf(k, i % outputs), 0);
            return cut ? Math.max(0, sum) : sum;
          });
          expect(Math.max(...got.map((value, i) => Math.abs(value - exact[i]!)))).toBeLessThan(5e-5);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('take rows in steps of a 4095th of their greatest number, whatever their size', () => {
    const scalesAt = stepsAt;
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -100, max: 100, noNaN: true }), { minLength: 16, maxLength: 16 }),
        fc.constantFrom(0, 1e-20, 1, 1e6),
        (values, size) => {
          const x = new Float32Array(memory, xAt, 16);
          x.set(values.map((value) => value * size));
          functions.quantizeRows(xAt, 1, 64, 1, 0, 2, 32, 8, outAt, scalesAt);
          const step = new Float32Array(memory, scalesAt, 1)[0]!;
          const most = Math.max(...x.map(Math.abs));
          expect(Math.abs(step - most / 4095)).toBeLessThanOrEqual(1e-6 * most);
          for (const [i, whole] of new Int16Array(memory, outAt, 16).entries()) {
            expect(Math.abs(whole)).toBeLessThanOrEqual(4095);
            if (most > 1e-30) expect(Math.abs(whole * step - x[i]!)).toBeLessThanOrEqual(step * 0.501);
          }
        },
      ),
    );
  });
});

describe.each(ways)('EmoNet on the kernel in $way', ({ native }) => {
  let model: LoadedModel;
  let files: NetworkFiles;
  let exact: OnnxSession;
  let kernel: KernelSession;

  beforeAll(async () => {
    model = await loadManifest(shippedModelDir);
    files = threadOf(model);
    exact = await OnnxSession.open(threadOf(model));
    kernel = await KernelSession.open({ ...files, native });
  });

  afterAll(() => exact.close());

  /**
   * Streams callers hop by hop; returns the logits of the last window of each, and the steps' own values. Of late callers each begins to
   * speak in another hop of the window.
   */
  async function stream(
    session: Session,
    callers: readonly number[],
    heard: number,
    late = false,
  ): Promise<{ own: Float32Array[]; logits: Float32Array }> {
    const { hopFrames, stateSize, stepSize, strideFrames, windowFrames, featureCount } = files.shape;
    const each = hopFrames / strideFrames;
    const count = windowFrames / strideFrames;
    const windows = new Float32Array(callers.length * count * session.stepSize);
    const own: Float32Array[] = [];
    let state: Float32Array = new Float32Array(callers.length * stateSize);
    for (let hop = 0; hop < 14; hop += 1) {
      const random = callers.map((caller) => createRandom(1000 * caller + hop));
      const mask = Float32Array.from({ length: callers.length * hopFrames }, (_, i) => {
        const row = Math.floor(i / hopFrames);
        const silent = late && hop < 4 + (callers[row]! % 10);
        return random[row]!() < heard && !silent ? 1 : 0;
      });
      const features = Float32Array.from({ length: mask.length * featureCount }, (_, i) => {
        const [frame, row] = [Math.floor(i / featureCount), Math.floor(i / featureCount / hopFrames)];
        const value = 3.4 * (random[row]!() + random[row]!() + random[row]!() - 1.5);
        return mask[frame] === 0 ? 0 : value;
      });
      const { steps, next } = await session.trunk({ batch: callers.length, features, mask, state });
      state = next.slice();
      for (let at = 0; at < callers.length * each; at += 1) {
        const step = steps.slice(at * session.stepSize, (at + 1) * session.stepSize);
        own.push(step.subarray(0, stepSize));
        const place = Math.floor(at / each) * count + (hop - 4) * each + (at % each);
        if (hop >= 4) windows.set(step, place * session.stepSize);
      }
    }
    return { own, logits: (await session.head(windows, callers.length)).slice() };
  }

  const worst = (a: Float32Array, b: Float32Array): number => Math.max(...a.map((value, i) => Math.abs(value - b[i]!)));

  it('says what it runs in', () => {
    expect(kernel.detail).toBe(native === false ? 'WebAssembly: as configured' : native);
  });

  it.each([
    [1, 0.8, false],
    [2, 0.97, false],
    [3, 0.8, false],
    [5, 0.2, false],
    [8, 0.9, false],
    [11, 0.8, false],
    [3, 0.01, false],
    [2, 0, false],
    [8, 0.9, true],
    [11, 0.5, true],
  ])('says what onnxruntime does in floats, of %i callers who are heard %f of the time, late: %s', async (count, heard, late) => {
    // Not in the order in which they begin.
    const callers = Array.from({ length: count }, (_, i) => (7 * i) % 11);
    const [ours, theirs] = [await stream(kernel, callers, heard, late), await stream(exact, callers, heard, late)];
    const sizes = { channels: 144, step: files.shape.stepSize };
    for (const [i, step] of ours.own.entries()) {
      const other = theirs.own[i]!;
      expect(worst(step.subarray(0, sizes.channels), other.subarray(0, sizes.channels))).toBeLessThan(0.01);
      expect(worst(step.subarray(sizes.channels), other.subarray(sizes.channels))).toBeLessThan(1e-4);
    }
    expect(worst(ours.logits, theirs.logits)).toBeLessThan(2e-3);
  });

  it('says the same in another way, to the last bit', async () => {
    const other = await KernelSession.open({ ...files, native: native === false });
    for (const count of [1, 2, 3, 5, 6, 7, 8, 11]) {
      const callers = Array.from({ length: count }, (_, i) => (7 * i) % 11);
      for (const late of [false, true]) {
        const [here, there] = [await stream(kernel, callers, 0.8, late), await stream(other, callers, 0.8, late)];
        expect(here.logits).toEqual(there.logits);
        expect(here.own).toEqual(there.own);
      }
    }
  });

  it('says the same of a caller, to the last bit, whoever else is in the batch and wherever', async () => {
    const alone = await stream(kernel, [4], 0.8, true);
    for (const callers of [
      [4, 1],
      [0, 1, 2, 4],
      [7, 4, 2, 1, 0, 3, 5, 6],
      [0, 1, 2, 3, 5, 6, 7, 8, 4],
    ]) {
      const at = callers.indexOf(4) * files.shape.labelCount;
      const { logits } = await stream(kernel, callers, 0.8, true);
      expect(logits.subarray(at, at + files.shape.labelCount)).toEqual(alone.logits);
    }
  });

  it('refuses the graphs of another network', async () => {
    const tiny = threadOf(await loadManifest(tinyModelDir));
    await expect(KernelSession.open(tiny)).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringMatching(/to be the network emonet\/1, got: Expected/),
    });
    await expect(KernelSession.open({ ...files, headPath: tiny.headPath })).rejects.toThrow(/to be the network emonet/);
    await expect(KernelSession.open({ ...files, trunkPath: 'none.onnx' })).rejects.toThrow(/ENOENT/);
    expect(tinyManifest.network).toBeUndefined();
    expect(streamShape(model.manifest)).toEqual(files.shape);
  });
});
