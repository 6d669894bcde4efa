// The engine that ships: on the CPU, on our own kernel or onnxruntime, in a thread of its own.
import type { EngineContext, EngineEntry } from './engine-entry.ts';
import { ThreadEngine } from './engine-thread.ts';
import { kernelNetwork } from './kernel/network.ts';
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

/** The one that is wanted, or, where the model has nothing for it, the next that is more exact or slower. */
function servingSession(context: EngineContext): SessionOptions {
  const { manifest, precision, native } = context;
  const session = cpuSession(context);
  if (precision === 'int16' && manifest.network === kernelNetwork) {
    const { trunkPath, headPath, shape } = session;
    return { runtime: 'kernel', trunkPath, headPath, shape, native };
  }
  const { headInt8 } = context.paths;
  return precision !== 'fp32' && headInt8 !== undefined ? { ...session, headPath: headInt8 } : session;
}
