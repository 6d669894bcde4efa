// The counts and the last line of `npm test`.
import { describe, expect, it } from 'vitest';
import { countPythonTests, countTests, lastLine } from '../../../scripts/setup/test-report.mjs';

const passedFile = { status: 'passed', assertionResults: [{ status: 'passed' }] };
const failedFile = { status: 'failed', assertionResults: [{ status: 'passed' }, { status: 'failed' }] };
const brokenFile = { status: 'failed', assertionResults: [] };
const brokenHookFile = { status: 'failed', assertionResults: [{ status: 'skipped' }] };

function report(numPassedTests: number, numFailedTests: number, testResults: (typeof passedFile)[] = []) {
  return { numPassedTests, numFailedTests, numPendingTests: 0, testResults };
}

describe('countTests', () => {
  it('takes the counts of the report', () => {
    expect(countTests(report(7, 0, [passedFile]), 0)).toEqual({ passed: 7, failed: 0, skipped: 0 });
    expect(countTests(report(7, 2, [passedFile, failedFile]), 1)).toEqual({ passed: 7, failed: 2, skipped: 0 });
  });

  it('counts a file that does not load, and one whose hook fails, as a failure each', () => {
    expect(countTests(report(1, 1, [failedFile, brokenFile, brokenHookFile]), 1)).toEqual({ passed: 1, failed: 3, skipped: 0 });
  });

  it('counts a run that fails outside every test as a failure', () => {
    expect(countTests(report(7, 0, [passedFile]), 1)).toEqual({ passed: 7, failed: 1, skipped: 0 });
  });

  it('counts a run without a report as a failure', () => {
    expect(countTests(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countTests(undefined, 137)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});

describe('countPythonTests', () => {
  it('takes the counts from the last lines', () => {
    expect(countPythonTests('....\n----\nRan 4 tests in 0.1s\n\nOK', 0)).toEqual({ passed: 4, failed: 0, skipped: 0 });
    expect(countPythonTests('Ran 5 tests in 9s\n\nOK (skipped=2)', 0)).toEqual({ passed: 3, failed: 0, skipped: 2 });
    expect(countPythonTests('Ran 9 tests in 9s\n\nFAILED (failures=2, errors=1, skipped=1)', 1)).toEqual({
      passed: 5,
      failed: 3,
      skipped: 1,
    });
  });

  it('counts a run that ended otherwise as a failure', () => {
    expect(countPythonTests('ImportError: no torch', 1)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countPythonTests('Ran 0 tests in 0.0s\n\nOK', 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(countPythonTests('Ran 4 tests in 0.1s\n\nOK', 139)).toEqual({ passed: 4, failed: 1, skipped: 0 });
  });
});

describe('lastLine', () => {
  it('has the form that tools read', () => {
    expect(lastLine({ passed: 120, failed: 3, skipped: 1 })).toBe('120 passed, 3 failed');
  });
});
