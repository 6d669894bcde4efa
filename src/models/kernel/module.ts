// Loads the network's kernel, WebAssembly with SIMD that `npm run build:kernel` makes of `assembly/`.
import { instantiate } from '../../wasm.ts';
import type { NativeFunctions } from './native.ts';

type Numbers<Names extends readonly unknown[]> = (...numbers: Names) => void;

/** What the kernel exports; `assembly/` documents it. Positions and strides are bytes in its memory. */
export interface KernelFunctions {
  readonly prepare: () => void;
  readonly copyRows: Numbers<[from: number, fromStride: number, to: number, toStride: number, bytes: number, count: number]>;
  readonly quantizeRows: Numbers<
    [
      ...[from: number, rows: number, rowStride: number, group: number, groupStride: number],
      ...[segments: number, segmentStride: number, floats: number, to: number, scales: number],
    ]
  >;
  /** What a step is worth. */
  readonly quantizeMap: (from: number, times: number, floats: number, margin: number, to: number) => number;
  readonly unfold: Numbers<[map: number, timeBytes: number, times: number, timeStride: number, bands: number, chunk: number, to: number]>;
  readonly unfoldBands: Numbers<[map: number, timeBytes: number, times: number, bands: number, to: number]>;
  readonly multiply: Numbers<[x: number, weights: number, sums: number, rows: number, inputs: number, outputs: number]>;
  readonly multiplyFloats: Numbers<
    [x: number, weights: number, bias: number, to: number, rows: number, inputs: number, outputs: number, cut: number]
  >;
  readonly finishRows: Numbers<
    [
      ...[sums: number, rows: number, outputs: number, scales: number, scaleStride: number, steps: number, bias: number, cut: number],
      ...[residual: number, residualGroupStride: number, gates: number, perGate: number],
      ...[to: number, rowStride: number, group: number, groupStride: number],
    ]
  >;
  readonly finishSteps: Numbers<
    [sums: number, rows: number, outputs: number, scales: number, steps: number, to: number, rowStride: number]
  >;
  readonly heard: Numbers<[mask: number, callers: number, twos: number, fours: number, eights: number, counts: number, shares: number]>;
  readonly halve: Numbers<[rows: number, callers: number, floats: number, shares: number, to: number, groupStride: number]>;
  readonly sums: Numbers<[features: number, mask: number, counts: number, rows: number, to: number, rowStride: number]>;
  readonly lstm: Numbers<
    [
      ...[products: number, windows: number, count: number, stepBytes: number, order: number, firsts: number],
      ...[weights: number, silences: number, scratch: number, to: number, wholes: number],
    ]
  >;
  readonly listen: Numbers<
    [products: number, count: number, weights: number, silences: number, scratch: number, to: number, wholes: number]
  >;
  readonly first: Numbers<[heardAt: number, windows: number, count: number, stepBytes: number, firsts: number]>;
  readonly attend: Numbers<
    [
      ...[sums: number, windows: number, count: number, hidden: number, steps: number, bias: number, scores: number],
      ...[heardAt: number, stepBytes: number, firsts: number, attention: number, even: number],
    ]
  >;
  readonly pool: Numbers<
    [
      ...[rows: number, windows: number, count: number, rowStride: number, windowStride: number, floats: number],
      ...[weights: number, weightStride: number, firsts: number, means: number, deviations: number, toStride: number],
    ]
  >;
  readonly statistics: Numbers<
    [steps: number, windows: number, count: number, stepBytes: number, means: number, deviations: number, toStride: number]
  >;
}

const kernelUrl = new URL('kernel.wasm', import.meta.url);

/** Bytes from the memory's beginning on that are the kernel's own. */
export const ownBytes = 1024;

/** An instance with a memory of at least `bytes`, ready to be called; `native` makes those functions that it has instead. */
export function instantiateKernel(
  bytes: number,
  native?: (memory: ArrayBuffer) => NativeFunctions,
): { readonly memory: ArrayBuffer; readonly functions: KernelFunctions } {
  const { memory, exports } = instantiate(kernelUrl, bytes);
  const functions = exports as KernelFunctions;
  functions.prepare();
  return { memory, functions: { ...functions, ...native?.(memory) } };
}
