// The engine that ships: onnxruntime's CPU provider in a thread of its own.
import { ThreadEngine } from './engine-thread.ts';
import type { EngineContext } from './load-engine.ts';
import { streamShape } from './manifest.ts';
import type { Engine } from './types.ts';

/** Starts an inference thread on the CPU. Rejects as {@link ThreadEngine.start} does. */
export async function createCpuEngine(context: EngineContext): Promise<Engine> {
  const { manifest, paths, intraOpNumThreads, logger } = context;
  const networks = { trunkPath: paths.trunk, headPath: paths.head, shape: streamShape(manifest) };
  return ThreadEngine.start({ name: 'cpu', thread: { ...networks, executionProviders: ['cpu'], intraOpNumThreads }, logger });
}
