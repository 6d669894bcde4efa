// Finds a Node that can run the sources (it strips the types itself), or brings one from npm into the cache.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createProgress, SetupError } from './report.mjs';
import { run } from './run.mjs';
import { isAtLeast } from './version.mjs';

/** The first Node that runs TypeScript files without a flag. Equal to `engines` in package.json. */
export const oldestNode = '22.18.0';
/** The major version that is brought where the system's is older. */
const broughtMajor = 24;
/** npm packages that are nothing but Node's own binary, by `platform-arch`. */
const binaryPackages = ['darwin-arm64', 'darwin-x64', 'linux-arm64', 'linux-x64'];

/**
 * The Node to run everything with: this one, or the brought one.
 *
 * @param {string} cache Cache folder.
 * @returns {string | undefined} Absolute path of the binary; `undefined` where it has yet to be brought.
 */
export function findNode(cache) {
  if (isAtLeast(process.version, oldestNode)) return process.execPath;
  const brought = broughtBinary(cache);
  return existsSync(brought) ? brought : undefined;
}

/**
 * Brings Node from npm into the cache.
 *
 * @param {string} cache
 * @returns {Promise<string>} Absolute path of its binary.
 */
export async function bringNode(cache) {
  const platform = `${process.platform}-${process.arch}`;
  if (!binaryPackages.includes(platform)) {
    throw new SetupError(`Expected Node ${oldestNode} or newer, got ${process.version}. Install a newer Node for ${platform}.`);
  }
  const progress = createProgress(`Node ${process.version} is older than ${oldestNode}: bringing Node ${broughtMajor} from npm`);
  const folder = broughtFolder(cache);
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  writeFileSync(join(partial, 'package.json'), '{"private":true}\n');
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', `node-${platform}@${broughtMajor}`];
  const result = await run('npm', args, { cwd: partial });
  const binary = join(partial, binaryWithin());
  const version = result.code === 0 && existsSync(binary) ? await run(binary, ['--version']) : result;
  if (version.code !== 0) {
    progress.end('failed');
    throw new SetupError(
      `Could not bring Node ${broughtMajor}:\n${version.output}\nInstall Node ${oldestNode} or newer, then start again.`,
    );
  }
  // Only a whole one gets the final name: a run that was cut short leaves nothing that looks finished.
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
  progress.end(`${version.output.trim()} is in ${folder}`);
  return broughtBinary(cache);
}

/**
 * The environment in which `node` is that binary, for npm and for scripts that it starts.
 *
 * @param {string} node
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {NodeJS.ProcessEnv}
 */
export function withNode(node, env = process.env) {
  return { ...env, PATH: `${dirname(node)}${delimiter}${env['PATH'] ?? ''}` };
}

/** @param {string} cache */
function broughtFolder(cache) {
  return join(cache, 'node', `${broughtMajor}-${process.platform}-${process.arch}`);
}

/** @param {string} cache */
function broughtBinary(cache) {
  return join(broughtFolder(cache), binaryWithin());
}

function binaryWithin() {
  return join('node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node');
}
