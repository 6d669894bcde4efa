// What set-up tells the person who waits. All of it goes to stderr: stdout belongs to the program (`--json`).

/** A failure that the person can do something about: shown as its message alone. */
export class SetupError extends Error {
  /** @override */
  name = 'SetupError';
}

/** @param {string} text One line about what set-up does. */
export function say(text) {
  process.stderr.write(`[set-up] ${text}\n`);
}

/**
 * @typedef {object} Progress
 * @property {(text: string, ratio?: number) => void} update Shows where the work is; `ratio` is from 0 to 1.
 * @property {(text?: string) => void} end Ends the line, with a last word.
 */

/** How often a machine that only logs (no terminal) is told of progress, in ms. */
const plainIntervalMs = 15_000;

/**
 * One line that updates itself on a terminal; elsewhere a plain line every {@link plainIntervalMs}.
 *
 * @param {string} title
 * @param {{ stream?: { isTTY?: boolean, columns?: number, write(text: string): unknown }, nowMs?: () => number }} [options]
 * @returns {Progress}
 */
export function createProgress(title, { stream = process.stderr, nowMs = Date.now } = {}) {
  const startMs = nowMs();
  let shownMs = startMs;
  const live = stream.isTTY === true;
  stream.write(`[set-up] ${title} …${live ? '' : '\n'}`);
  /** @param {string} text */
  const line = (text) => `[set-up] ${title}: ${text}`;
  return {
    update(text, ratio) {
      const percent = ratio === undefined ? '' : `${Math.floor(ratio * 100)} % · `;
      if (live) {
        stream.write(`\r\x1b[K${clip(line(`${percent}${text}`), stream.columns ?? 80)}`);
      } else if (nowMs() - shownMs >= plainIntervalMs) {
        shownMs = nowMs();
        stream.write(`${line(`${percent}${text}`)}\n`);
      }
    },
    end(text = `done in ${durationText(nowMs() - startMs)}`) {
      stream.write(live ? `\r\x1b[K${line(text)}\n` : `${line(text)}\n`);
    },
  };
}

/**
 * A length of time as a person says it: `40 s`, `3 min`.
 *
 * @param {number} ms
 */
export function durationText(ms) {
  const seconds = Math.max(1, Math.round(ms / 1000));
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/**
 * Cuts a line so that it never wraps, which would break updating it in place.
 *
 * @param {string} text
 * @param {number} columns
 */
function clip(text, columns) {
  return text.length < columns ? text : `${text.slice(0, Math.max(0, columns - 2))}…`;
}
