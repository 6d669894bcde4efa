// Installs Debian packages that are missing; where it may not, says exactly what to run.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { createProgress, say, SetupError } from './report.mjs';
import { run } from './run.mjs';

/**
 * The absolute path of a program, or `undefined` where there is none of that name.
 *
 * @param {string} name
 * @param {string} [path] A PATH.
 */
export function findProgram(name, path = process.env['PATH'] ?? '') {
  return path
    .split(delimiter)
    .map((folder) => join(folder, name))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Which of these Debian packages are not installed.
 *
 * @param {readonly string[]} names
 * @returns {string[]}
 */
export function missingDebianPackages(names) {
  // eslint-disable-next-line no-template-curly-in-string -- dpkg-query's own template
  const { stdout } = spawnSync('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...names], { encoding: 'utf8' });
  const installed = new Set((stdout ?? '').split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0]] : [])));
  return names.filter((name) => !installed.has(name));
}

/**
 * Installs Debian packages.
 *
 * @param {readonly string[]} names
 * @param {string} purpose What they are for, as it follows "for".
 * @throws {SetupError} Without apt or without root's rights: then it names the command to run.
 */
export async function installDebianPackages(names, purpose) {
  const list = names.join(' ');
  if (findProgram('apt-get') === undefined) {
    throw new SetupError(`For ${purpose}, install these (Debian's names) with your system's package manager: ${list}`);
  }
  if (process.getuid?.() !== 0) {
    throw new SetupError(
      `For ${purpose}, run this once, then start again:\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${list}`,
    );
  }
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'Acquire::Retries=2'];
  const progress = createProgress(`Installing from Debian, for ${purpose}: ${list}`);
  /** @param {string} line */
  const onLine = (line) => progress.update(line);
  const update = await run('apt-get', [...options, 'update'], { env, onLine });
  const install = await run('apt-get', [...options, 'install', '-y', '--no-install-recommends', ...names], { env, onLine });
  if (install.code !== 0) {
    progress.end('failed');
    if (update.code !== 0) say(update.output);
    throw new SetupError(`\`apt-get install ${list}\` failed:\n${install.output}`);
  }
  progress.end();
}
