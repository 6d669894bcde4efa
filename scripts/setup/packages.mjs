// Installs the npm packages of package-lock.json where node_modules does not hold them already.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createProgress, say, SetupError } from './report.mjs';
import { run } from './run.mjs';

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {boolean} [optional] May be missing: for another platform, say.
 * @property {boolean} [link] A workspace, linked.
 * @property {string} [integrity]
 */

/** @typedef {Record<string, LockedPackage>} LockedPackages By path: `node_modules/ws`. */

/**
 * Whether node_modules holds what package-lock.json asks for, by npm's own record of what it installed. npm writes
 * that record last, so an install that was cut short does not pass.
 *
 * @param {string} root Of the checkout.
 */
export function packagesAreInstalled(root) {
  const wanted = readLock(join(root, 'package-lock.json'));
  const installed = readLock(join(root, 'node_modules', '.package-lock.json'));
  return wanted !== undefined && installed !== undefined && holds(installed, wanted);
}

/**
 * @param {LockedPackages} installed
 * @param {LockedPackages} wanted
 * @returns {boolean} Whether every wanted package is installed in its version; optional ones may be missing.
 */
export function holds(installed, wanted) {
  return Object.entries(wanted).every(([path, want]) => {
    if (!path.includes('node_modules/')) return true; // the root and the workspaces themselves
    const have = installed[path];
    if (have === undefined) return want.optional === true;
    return have.version === want.version && have.integrity === want.integrity && have.link === want.link;
  });
}

/**
 * Runs `npm ci`, once more if it fails (a network that hiccups). It runs as the person's own npm would, on the Node
 * that it belongs to, because npm finds its global settings (registry, certificates) from there.
 *
 * @param {string} root
 */
export async function installPackages(root) {
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const attempts = 2;
  for (let attempt = 1; ; attempt += 1) {
    const progress = createProgress('Installing the npm packages');
    const result = await run('npm', args, { cwd: root });
    if (result.code === 0) {
      progress.end();
      return;
    }
    progress.end('failed');
    if (attempt === attempts) throw new SetupError(`\`npm ci\` failed:\n${result.output}`);
    say(`${result.output}\nTrying once more.`);
  }
}

/**
 * @param {string} path
 * @returns {LockedPackages | undefined}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8')).packages;
  } catch {
    return undefined; // missing, or cut short
  }
}
