// Compiles what is native, where there is a compiler: src/native-module.ts finds each part by the hash of its source.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { findProgram } from './debian.mjs';
import { createProgress, say } from './report.mjs';
import { run } from './run.mjs';

/**
 * C11 as it stands: the compiler then joins no product and sum to one that would round otherwise than WebAssembly. Warnings are for the test of this:
 * those of a newer compiler are no reason to go without.
 */
const options = ['-std=c11', '-O3', '-fPIC', '-shared', '-fvisibility=hidden'];

/** What there is, and which machines each is written for. */
const parts = [
  {
    source: 'src/models/kernel/native/kernel.c',
    archs: ['x64'],
    means: "the network's kernel",
    otherwise: 'WebAssembly serves in its place',
  },
  {
    source: 'src/sfu/native/rtp-reader.c',
    archs: ['x64', 'arm64'],
    means: 'the reader of packets',
    otherwise: "packets come by mediasoup's channel",
  },
];

/** Sources that are written for machines like this one. */
export const nativeSources = partsFor(process.platform, process.arch).map(({ source }) => source);

/** Whether they can be compiled now. */
export function canBuildNative() {
  return nativeSources.length > 0 && findProgram('cc') !== undefined;
}

/**
 * Whether there is nothing to do: all is compiled, or cannot be here.
 *
 * @param {string} root Of the checkout.
 */
export function nativeIsBuilt(root) {
  return !canBuildNative() || nativeSources.every((source) => existsSync(builtFile(root, source)));
}

/**
 * Compiles what is missing and takes away what is of older sources. What fails is said, and no more: for each part there is another way.
 *
 * @param {string} root Of the checkout, its packages installed.
 * @returns {Promise<boolean>} Whether all is there now.
 */
export async function buildNative(root) {
  const folder = join(root, 'dist', 'native');
  mkdirSync(folder, { recursive: true });
  const wanted = new Set(nativeSources.map((source) => basename(builtFile(root, source))));
  for (const name of readdirSync(folder)) if (name.endsWith('.node') && !wanted.has(name)) rmSync(join(folder, name));
  let whole = true;
  for (const part of partsFor(process.platform, process.arch)) whole = (await buildPart(root, part)) && whole;
  return whole;
}

/**
 * @param {string} root
 * @param {(typeof parts)[number]} part
 */
async function buildPart(root, { source, means, otherwise }) {
  const file = builtFile(root, source);
  if (existsSync(file)) return true;
  const partial = `${file}.${process.pid}.partial`;
  const progress = createProgress(`Compiling ${means} for this machine`);
  const headers = join(root, 'node_modules', 'node-api-headers', 'include');
  const { code, output } = await run('cc', [...options, '-isystem', headers, join(root, source), '-o', partial]);
  if (code !== 0) {
    progress.end(`failed; ${otherwise}`);
    say(output);
    rmSync(partial, { force: true });
    return false;
  }
  renameSync(partial, file);
  progress.end();
  return true;
}

/**
 * @param {string} platform
 * @param {string} arch
 */
function partsFor(platform, arch) {
  return platform === 'linux' ? parts.filter(({ archs }) => archs.includes(arch)) : [];
}

/**
 * By the source and the headers beside it.
 *
 * @param {string} root
 * @param {string} source
 */
function builtFile(root, source) {
  const folder = dirname(join(root, source));
  const headers = readdirSync(folder).filter((name) => name.endsWith('.h'));
  const hash = createHash('sha256');
  for (const name of [basename(source), ...headers.sort()]) hash.update(readFileSync(join(folder, name)));
  return join(
    root,
    'dist',
    'native',
    `${basename(source, '.c')}-${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}.node`,
  );
}
