// The kernel's compiled functions: what they refuse, for nothing stops them at the end of their memory as WebAssembly is stopped.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadNative } from '../../../src/models/kernel/native.ts';

/** Where set-up compiles: there, that nothing was is a failure. */
const compiles = process.platform === 'linux' && process.arch === 'x64' && readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2 ');
const compiled = loadNative();
const open = 'open' in compiled ? compiled.open : undefined;

describe('compiled functions', () => {
  const memory = new ArrayBuffer(65_536);
  const functions = open?.(memory);

  it.skipIf(!compiles)('refuse what lies outside of the memory, and what no product has', () => {
    const { multiply, multiplyFloats, lstm } = functions!;
    expect(() => {
      multiply(60_000, 0, 0, 8, 400, 16);
    }).toThrow(new RangeError('Expected 6400 bytes at 60000 to lie in a memory of 65536'));
    expect(() => {
      multiply(0, 0, 65_530, 1, 2, 16);
    }).toThrow(/Expected 64 bytes at 65530/);
    expect(() => {
      multiply(-64, 0, 0, 1, 2, 16);
    }).toThrow(RangeError);
    expect(() => {
      multiply(0, 0, 0, 2_000_000_000, 2_000_000_000, 16);
    }).toThrow(RangeError);
    for (const [inputs, outputs] of [
      [3, 16],
      [2, 8],
      [-2, 16],
    ] as const) {
      expect(() => {
        multiply(0, 0, 0, 1, inputs, outputs);
      }).toThrow(/an even number of inputs and a multiple of 16 outputs/);
    }
    expect(() => {
      multiplyFloats(0, 60_000, 0, 0, 1, 400, 8, 0);
    }).toThrow(/Expected 12800 bytes at 60000/);
    expect(() => {
      multiplyFloats(0, 0, 65_530, 0, 1, 2, 8, 0);
    }).toThrow(/Expected 32 bytes at 65530/);
    expect(() => {
      multiplyFloats(0, 0, 0, 0, 1, 2, 12, 0);
    }).toThrow(/a multiple of 8 outputs/);
    expect(() => {
      lstm(0, 8, 30, 3000, 0, 0, 0, 0, 0, 0, 0);
    }).toThrow(/Expected \d+ bytes at 0/);
    expect(() => {
      lstm(0, 8, 30, 100, 0, 0, 0, 0, 0, 0, 0);
    }).toThrow(/Expected windows of steps/);
    expect(() => {
      (multiply as (...numbers: unknown[]) => void)(0, 0, 0, 1, 2);
    }).toThrow(new TypeError('Expected 6 numbers, got 5 arguments'));
    expect(() => {
      (multiply as (...numbers: unknown[]) => void)(0, 0, 0, 1, 2, 'many');
    }).toThrow(TypeError);
    expect(new Uint8Array(memory).every((byte) => byte === 0)).toBe(true);
  });

  it.skipIf(!compiles)('refuse an order that names no window', () => {
    const room = new ArrayBuffer(1 << 21);
    const { lstm } = open!(room);
    new Int32Array(room, 1024, 4).set([0, 1, 2, 4]);
    const run = (): void => {
      lstm(1 << 16, 4, 2, 3000, 1024, 2048, 1 << 17, 1 << 19, 1 << 20, 1 << 20, 1 << 20);
    };
    expect(run).toThrow(/Expected an order of the windows/);
    new Int32Array(room, 1024, 4)[3] = 3;
    new Int32Array(room, 2048, 4)[1] = 3;
    expect(run).toThrow(/Expected an order of the windows/);
    new Int32Array(room, 2048, 4)[1] = 2;
    expect(run).not.toThrow();
  });

  it.skipIf(!compiles)('are opened by the vectors of a name, if the processor has them', () => {
    const { vectors } = compiled as Extract<typeof compiled, { vectors: unknown }>;
    for (const name of vectors) expect(Object.keys(open!(memory, name)).sort()).toEqual(['lstm', 'multiply', 'multiplyFloats']);
    for (const name of ['AVX-1024', 'a name that is longer than any', 512] as never[]) {
      expect(() => open!(memory, name)).toThrow(new TypeError('Expected the name of vectors that this processor has'));
    }
    expect(() => open!({} as ArrayBuffer)).toThrow(new TypeError('Expected an ArrayBuffer'));
  });

  it('are told apart from what is not there, and from what is no code', () => {
    expect(loadNative('/nowhere/kernel.node')).toEqual({ reason: 'nothing was compiled here (npm run build:native)' });
    expect(loadNative(import.meta.filename)).toHaveProperty('reason');
  });
});
