// The engine that ships: onnxruntime's CPU provider in a thread of its own.
import type { EngineContext, EngineEntry } from './engine-entry.ts';
import { ThreadEngine } from './engine-thread.ts';
import { streamShape } from './manifest.ts';
import type { SessionOptions } from './open-session.ts';

type CpuSession = Extract<SessionOptions, { runtime: 'onnxruntime' }>;

/** The networks on the CPU in 32-bit floats: what every other engine is held against. */
export function cpuSession({ manifest, paths, intraOpNumThreads }: EngineContext): CpuSession {
  const networks = { trunkPath: paths.trunk, headPath: paths.head, shape: streamShape(manifest) };
  return { runtime: 'onnxruntime', ...networks, executionProviders: ['cpu'], intraOpNumThreads };
}

export const cpuEngine: EngineEntry = {
  name: 'cpu',
  /** Starts an inference thread on the CPU. Rejects as {@link ThreadEngine.start} does. */
  create: (context) => ThreadEngine.start({ name: 'cpu', thread: servingSession(context), logger: context.logger, bell: context.bell }),
};

/** With the head in 8-bit integers, where that is wanted and the model has one. */
function servingSession(context: EngineContext): CpuSession {
  const session = cpuSession(context);
  const { headInt8 } = context.paths;
  return context.precision === 'int8' && headInt8 !== undefined ? { ...session, headPath: headInt8 } : session;
}
