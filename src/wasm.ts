// WebAssembly with a memory of its own: what the kernels of the front end and the network, and libopus, are loaded with.
import { readFileSync } from 'node:fs';

/** A memory that an instance has of its own. */
export interface WebAssemblyMemory {
  /** Another one after it has grown. */
  readonly buffer: ArrayBuffer;
}

/** What of the global object is used here; Node's types leave it out. */
interface WebAssemblyApi {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Memory: new (size: { initial: number; maximum: number }) => WebAssemblyMemory;
  readonly Instance: new (module: object, imports: object) => { readonly exports: unknown };
}

const { Module, Memory, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly;
const pageBytes = 65_536;
const compiled = new Map<string, object>();

/** An instance with a memory of at least `bytes`, zeros, which does not grow. The code is read once a thread. */
export function instantiate(code: URL, bytes: number): { readonly memory: ArrayBuffer; readonly exports: unknown } {
  const module = compiled.get(code.href) ?? new Module(readFileSync(code));
  compiled.set(code.href, module);
  const pages = Math.ceil(bytes / pageBytes);
  const memory = new Memory({ initial: pages, maximum: pages });
  const { exports } = new Instance(module, { env: { memory } });
  return { memory: memory.buffer, exports };
}

/** What an instance exports of code that imports nothing, and has a memory of its own. */
export function instantiateAlone(code: Uint8Array): unknown {
  return new Instance(new Module(code), {}).exports;
}
