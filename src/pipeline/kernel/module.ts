// Loads the front end's kernel, WebAssembly with SIMD that `npm run build:kernel` makes of `assembly/`.
import { readFileSync } from 'node:fs';

/** What the kernel exports; `assembly/` documents it. Positions are bytes in its memory. */
export interface KernelFunctions {
  readonly analyse: (frames: number) => void;
  readonly shift: (fromSample: number, endSample: number) => void;
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

/** What of the global object is used here; Node's types leave it out. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const { Module, Memory, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
const pageBytes = 65_536;
let compiled: object | null = null;

/** An instance with a memory of its own, of at least `bytes`, which does not grow. The code is read once a thread. */
export function instantiateKernel(bytes: number): { readonly memory: ArrayBuffer; readonly functions: KernelFunctions } {
  compiled ??= new Module(readFileSync(new URL('kernel.wasm', import.meta.url)));
  const pages = Math.ceil(bytes / pageBytes);
  const memory = new Memory({ initial: pages, maximum: pages });
  const { exports } = new Instance(compiled, { env: { memory } });
  return { memory: memory.buffer, functions: exports as KernelFunctions };
}
