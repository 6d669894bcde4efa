// Gets the mediasoup worker (a C++ program): from the cache, as mediasoup's prebuilt binary, or built from its source.
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform, release } from 'node:os';
import { dirname, join } from 'node:path';
import { say, SetupError } from './report.mjs';
import { run } from './run.mjs';
import { buildWorker } from './worker-build.mjs';

/** What a worker exits with when it is started without mediasoup's environment (main.cpp): then it does run here. */
const withoutEnvironmentStatus = 41;
const downloadStartMs = 10_000;
const downloadWholeMs = 180_000;

/**
 * Whether mediasoup will find a worker that runs on this machine.
 *
 * @param {string} root Of the checkout.
 * @throws {SetupError} Where MEDIASOUP_WORKER_BIN names a file that is no worker.
 */
export function workerIsInstalled(root) {
  const named = process.env['MEDIASOUP_WORKER_BIN'];
  if (named === undefined || named === '') return workerRuns(installedWorker(root));
  if (workerRuns(named)) return true;
  throw new SetupError(`Expected \`MEDIASOUP_WORKER_BIN\` to name a mediasoup worker that runs here, got \`${named}\``);
}

/**
 * Puts the worker where mediasoup looks for it, from the cache where it is there already.
 *
 * @param {string} root
 * @param {string} cache
 */
export async function installWorker(root, cache) {
  const packageFolder = join(root, 'node_modules', 'mediasoup');
  const meta = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
  const cached = join(cache, 'mediasoup-worker', meta.version, 'mediasoup-worker');
  if (!workerRuns(cached)) {
    mkdirSync(dirname(cached), { recursive: true });
    const downloaded = await downloadWorker(prebuiltUrl(meta), cached);
    if (!downloaded) {
      const built = await buildWorker(packageFolder, meta.version, join(cache, 'mediasoup-worker-build', meta.version));
      if (!workerRuns(built.binary)) throw new SetupError(`The mediasoup worker that was built does not run: ${built.binary}`);
      placeFile(built.binary, cached);
      rmSync(built.folder, { recursive: true, force: true });
    }
  }
  placeFile(cached, installedWorker(root));
}

/**
 * Where mediasoup's own install would download the worker from: its repository, as its package.json names it.
 *
 * @param {{ version: string, repository: { url: string } }} meta mediasoup's package.json.
 * @param {NodeJS.ProcessEnv} [env]
 */
export function prebuiltUrl(meta, env = process.env) {
  const repository = meta.repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
  const base = env['MEDIASOUP_WORKER_PREBUILT_DOWNLOAD_BASE_URL'] || `${repository}/releases/download`;
  const kernel = platform() === 'linux' ? `-kernel${release().split('.')[0]}` : '';
  return `${base}/${meta.version}/mediasoup-worker-${meta.version}-${platform()}-${arch()}${kernel}.tgz`;
}

/**
 * Downloads the prebuilt worker. That it cannot be had is no failure: then it is built.
 *
 * @param {string} url
 * @param {string} target
 * @returns {Promise<boolean>} Whether `target` is now a worker that runs here.
 */
export async function downloadWorker(url, target) {
  if (process.env['MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD']) return false;
  const folder = `${target}.partial`;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  try {
    writeFileSync(join(folder, 'worker.tgz'), await fetchBytes(url));
    const unpacked = await run('tar', ['-xzf', 'worker.tgz'], { cwd: folder });
    const binary = join(folder, 'mediasoup-worker');
    if (unpacked.code !== 0 || !existsSync(binary)) throw new Error('the archive is damaged');
    chmodSync(binary, 0o755);
    if (!workerRuns(binary)) throw new Error("it does not run here (another system's libraries)");
    renameSync(binary, target);
    say('The mediasoup worker was downloaded (prebuilt).');
    return true;
  } catch (error) {
    say(`No prebuilt mediasoup worker: ${reason(error)}.`);
    return false;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Whether a file is a worker that this machine can run.
 *
 * @param {string} path
 */
export function workerRuns(path) {
  return existsSync(path) && spawnSync(path, [], { env: {}, stdio: 'ignore', timeout: 10_000 }).status === withoutEnvironmentStatus;
}

/** @param {string} root */
function installedWorker(root) {
  return join(root, 'node_modules', 'mediasoup', 'worker', 'out', 'Release', 'mediasoup-worker');
}

/**
 * Copies an executable so that its name never stands for half a file.
 *
 * @param {string} from
 * @param {string} to
 */
function placeFile(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const partial = `${to}.${process.pid}.partial`;
  copyFileSync(from, partial);
  chmodSync(partial, 0o755);
  renameSync(partial, to);
}

/**
 * Fetches a file; gives up soon where nothing answers (a firewall that swallows packets).
 *
 * @param {string} url
 */
async function fetchBytes(url) {
  const controller = new AbortController();
  const abort = () => controller.abort(new Error('no answer in time'));
  let timer = setTimeout(abort, downloadStartMs);
  try {
    const response = await fetch(url, { signal: controller.signal });
    clearTimeout(timer);
    timer = setTimeout(abort, downloadWholeMs);
    if (!response.ok) throw new Error(response.status === 404 ? 'there is none for this system' : `HTTP ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } finally {
    clearTimeout(timer);
  }
}

/** @param {unknown} error */
function reason(error) {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
