// Where Node keeps what it makes of the sources, for the next process and for each of its threads.
import { join } from 'node:path';

/**
 * The environment with a folder of the checkout for Node's compile cache, unless it says otherwise itself: JavaScript without its types, and
 * V8's code of it. A pipeline thread then starts in half the time, which is the gap of its callers where one dies; and no thread needs Node's
 * stripper of types, a large WebAssembly module that each would load for itself. (That of Node 24: 22 keeps V8's code alone.)
 *
 * @param {string} root Of the checkout.
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {NodeJS.ProcessEnv}
 */
export function withCompileCache(root, env = process.env) {
  const own = env['NODE_COMPILE_CACHE'] !== undefined || env['NODE_DISABLE_COMPILE_CACHE'] !== undefined;
  return own ? env : { ...env, NODE_COMPILE_CACHE: join(root, 'dist', 'compile-cache') };
}
