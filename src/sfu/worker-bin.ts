// Finds the mediasoup worker binary: named by the host, or built into the user's cache, or mediasoup's own.
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { version } from 'mediasoup';

/** The environment variables that matter, handed in by whoever may read the environment. */
export interface WorkerBinEnvironment {
  readonly MEDIASOUP_WORKER_BIN?: string | undefined;
  readonly XDG_CACHE_HOME?: string | undefined;
  readonly HOME?: string | undefined;
}

/** Where the set-up script leaves the worker that it built, by mediasoup version. */
export function cachedWorkerBin(environment: WorkerBinEnvironment, mediasoupVersion: string = version): string {
  const cacheHome = environment.XDG_CACHE_HOME?.startsWith('/')
    ? environment.XDG_CACHE_HOME
    : join(environment.HOME === undefined || environment.HOME === '' ? homedir() : environment.HOME, '.cache');
  return join(cacheHome, 'undertone', 'mediasoup-worker', mediasoupVersion, 'mediasoup-worker');
}

/**
 * The worker binary to run: `MEDIASOUP_WORKER_BIN`, else the one in the cache if it can be executed, else
 * `undefined`, which means mediasoup's default.
 */
export function findWorkerBin(environment: WorkerBinEnvironment, mediasoupVersion: string = version): string | undefined {
  if (environment.MEDIASOUP_WORKER_BIN !== undefined && environment.MEDIASOUP_WORKER_BIN !== '') return environment.MEDIASOUP_WORKER_BIN;
  const cached = cachedWorkerBin(environment, mediasoupVersion);
  return isExecutable(cached) ? cached : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
