// `npm test`: sets up what is missing, then lint, types and format, then the tests of training/ and all others. Arguments
// go to Vitest, and then only Vitest runs. The last line is `N passed, N failed`, where lint, types and format count as one each.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withCompileCache } from './setup/compile-cache.mjs';
import { launch } from './setup/launch.mjs';
import { withNode } from './setup/node.mjs';
import { run } from './setup/run.mjs';
import { root, setUp } from './setup/set-up.mjs';
import { countPythonTests, countTests, lastLine } from './setup/test-report.mjs';

const node = await setUp({ forTests: true });
const env = withCompileCache(root, withNode(node));
const testArguments = process.argv.slice(2);

const checks = testArguments.length > 0 ? [] : await Promise.all([check('lint'), check('typecheck'), check('format:check')]);
const parts = testArguments.length > 0 ? [await runTests()] : [await runPythonTests(), await runTests()];
/** @param {'passed' | 'failed' | 'skipped'} fate */
const sum = (fate) => parts.reduce((total, part) => total + part[fate], 0);
const counts = {
  passed: sum('passed') + checks.filter((ok) => ok).length,
  failed: sum('failed') + checks.filter((ok) => !ok).length,
  skipped: sum('skipped'),
};
if (counts.skipped > 0) console.log(`${counts.skipped} skipped`);
process.exitCode = counts.failed === 0 ? 0 : 1;
console.log(lastLine(counts));

/**
 * Runs one of the scripts of package.json.
 *
 * @param {string} name
 * @returns {Promise<boolean>} Whether it passed.
 */
async function check(name) {
  const startMs = performance.now();
  const { code, output } = await run('npm', ['run', '--silent', name], { cwd: root, env });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(code === 0 ? `✓ ${name} (${seconds} s)` : `✗ ${name} (${seconds} s)\n${output}`);
  return code === 0;
}

/** The tests of training/. */
async function runPythonTests() {
  const startMs = performance.now();
  const args = ['scripts/python.mjs', '-B', '-m', 'unittest', 'discover', '-s', 'training/tests', '-t', 'training'];
  const { code, output } = await run(node, args, { cwd: root, env: { ...env, OMP_WAIT_POLICY: 'PASSIVE' } });
  const counts = countPythonTests(output, code);
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  console.log(counts.failed === 0 ? `✓ training, ${counts.passed} tests (${seconds} s)` : `✗ training (${seconds} s)\n${output}`);
  return counts;
}

async function runTests() {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-test-'));
  const reportFile = join(folder, 'report.json');
  try {
    const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
    const args = ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...testArguments];
    const exitCode = await launch(node, [vitest, ...args], { cwd: root, env });
    return countTests(readReport(reportFile), exitCode);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {string} file */
function readReport(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined; // Vitest ended before it wrote one
  }
}
