// Runs other programs without blocking, and ends them when set-up itself is told to end.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { SetupError } from './report.mjs';

/**
 * @typedef {object} RunResult
 * @property {number} code Exit status; 128 and the signal's number where a signal ended it.
 * @property {string} output The beginning and the end of what it wrote, stdout and stderr together.
 */

/** How much of the beginning and of the end of a program's output is kept for an error message, in lines. */
const keptLines = 20;

/** A program that has not ended this long after it was told to is left alone. */
const endMs = 2_500;

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/**
 * Runs a program to its end.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void }} [options] `onLine` gets each line of
 *   its output, stdout and stderr.
 * @returns {Promise<RunResult>}
 * @throws {SetupError} Where the program cannot be started at all.
 */
export function run(command, args, { cwd, env = process.env, onLine } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    /** @type {string[]} */
    const first = [];
    /** @type {string[]} */
    const last = [];
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on('line', (line) => {
        (first.length < keptLines ? first : last).push(line);
        if (last.length > keptLines) last.shift();
        onLine?.(line);
      });
    }
    child.on('error', (error) => {
      running.delete(child);
      reject(new SetupError(`Cannot run \`${command}\`: ${error.message}`));
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ code: exitStatus(code, signal), output: [...first, ...last].join('\n') });
    });
  });
}

/**
 * What a shell would report as the exit status.
 *
 * @param {number | null} code
 * @param {NodeJS.Signals | null} signal
 * @returns {number}
 */
export function exitStatus(code, signal) {
  if (code !== null) return code;
  return 128 + (signal === null ? 0 : constants.signals[signal]);
}

/**
 * Makes SIGINT, SIGTERM and SIGHUP end what set-up runs, and then set-up itself: a half-done build must not go on
 * behind the next one's back.
 *
 * @returns {() => void} Takes the handlers away again.
 */
export function endChildrenOnSignal() {
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  /** @param {NodeJS.Signals} signal */
  const end = (signal) => {
    const exit = () => process.exit(exitStatus(null, signal));
    setTimeout(exit, endMs);
    let left = running.size;
    if (left === 0) exit();
    for (const child of running) {
      child.once('close', () => {
        left -= 1;
        if (left === 0) exit();
      });
      child.kill('SIGTERM');
    }
  };
  for (const signal of signals) process.once(signal, end);
  return () => {
    for (const signal of signals) process.off(signal, end);
  };
}
