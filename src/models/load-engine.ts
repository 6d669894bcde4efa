// Chooses an inference engine from the table of those there are, and proves that it runs this model.
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { createCpuEngine } from './engine-cpu.ts';
import type { LoadedModel } from './manifest.ts';
import type { Engine } from './types.ts';

/** What configuration may ask for: an engine by name, or the first that loads. */
export type EngineName = 'auto' | 'cpu';

/** What an engine is made from. */
export interface EngineContext extends LoadedModel {
  /** Sessions, each in a thread of its own. */
  readonly threads: number;
  /** Threads that one session may use within an operator. */
  readonly intraOpNumThreads: number;
  readonly logger: Logger;
}

/** A kind of engine. `create` rejects with UT_ENGINE_UNAVAILABLE where this machine cannot run it. */
export interface EngineEntry {
  readonly name: string;
  create(context: EngineContext): Promise<Engine>;
}

/** Options of {@link loadEngine}. */
export interface LoadEngineOptions {
  readonly model: LoadedModel;
  readonly logger: Logger;
  /** @default 'auto' */
  readonly name?: EngineName;
  /** @default 1 */
  readonly threads?: number;
  /** @default 1 */
  readonly intraOpNumThreads?: number;
  /** The engines to choose from, best first. @default every engine there is */
  readonly table?: readonly EngineEntry[];
}

/** Every engine, in the order in which `auto` tries them. */
const engineTable: readonly EngineEntry[] = [{ name: 'cpu', create: createCpuEngine }];

const warmUpBatch = 2;

/**
 * Loads the named engine, or the first that loads, and runs it once. Rejects with UT_ENGINE_UNAVAILABLE and every
 * reason where none loads, and with UT_MODEL_INVALID where the network does not keep the manifest's contract: no
 * other engine would change that.
 */
export async function loadEngine(options: LoadEngineOptions): Promise<Engine> {
  const { model, logger, name = 'auto', threads = 1, intraOpNumThreads = 1, table = engineTable } = options;
  const candidates = table.filter((entry) => name === 'auto' || entry.name === name);
  const reasons: string[] = [];
  for (const entry of candidates) {
    try {
      const engine = await entry.create({ ...model, threads, intraOpNumThreads, logger });
      await warmUp(engine, model);
      logger.info({ engine: entry.name, threads }, 'inference engine loaded');
      return engine;
    } catch (error) {
      if (error instanceof UndertoneError && error.code === 'UT_MODEL_INVALID') throw error;
      reasons.push(`${entry.name}: ${messageOf(error)}`);
      logger.warn({ engine: entry.name, reason: messageOf(error) }, 'inference engine not available');
    }
  }
  const got = reasons.length > 0 ? reasons.join('; ') : `only ${table.map((entry) => entry.name).join(', ')}`;
  throw new UndertoneError('UT_ENGINE_UNAVAILABLE', `Expected inference engine \`${name}\` to load, got: ${got}`);
}

/** Runs silence through the engine; closes it and throws where the answer is not `[batch, labels]` of finite numbers. */
async function warmUp(engine: Engine, { manifest, onnxPath }: LoadedModel): Promise<void> {
  const { windowFrames: frameCount, melBands, mfccCount, labels } = manifest;
  const featureCount = melBands + mfccCount;
  try {
    const features = new Float32Array(warmUpBatch * frameCount * featureCount);
    const mask = new Float32Array(warmUpBatch * frameCount).fill(1);
    const logits = await engine.run({ batch: warmUpBatch, frameCount, featureCount, features, mask });
    if (logits.length !== warmUpBatch * labels.length) {
      const got = `${String(logits.length / warmUpBatch)} logits a window`;
      throw invalid(onnxPath, `one logit for each of its ${String(labels.length)} labels, got ${got}`);
    }
    if (!logits.every(Number.isFinite)) throw invalid(onnxPath, 'finite logits on silence, got others');
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function invalid(onnxPath: string, expected: string): UndertoneError {
  return new UndertoneError('UT_MODEL_INVALID', `Expected \`${onnxPath}\` to give ${expected}`);
}
