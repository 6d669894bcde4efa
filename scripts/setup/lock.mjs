// A lock between processes: two starts at once must not both build the same thing. A dead holder's lock is taken over.
import { mkdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const pollMs = 300;
const heartbeatMs = 5_000;
/** A holder on another host (a shared home) is taken for dead after this long without a heartbeat. */
const staleMs = 60_000;
const takeOverMs = 10_000;

/**
 * Does `work` while holding the lock, waiting for it first.
 *
 * @template T
 * @param {string} path Of the lock file; its folder is created.
 * @param {() => void} onWait Called once if another process holds it.
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function withLock(path, onWait, work) {
  mkdirSync(dirname(path), { recursive: true });
  let told = false;
  while (!tryCreate(path)) {
    if (takeOver(path)) continue;
    if (!told) onWait();
    told = true;
    await delay(pollMs);
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimesSync(path, now, now);
  }, heartbeatMs);
  heartbeat.unref();
  const release = () => rmSync(path, { force: true });
  process.on('exit', release);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    process.off('exit', release);
    release();
  }
}

/** @param {string} path */
function tryCreate(path) {
  try {
    writeFileSync(path, `${process.pid} ${hostname()}\n`, { flag: 'wx' });
    return true;
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes a dead holder's lock. Guarded by a second file, so that of two waiters one alone removes it, and never the
 * lock that the other has just made.
 *
 * @param {string} path
 * @returns {boolean} Whether it was removed.
 */
function takeOver(path) {
  if (!isStale(path)) return false;
  const guard = `${path}.take-over`;
  if (!tryCreate(guard)) {
    if (ageMs(guard) > takeOverMs) rmSync(guard, { force: true });
    return false;
  }
  try {
    if (!isStale(path)) return false;
    rmSync(path, { force: true });
    return true;
  } finally {
    rmSync(guard, { force: true });
  }
}

/** @param {string} path */
function isStale(path) {
  try {
    const [pid = '', host] = readFileSync(path, 'utf8').trim().split(' ');
    // An empty file is one that its holder is writing at this moment.
    if (pid !== '' && host === hostname() && !isAlive(Number(pid))) return true;
    return ageMs(path) > staleMs;
  } catch {
    return false; // released meanwhile
  }
}

/** @param {string} path */
function ageMs(path) {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
