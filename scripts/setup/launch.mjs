// Runs the server as a child: passes on each signal once, and its exit status.
import { spawn } from 'node:child_process';
import { exitStatus } from './run.mjs';

/** @type {readonly NodeJS.Signals[]} */
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** A child that has not ended this long after a signal is killed. The server itself ends within 3 s. */
const graceMs = 10_000;

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, echoMs?: number }} [options] The same signal again within `echoMs` is
 *   npm's echo of the terminal's Ctrl-C, not a second one.
 * @returns {Promise<number>} Its exit status.
 */
export function launch(command, args, { cwd, env, echoMs = 1_000 } = {}) {
  return new Promise((resolve, reject) => {
    // A process group of its own: Ctrl-C in a terminal reaches this process, and the child gets it from here, once.
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    /** @type {Map<NodeJS.Signals, number>} */
    const passedMs = new Map();
    /** @type {NodeJS.Timeout | undefined} */
    let killTimer;
    /** @param {NodeJS.Signals} signal */
    const pass = (signal) => {
      const nowMs = performance.now();
      if (nowMs - (passedMs.get(signal) ?? -Infinity) < echoMs) return;
      passedMs.set(signal, nowMs);
      child.kill(signal);
      killTimer ??= setTimeout(() => killGroup(child.pid), graceMs);
    };
    for (const signal of signals) process.on(signal, pass);
    const stopListening = () => {
      clearTimeout(killTimer);
      for (const signal of signals) process.off(signal, pass);
    };
    child.on('error', (error) => {
      stopListening();
      reject(error);
    });
    child.on('exit', (code, signal) => {
      stopListening();
      resolve(exitStatus(code, signal));
    });
  });
}

/**
 * Kills a child with all that it started (mediasoup's workers).
 *
 * @param {number | undefined} pid
 */
function killGroup(pid) {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // ended meanwhile
  }
}
