// Loads the front end's kernel, WebAssembly with SIMD that `npm run build:kernel` makes of `assembly/`.
import { instantiate } from '../../wasm.ts';

/** What the kernel exports; `assembly/` documents it. Positions are bytes in its memory. */
export interface KernelFunctions {
  readonly analyse: (frames: number) => void;
  readonly shift: (fromSample: number, endSample: number) => void;
  readonly correlate: (frames: number) => void;
  readonly shiftLowRate: (frames: number) => void;
  readonly normalize: (
    ...numbers: [
      ...[frames: number, fading: number, meanWeightFrames: number, stdWeightFrames: number],
      ...[clipDeviations: number, stepsPerDeviation: number],
    ]
  ) => void;
  /** 1 for a frame with a signal, else 0. */
  readonly takeVoice: (signalNepers: number) => number;
  readonly stepVoice: (
    ...sizesAndPlaces: [
      ...[inputs: number, dense: number, hidden: number],
      ...[weights: number, pair: number, state: number, scratch: number, said: number],
    ]
  ) => void;
}

/** An instance with a memory of its own, of at least `bytes`, which does not grow. */
export function instantiateKernel(bytes: number): { readonly memory: ArrayBuffer; readonly functions: KernelFunctions } {
  const { memory, exports } = instantiate(new URL('kernel.wasm', import.meta.url), bytes);
  return { memory, functions: exports as KernelFunctions };
}
