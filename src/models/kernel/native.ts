// The kernel's products and LSTM in code that was compiled for this processor, where it was: twice as fast as in WebAssembly, and the same to the bit.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../errors.ts';
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

/** Where scripts/setup/native.mjs puts what it compiles: the name tells of which source. */
function builtFile(): string {
  const hash = createHash('sha256').update(readFileSync(source)).digest('hex').slice(0, 16);
  return fileURLToPath(new URL(`../../../dist/native/${process.platform}-${process.arch}-${hash}.node`, import.meta.url));
}

/** Loads the compiled code of this very source. Never throws. */
export function loadNative(file = builtFile()): NativeKernel {
  if (!existsSync(file)) return { reason: 'nothing was compiled here (npm run build:native)' };
  try {
    const { open } = createRequire(import.meta.url)(file) as NativeModule;
    return open === undefined ? { reason: 'this processor has no AVX2' } : { open };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}
