// Finds a Python that can train, the first with PyTorch, NumPy and SciPy, and the allocator that it runs with.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Debian's packages that make its own Python such a one, and a quick one. */
export const pythonPackages = ['python3-torch', 'python3-numpy', 'python3-scipy', 'libopenblas0-pthread', 'libjemalloc2', 'ffmpeg'];

/**
 * Where Debian has the allocator jemalloc, by `process.arch`.
 *
 * @type {Partial<Record<string, string>>}
 */
const jemalloc = { x64: '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2', arm64: '/usr/lib/aarch64-linux-gnu/libjemalloc.so.2' };

/**
 * The command of a Python that has what `training/` imports, or `undefined`. `UNDERTONE_PYTHON` goes before `python3`,
 * and that before Debian's own, which a version manager may hide.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined}
 */
export function findPython(env = process.env) {
  const named = env['UNDERTONE_PYTHON'];
  const candidates = named === undefined || named === '' ? ['python3', '/usr/bin/python3'] : [named];
  return candidates.find((command) => spawnSync(command, ['-c', 'import torch, numpy, scipy'], { env, stdio: 'ignore' }).status === 0);
}

/**
 * What a program of `training/` finds in its environment beside `env`: jemalloc where it is there and nothing else was asked for. A step of
 * training makes and frees some thousand tensors of other sizes each time, and the C library's allocator gets slower from epoch to epoch.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @param {string | undefined} [library]
 * @returns {NodeJS.ProcessEnv}
 */
export function allocatorOf(env = process.env, library = jemalloc[process.arch]) {
  if ((env['LD_PRELOAD'] ?? '') !== '' || library === undefined || !existsSync(library)) return {};
  return { LD_PRELOAD: library, MALLOC_CONF: env['MALLOC_CONF'] ?? 'dirty_decay_ms:60000' };
}
