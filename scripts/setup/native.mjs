// Compiles what of the network's kernel is native, where there is a compiler: src/models/kernel/native.ts finds it by the hash of its source.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram } from './debian.mjs';
import { createProgress, say } from './report.mjs';
import { run } from './run.mjs';

/**
 * C11 as it stands: the compiler then joins no product and sum to one that would round otherwise than WebAssembly. Warnings are for the test of this:
 * those of a newer compiler are no reason to go without.
 */
const options = ['-std=c11', '-O3', '-fPIC', '-shared', '-fvisibility=hidden'];

/** Whether it is written for machines like this one. */
export const nativeIsForHere = process.platform === 'linux' && process.arch === 'x64';

/** Whether it can be compiled now. */
export function canBuildNative() {
  return nativeIsForHere && findProgram('cc') !== undefined;
}

/**
 * Whether there is nothing to do: it is compiled, or cannot be here.
 *
 * @param {string} root Of the checkout.
 */
export function nativeIsBuilt(root) {
  return !canBuildNative() || existsSync(builtFile(root));
}

/**
 * Compiles it. What fails is said, and no more: WebAssembly does the same in half as much time again.
 *
 * @param {string} root Of the checkout, its packages installed.
 * @returns {Promise<boolean>} Whether it is there now.
 */
export async function buildNative(root) {
  const file = builtFile(root);
  const folder = join(root, 'dist', 'native');
  const partial = `${file}.${process.pid}.partial`;
  mkdirSync(folder, { recursive: true });
  const progress = createProgress("Compiling the network's kernel for this processor");
  const headers = join(root, 'node_modules', 'node-api-headers', 'include');
  const { code, output } = await run('cc', [...options, '-isystem', headers, sourceFile(root), '-o', partial]);
  if (code !== 0) {
    progress.end('failed; WebAssembly serves in its place');
    say(output);
    rmSync(partial, { force: true });
    return false;
  }
  for (const name of readdirSync(folder)) if (name.endsWith('.node')) rmSync(join(folder, name));
  renameSync(partial, file);
  progress.end();
  return true;
}

/** @param {string} root */
function sourceFile(root) {
  return join(root, 'src', 'models', 'kernel', 'native', 'kernel.c');
}

/** @param {string} root */
function builtFile(root) {
  const hash = createHash('sha256')
    .update(readFileSync(sourceFile(root)))
    .digest('hex')
    .slice(0, 16);
  return join(root, 'dist', 'native', `${process.platform}-${process.arch}-${hash}.node`);
}
