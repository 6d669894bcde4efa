// The engine that ships: onnxruntime's CPU provider in a thread of its own.
import type { EngineContext, EngineEntry } from './engine-entry.ts';
import { ThreadEngine } from './engine-thread.ts';
import { streamShape } from './manifest.ts';
import type { SessionOptions } from './open-session.ts';

/** The networks on the CPU: what serves where nothing better is there, and what every other engine is held against. */
export function cpuSession({ manifest, paths, intraOpNumThreads }: EngineContext): Extract<SessionOptions, { runtime: 'onnxruntime' }> {
  const networks = { trunkPath: paths.trunk, headPath: paths.head, shape: streamShape(manifest) };
  return { runtime: 'onnxruntime', ...networks, executionProviders: ['cpu'], intraOpNumThreads };
}

export const cpuEngine: EngineEntry = {
  name: 'cpu',
  /** Starts an inference thread on the CPU. Rejects as {@link ThreadEngine.start} does. */
  create: (context) => ThreadEngine.start({ name: 'cpu', thread: cpuSession(context), logger: context.logger }),
};
