// Loads TensorFlow's native build for Node, which whoever wants it has installed beside the server.
import { messageOf, UndertoneError } from '../../errors.ts';
import type { Tf } from './values.ts';

/** Options of {@link loadNativeTfjs}. */
export interface NativeTfjsOptions {
  /** Packages that bring it, best first. */
  readonly packages: readonly string[];
  /** Whether to refuse one that computes on the CPU. */
  readonly requireGpu: boolean;
}

/** Loads the first package that is installed. Rejects with UT_ENGINE_UNAVAILABLE and the reason where none is, or it does not load. */
export async function loadNativeTfjs({ packages, requireGpu }: NativeTfjsOptions): Promise<Tf> {
  restoreUtil();
  for (const name of packages) {
    let loaded: Tf & { readonly default?: Tf };
    try {
      loaded = (await import(name)) as typeof loaded;
    } catch (error) {
      if (isMissing(error, name)) continue;
      throw unavailable(`package \`${name}\` to load, got: ${messageOf(error).split('\n', 1)[0]?.trim() ?? ''}`, error);
    }
    const tf = loaded.default ?? loaded;
    await tf.ready();
    const backend = tf.backend() as { readonly isUsingGpuDevice?: boolean };
    if (!requireGpu || backend.isUsingGpuDevice === true) return tf;
    throw unavailable(`TensorFlow of \`${name}\` to find a GPU, got none: its CUDA or cuDNN does not load, or no GPU suits it`);
  }
  throw unavailable(`package ${packages.map((name) => `\`${name}\``).join(' or ')} to be installed, got none`);
}

/** Node 23 dropped a function of `util` that tfjs-node 4.22 calls on every kernel. */
function restoreUtil(): void {
  const util = process.getBuiltinModule('node:util') as { isNullOrUndefined?: (value: unknown) => boolean };
  util.isNullOrUndefined ??= (value) => value === null || value === undefined;
}

/** Whether the error says that this package is not there, rather than one that it needs. */
function isMissing(error: unknown, name: string): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND' && error.message.includes(`'${name}'`);
}

function unavailable(expected: string, cause?: unknown): UndertoneError {
  return new UndertoneError('UT_ENGINE_UNAVAILABLE', `Expected ${expected}`, { cause });
}
