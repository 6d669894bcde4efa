// Counts what Vitest's JSON report says, for the last line of `npm test`.

/**
 * @typedef {object} VitestReport The part of Vitest's JSON report that is read.
 * @property {number} numPassedTests
 * @property {number} numFailedTests
 * @property {number} numPendingTests
 * @property {{ status: string, assertionResults: { status: string }[] }[]} testResults
 */

/** @typedef {{ passed: number, failed: number, skipped: number }} Counts */

/**
 * Counts the tests of one run. A file that fails without a failing test in it (it does not load, say) counts as one
 * failure; so does a run that failed although nothing in the report did (an error outside any test, a crash).
 *
 * @param {VitestReport | undefined} report `undefined` where Vitest wrote none.
 * @param {number} exitCode Vitest's.
 * @returns {Counts}
 */
export function countTests(report, exitCode) {
  const brokenFiles = (report?.testResults ?? []).filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  ).length;
  const failed = (report?.numFailedTests ?? 0) + brokenFiles;
  return {
    passed: report?.numPassedTests ?? 0,
    failed: failed === 0 && (report === undefined || exitCode !== 0) ? 1 : failed,
    skipped: report?.numPendingTests ?? 0,
  };
}

/**
 * Counts the tests of a run of Python's unittest by what it says at its end: `Ran 12 tests in 3.4s`, then `OK` or
 * `FAILED (failures=1, errors=1)`, either with `skipped=1`. A run that said nothing of the kind counts as one failure.
 *
 * @param {string} output
 * @param {number} exitCode
 * @returns {Counts}
 */
export function countPythonTests(output, exitCode) {
  const ran = Number(/^Ran (\d+) tests?/m.exec(output)?.[1] ?? 0);
  const verdict = output.split('\n').findLast((line) => /^(OK|FAILED)\b/.test(line)) ?? '';
  /** @param {string} name */
  const said = (name) => Number(new RegExp(`\\b${name}=(\\d+)`).exec(verdict)?.[1] ?? 0);
  const failed = said('failures') + said('errors');
  const broken = failed === 0 && (exitCode !== 0 || ran === 0) ? 1 : 0;
  return { passed: ran - failed - said('skipped'), failed: failed + broken, skipped: said('skipped') };
}

/**
 * The last line of `npm test`; tools read it.
 *
 * @param {Counts} counts
 */
export function lastLine({ passed, failed }) {
  return `${passed} passed, ${failed} failed`;
}
