// Chooses an inference engine from the table of those there are, and proves that it runs this model.
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { FeatureBlock } from '../pipeline/types.ts';
import { createCpuEngine } from './engine-cpu.ts';
import type { LoadedModel } from './manifest.ts';
import type { Engine } from './types.ts';

/** What configuration may ask for: an engine by name, or the first that loads. */
export type EngineName = 'auto' | 'cpu';

/** What an engine is made from. */
export interface EngineContext extends LoadedModel {
  /** Threads that one session may use within an operator. */
  readonly intraOpNumThreads: number;
  readonly logger: Logger;
}

/**
 * A kind of engine. `create` rejects with UT_ENGINE_UNAVAILABLE where this machine cannot run it. It may be called several
 * times, for engines that run side by side.
 */
export interface EngineEntry {
  readonly name: string;
  create(context: EngineContext): Promise<Engine>;
}

/** Options of {@link loadEngines}. */
export interface LoadEngineOptions {
  readonly model: LoadedModel;
  readonly logger: Logger;
  /** @default 'auto' */
  readonly name?: EngineName;
  /** Engines to run side by side, each in a thread of its own. @default 1 */
  readonly threads?: number;
  /** @default 1 */
  readonly intraOpNumThreads?: number;
  /** The engines to choose from, best first. @default every engine there is */
  readonly table?: readonly EngineEntry[];
}

/** Every engine, in the order in which `auto` tries them. */
const engineTable: readonly EngineEntry[] = [{ name: 'cpu', create: createCpuEngine }];

/**
 * Loads the named engine, or the first that loads, `threads` times, and runs each once. Rejects with UT_ENGINE_UNAVAILABLE
 * and every reason where none loads, and with UT_MODEL_INVALID where the networks do not keep the manifest's contract: no
 * other engine would change that.
 */
export async function loadEngines(options: LoadEngineOptions): Promise<readonly Engine[]> {
  const { model, logger, name = 'auto', threads = 1, intraOpNumThreads = 1, table = engineTable } = options;
  if (!(threads >= 1)) throw new UndertoneError('UT_CONFIG_INVALID', `Expected \`threads\` to be at least 1, got \`${String(threads)}\``);
  const candidates = table.filter((entry) => name === 'auto' || entry.name === name);
  const reasons: string[] = [];
  for (const entry of candidates) {
    try {
      const engines = await startAll(threads, async () => {
        const engine = await entry.create({ ...model, intraOpNumThreads, logger });
        await warmUp(engine, model);
        return engine;
      });
      logger.info({ engine: entry.name, threads }, 'inference engine loaded');
      return engines;
    } catch (error) {
      if (error instanceof UndertoneError && error.code === 'UT_MODEL_INVALID') throw error;
      reasons.push(`${entry.name}: ${messageOf(error)}`);
      logger.warn({ engine: entry.name, reason: messageOf(error) }, 'inference engine not available');
    }
  }
  const got = reasons.length > 0 ? reasons.join('; ') : `only ${table.map((entry) => entry.name).join(', ')}`;
  throw new UndertoneError('UT_ENGINE_UNAVAILABLE', `Expected inference engine \`${name}\` to load, got: ${got}`);
}

/** Starts `count` engines, or none: where one fails, the others are closed and its error is thrown. */
async function startAll(count: number, start: () => Promise<Engine>): Promise<readonly Engine[]> {
  const started = await Promise.allSettled(Array.from({ length: count }, start));
  const engines = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  const failed = started.find((result) => result.status === 'rejected');
  if (failed === undefined) return engines;
  await Promise.allSettled(engines.map((engine) => engine.close()));
  throw failed.reason;
}

/** Scores two windows twice, as of two callers who go on; closes the engine and throws where the logits mean nothing. */
async function warmUp(engine: Engine, { manifest, paths }: LoadedModel): Promise<void> {
  const { windowFrames, contextFrames, hopFrames, melBands, mfccCount, labels } = manifest;
  const block: FeatureBlock = { features: new Float32Array(hopFrames * (melBands + mfccCount)), mask: new Float32Array(hopFrames).fill(1) };
  const blocks = Array<FeatureBlock>(Math.ceil((contextFrames + windowFrames) / hopFrames)).fill(block);
  const trackIds = ['warm-up-1', 'warm-up-2'];
  try {
    for (const hop of [1, 2]) {
      const logits = await engine.run(trackIds.map((trackId) => ({ trackId, endFrame: hop * hopFrames, blocks })));
      if (logits.length !== trackIds.length * labels.length) {
        const got = `${String(logits.length / trackIds.length)} logits a window`;
        throw invalid(paths.head, `one logit for each of its ${String(labels.length)} labels, got ${got}`);
      }
      if (!logits.every(Number.isFinite)) throw invalid(paths.head, 'finite logits, got others');
    }
    for (const trackId of trackIds) engine.release(trackId);
  } catch (error) {
    await engine.close();
    throw error;
  }
}

function invalid(path: string, expected: string): UndertoneError {
  return new UndertoneError('UT_MODEL_INVALID', `Expected \`${path}\` to give ${expected}`);
}
