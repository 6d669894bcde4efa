// Brings a fresh clone to where it can run: Node, npm packages, the mediasoup worker, and what the tests need.
// Uses Node's own modules alone, and nothing that Node 20 does not have: it runs before anything is installed.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from './cache.mjs';
import { findProgram, installDebianPackages } from './debian.mjs';
import { withLock } from './lock.mjs';
import { buildNative, nativeIsBuilt, nativeSources } from './native.mjs';
import { bringNode, findNode } from './node.mjs';
import { installPackages, packagesAreInstalled } from './packages.mjs';
import { findPython, pythonPackages } from './python.mjs';
import { say, SetupError } from './report.mjs';
import { endChildrenOnSignal } from './run.mjs';
import { installWorker, workerIsInstalled } from './worker.mjs';

/** The root folder of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Programs that the tests start, and the Debian packages that they are in. */
const testPrograms = {
  'redis-server': ['redis-server'],
  chromium: ['chromium'],
  ffmpeg: ['ffmpeg'],
  ...(nativeSources.length > 0 ? { cc: ['gcc', 'libc6-dev'] } : {}),
};

/**
 * Does what is missing; asks no network and writes nothing where all is there. Ends the process with a message where
 * it cannot go on.
 *
 * @param {{ forTests?: boolean }} [options]
 * @returns {Promise<string>} The Node to run everything with.
 */
export async function setUp({ forTests = false } = {}) {
  const cache = cacheFolder();
  const stopListening = endChildrenOnSignal();
  try {
    return findReady(cache, forTests) ?? (await withLock(join(cache, 'set-up.lock'), tellOfWaiting, () => bringAll(cache, forTests)));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(error.message);
    process.exit(1);
  } finally {
    stopListening();
  }
}

/**
 * @param {string} cache
 * @param {boolean} forTests
 * @returns {string | undefined} The Node, if nothing is missing.
 */
function findReady(cache, forTests) {
  const node = findNode(cache);
  const installed = packagesAreInstalled(root) && workerIsInstalled(root) && nativeIsBuilt(root);
  const ready = node !== undefined && installed && (!forTests || missing().length === 0);
  return ready ? node : undefined;
}

/**
 * @param {string} cache
 * @param {boolean} forTests
 */
async function bringAll(cache, forTests) {
  const node = findNode(cache) ?? (await bringNode(cache));
  if (!packagesAreInstalled(root)) await installPackages(root);
  if (!workerIsInstalled(root)) await installWorker(root, cache);
  if (forTests && missing().length > 0) await installDebianPackages(missing(), 'the tests');
  // For each part there is another way: no reason to stop here.
  if (!nativeIsBuilt(root)) await buildNative(root);
  return node;
}

/** Debian packages that the tests lack. */
function missing() {
  const programs = Object.entries(testPrograms).flatMap(([name, packages]) => (findProgram(name) === undefined ? packages : []));
  return findPython() === undefined ? [...programs, ...pythonPackages] : programs;
}

function tellOfWaiting() {
  say('Another set-up is running; waiting for it.');
}
