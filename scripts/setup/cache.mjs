// Where set-up keeps what is costly to get again: outside the checkout, so that every clone shares it.
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The cache folder (not created here): `$XDG_CACHE_HOME/undertone`, else `~/.cache/undertone`.
 *
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheFolder(env = process.env) {
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'undertone');
}
