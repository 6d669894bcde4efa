// Where set-up keeps what is costly to get again: outside the checkout, so that every clone shares it.
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The cache folder (not created here): `$XDG_CACHE_HOME/undertone`, else `~/.cache/undertone`.
 *
 * @param {NodeJS.ProcessEnv} [env]
 */
export function cacheFolder(env = process.env) {
  const configured = env['XDG_CACHE_HOME'];
  // A relative path there is invalid and ignored, says the XDG specification.
  return join(configured !== undefined && isAbsolute(configured) ? configured : join(homedir(), '.cache'), 'undertone');
}
