// Windows a second through EmoNet as it streams: the engine's thread, as it serves, against the same in the main thread.
import { createLogger } from '../../src/log.ts';
import { loadEngines } from '../../src/models/load-engine.ts';
import { streamShape } from '../../src/models/manifest.ts';
import { StreamFeed } from '../../src/models/stream-feed.ts';
import { Streams } from '../../src/models/streams.ts';
import type { EngineWindow } from '../../src/models/types.ts';
import type { FeatureWindow } from '../../src/pipeline/types.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Variant } from './rounds.ts';
import { mainThreadSession, shippedModel, speechWindows } from './speech.ts';

const batchSizes = [1, 4, 8, 16];
const windowCount = 64;
const rounds = 12;
const threads = 2;

/** A variant's work, and what goes before it. */
interface Run {
  readonly prepare: () => Promise<void>;
  readonly run: () => Promise<unknown>;
}

type Score = (windows: readonly EngineWindow[]) => Promise<unknown>;

/** Runs the same windows of speech in batches of several sizes, one batch at a time; each row of a batch is a caller. */
export async function measureInference(): Promise<BenchmarkResult> {
  const model = await shippedModel();
  const windows = await speechWindows(windowCount + 1, model.frontEnd);
  const logger = createLogger('silent');
  const engines = await loadEngines({ model, name: 'cpu', precision: 'fp32', threads: threads + 1, logger });
  const [engine, ...pool] = engines;
  if (engine === undefined) throw new Error('Expected an engine, got none');
  const session = await mainThreadSession(model);
  const shape = streamShape(model.manifest);
  const [streams, feed] = [new Streams(session, shape), new StreamFeed(shape)];

  const inMain: Score = (batch) => streams.run(feed.pack(batch));
  const inThread: Score = (batch) => engine.run(batch);
  const inThreads = pool.map(
    (one): Score =>
      (batch) =>
        one.run(batch),
  );
  const variants = batchSizes.flatMap((size): Variant[] => [
    { name: `main thread ${String(size)}`, units: windowCount, ...callers(windows, size, inMain) },
    { name: `engine thread ${String(size)}`, units: windowCount, ...callers(windows, size, inThread) },
    { name: `${String(threads)} engine threads ${String(size)}`, units: threads * windowCount, ...together(windows, size, inThreads) },
  ]);
  const timings = await compare(variants, rounds);
  await Promise.all([...engines.map((one) => one.close()), session.close()]);

  const timing = (where: string, size: number) => timings.find(({ name }) => name === `${where} ${String(size)}`);
  const rows = ['main thread', 'engine thread', `${String(threads)} engine threads`].flatMap((where) =>
    batchSizes.map((size) => {
      const { minUs = NaN, medianUs = NaN } = timing(where, size) ?? {};
      return {
        where,
        'windows a batch': size,
        'windows/s, best': 1e6 / minUs,
        'windows/s, median': 1e6 / medianUs,
        'ms a batch, median': (medianUs * size * (where.startsWith(String(threads)) ? threads : 1)) / 1000,
        'times main thread': (timing('main thread', size)?.medianUs ?? NaN) / medianUs,
      };
    }),
  );
  const about =
    `onnxruntime's CPU provider, one thread a session, ${String(windowCount)} windows a run of callers who speak on, ` +
    `${String(rounds)} interleaved rounds.`;
  return { name: 'inference', about, rows, failures: [] };
}

/**
 * A run of `size` callers who say the same in step, a hop a batch, for `hops`. Each starts with a window that is not timed: a
 * stream's first costs the trunk on all of it.
 */
export function callers(windows: readonly FeatureWindow[], size: number, score: Score, hops = windowCount / size): Run {
  const at = (index: number): EngineWindow[] => {
    const { endFrame, blocks } = windows[index] ?? { endFrame: 0, blocks: [] };
    return Array.from({ length: size }, (_, caller) => ({ trackId: `${String(size)}-${String(caller)}`, endFrame, blocks }));
  };
  return {
    prepare: async () => {
      await score(at(0));
    },
    run: async () => {
      for (let index = 1; index <= hops; index += 1) await score(at(index));
    },
  };
}

/** As many such runs side by side as there are engines. */
function together(windows: readonly FeatureWindow[], size: number, scores: readonly Score[]): Run {
  const runs = scores.map((score) => callers(windows, size, score));
  return {
    prepare: async () => {
      await Promise.all(runs.map(({ prepare }) => prepare()));
    },
    run: () => Promise.all(runs.map(({ run }) => run())),
  };
}
