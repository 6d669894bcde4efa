// Finds a Python that can train: the first with PyTorch, NumPy and SciPy.
import { spawnSync } from 'node:child_process';

/** Debian's packages that make its own Python such a one. */
export const pythonPackages = ['python3-torch', 'python3-numpy', 'python3-scipy', 'libopenblas0-pthread', 'ffmpeg'];

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
