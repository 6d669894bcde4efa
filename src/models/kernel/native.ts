// The kernel's products and LSTM in code that was compiled for this processor, where it was: twice to four times as fast as in WebAssembly, and the same to the bit.
import { loadNativeModule } from '../../native-module.ts';
import type { KernelFunctions } from './module.ts';

/** What the compiled code has of the kernel. */
export type NativeFunctions = Pick<KernelFunctions, 'multiply' | 'multiplyFloats' | 'lstm'>;

/** Vectors that there is code for. */
export type Vectors = 'AVX-512' | 'AVX2';

/** The compiled code, on a processor that runs it. */
export interface NativeKernel {
  /** Those that the processor has, the fastest first. */
  readonly vectors: readonly [Vectors, ...Vectors[]];
  /**
   * The functions on a memory whose buffer is never replaced. They throw RangeError where a position lies outside.
   *
   * @param vectors @default the fastest
   */
  readonly open: (memory: ArrayBuffer, vectors?: Vectors) => NativeFunctions;
}

const source = new URL('native/kernel.c', import.meta.url);

/** Loads the compiled code of this very source, or says why there is none. Never throws. */
export function loadNative(file?: string): NativeKernel | { readonly reason: string } {
  const loaded = loadNativeModule<{ readonly vectors: readonly Vectors[]; readonly open: NativeKernel['open'] }>(source, file);
  if ('reason' in loaded) return loaded;
  const { vectors, open } = loaded.exports;
  const [fastest, ...others] = vectors;
  return fastest === undefined ? { reason: 'this processor has no AVX2' } : { vectors: [fastest, ...others], open };
}
