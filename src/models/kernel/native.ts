// The kernel's products and LSTM in code that was compiled for this processor, where it was: twice as fast as in WebAssembly, and the same to the bit.
import { loadNativeModule } from '../../native-module.ts';
import type { KernelFunctions } from './module.ts';

/** What the compiled code has of the kernel. */
export type NativeFunctions = Pick<KernelFunctions, 'multiply' | 'lstm'>;

interface NativeModule {
  /** The functions on a memory whose buffer is never replaced; missing where the processor lacks AVX2. They throw RangeError where a position lies outside. */
  readonly open?: (memory: ArrayBuffer) => NativeFunctions;
}

/** The functions, or why there are none. */
export type NativeKernel = { readonly open: NonNullable<NativeModule['open']> } | { readonly reason: string };

const source = new URL('native/kernel.c', import.meta.url);

/** Loads the compiled code of this very source. Never throws. */
export function loadNative(file?: string): NativeKernel {
  const loaded = loadNativeModule<NativeModule>(source, file);
  if ('reason' in loaded) return loaded;
  const { open } = loaded.exports;
  return open === undefined ? { reason: 'this processor has no AVX2' } : { open };
}
