// Chooses an inference engine from the table of those there are, and proves that it runs this model.
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { FeatureBlock } from '../pipeline/types.ts';
import { cpuEngine } from './engine-cpu.ts';
import type { EngineContext, EngineEntry, engineNames } from './engine-entry.ts';
import { gpuEngines } from './engine-gpu.ts';
import { featureCount, type LoadedModel } from './manifest.ts';
import type { Engine } from './types.ts';

/** What configuration may ask for: an engine by name, or the first that this machine can run. */
export type EngineName = 'auto' | (typeof engineNames)[number];

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
  /** Of the CPU engine; those on a GPU run 32-bit floats. @default 'int16' */
  readonly precision?: EngineContext['precision'];
  /** Whether the CPU engine's kernel may use what was compiled for this processor. @default true */
  readonly native?: boolean;
  /** Windows in a full batch: what an engine on a GPU is measured with. @default 8 */
  readonly maxBatch?: number;
  /** As {@link ThreadEngineOptions.bell}. */
  readonly bell?: SharedArrayBuffer | undefined;
  /** The engines to choose from, best first. @default every engine there is */
  readonly table?: readonly EngineEntry[];
}

/** Every engine, in the order in which `auto` tries them. */
const engineTable: readonly EngineEntry[] = [...gpuEngines, cpuEngine];
/** The engine that every other is held against: a model that it cannot run is none. */
const reference = cpuEngine.name;

/**
 * Loads the named engine, or the first that this machine can run, `threads` times if it can be, and runs each once. Rejects with
 * UT_ENGINE_UNAVAILABLE and every reason where none loads, and with UT_MODEL_INVALID where the networks do not keep the
 * manifest's contract on the CPU: no other engine would change that.
 */
export async function loadEngines(options: LoadEngineOptions): Promise<readonly Engine[]> {
  const {
    model,
    logger,
    name = 'auto',
    threads = 1,
    intraOpNumThreads = 1,
    precision = 'int16',
    native = true,
    maxBatch = 8,
    bell,
    table = engineTable,
  } = options;
  if (!(threads >= 1)) throw new UndertoneError('UT_CONFIG_INVALID', `Expected \`threads\` to be at least 1, got \`${String(threads)}\``);
  const pinned = name !== 'auto';
  const candidates = table.filter((entry) => !pinned || entry.name === name);
  const context: EngineContext = { ...model, intraOpNumThreads, precision, native, maxBatch, pinned, logger, bell };
  const reasons: string[] = [];
  for (const entry of candidates) {
    try {
      const count = Math.min(threads, entry.maxThreads ?? threads);
      const engines = await startEntry(entry, context, count);
      if (count < threads) logger.warn({ engine: entry.name, threads: count, asked: threads }, 'this engine runs in fewer threads');
      logger.info({ engine: entry.name, threads: count, detail: engines[0]?.detail }, 'inference engine loaded');
      return engines;
    } catch (error) {
      if (entry.name === reference && error instanceof UndertoneError && error.code === 'UT_MODEL_INVALID') throw error;
      const reason = messageOf(error);
      reasons.push(`${entry.name}: ${reason}${entry.needs === undefined ? '' : `. It needs ${entry.needs}`}`);
      logger.info({ engine: entry.name, reason }, 'inference engine not available');
    }
  }
  const got = reasons.length > 0 ? reasons.join('; ') : `only ${table.map((entry) => entry.name).join(', ')}`;
  throw new UndertoneError('UT_ENGINE_UNAVAILABLE', `Expected inference engine \`${name}\` to load, got: ${got}`);
}

async function startEntry(entry: EngineEntry, context: EngineContext, threads: number): Promise<readonly Engine[]> {
  await entry.prepare?.(context);
  return startAll(threads, async () => {
    const engine = await entry.create(context);
    await warmUp(engine, context);
    return engine;
  });
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
  const { windowFrames, contextFrames, hopFrames, labels } = manifest;
  const block: FeatureBlock = { features: new Int16Array(hopFrames * featureCount), mask: new Float32Array(hopFrames).fill(1) };
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
