// Windows a second through EmoNet: the engine's thread, as it serves, against onnxruntime called from the main thread.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { createLogger } from '../../src/log.ts';
import { loadEngine } from '../../src/models/load-engine.ts';
import type { EngineBatch } from '../../src/models/types.ts';
import type { FeatureWindow } from '../../src/pipeline/types.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Variant } from './rounds.ts';
import { shippedModel, speechWindows } from './speech.ts';

const batchSizes = [1, 4, 8, 16];
const windowCount = 64;
const rounds = 12;
const threads = 2;

/** Runs the same windows of speech in batches of several sizes, one batch at a time. */
export async function measureInference(): Promise<BenchmarkResult> {
  const model = await shippedModel();
  const windows = await speechWindows(windowCount, model.frontEnd);
  const logger = createLogger('silent');
  const engine = await loadEngine({ model, name: 'cpu', logger });
  const pool = await loadEngine({ model, name: 'cpu', threads, logger });
  const session = await InferenceSession.create(model.onnxPath, {
    executionProviders: ['cpu'],
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
  });
  const inMain = async ({ batch, frameCount, featureCount, features, mask }: EngineBatch): Promise<void> => {
    const { logits } = await session.run({
      features: new Tensor('float32', features, [batch, frameCount, featureCount]),
      mask: new Tensor('float32', mask, [batch, frameCount]),
    });
    if (logits?.dims[0] !== batch) throw new Error('Expected logits for each window of the batch');
  };

  const inTurn = (size: number, score: (batch: EngineBatch) => Promise<unknown>) => async (): Promise<void> => {
    for (let at = 0; at < windows.length; at += size) await score(gather(windows.slice(at, at + size)));
  };
  const variants = batchSizes.flatMap((size): Variant[] => [
    { name: `main thread ${String(size)}`, units: windowCount, run: inTurn(size, inMain) },
    { name: `engine thread ${String(size)}`, units: windowCount, run: inTurn(size, (batch) => engine.run(batch)) },
    {
      name: `${String(threads)} engine threads ${String(size)}`,
      units: threads * windowCount,
      // As many batches under way as there are threads.
      run: () => Promise.all(Array.from({ length: threads }, () => inTurn(size, (batch) => pool.run(batch))())),
    },
  ]);
  const timings = await compare(variants, rounds);
  await Promise.all([engine.close(), pool.close(), session.release()]);

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
  const about = `onnxruntime's CPU provider, one thread a session, ${String(windowCount)} windows of speech a run, ${String(rounds)} interleaved rounds.`;
  return { name: 'inference', about, rows, failures: [] };
}

/** A batch with arrays of its own, as the batcher makes it: the engine takes them over. */
function gather(windows: readonly FeatureWindow[]): EngineBatch {
  const { frameCount = 0, featureCount = 0 } = windows[0] ?? {};
  const features = new Float32Array(windows.length * frameCount * featureCount);
  const mask = new Float32Array(windows.length * frameCount);
  for (const [row, window] of windows.entries()) {
    features.set(window.features, row * frameCount * featureCount);
    mask.set(window.mask, row * frameCount);
  }
  return { batch: windows.length, frameCount, featureCount, features, mask };
}
