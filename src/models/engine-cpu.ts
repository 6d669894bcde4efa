// The engine that ships: onnxruntime's CPU provider, one session a thread.
import { EnginePool } from './engine-pool.ts';
import type { EngineContext } from './load-engine.ts';
import { ThreadEngine } from './engine-thread.ts';
import type { Engine } from './types.ts';

/** Starts `threads` inference threads on the CPU. Rejects as {@link ThreadEngine.start} does. */
export async function createCpuEngine(context: EngineContext): Promise<Engine> {
  const { onnxPath, threads, intraOpNumThreads, logger } = context;
  const thread = { onnxPath, executionProviders: ['cpu'], intraOpNumThreads };
  return EnginePool.start(threads, () => ThreadEngine.start({ name: 'cpu', thread, logger }));
}
