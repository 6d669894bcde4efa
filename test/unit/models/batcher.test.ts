import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../../src/metrics.ts';
import { Batcher, type BatchingOptions } from '../../../src/models/batcher.ts';
import { FakeEngine, fakeLogit, featureWindow, flushPromises, tinyManifest, valuesOf } from './support.ts';

const clock = { nowMs: () => Date.now() };

beforeEach(() => {
  vi.useFakeTimers({ now: 0 });
});

afterEach(() => {
  vi.useRealTimers();
});

/** A batcher on a fake engine, and a log of what became of each window as `fate:trackId/hop`. */
function setUp(options: BatchingOptions = {}) {
  const engine = new FakeEngine();
  const metrics = createMetrics();
  const log: string[] = [];
  const errors: unknown[] = [];
  const batcher = new Batcher({
    ...options,
    engine,
    manifest: tinyManifest,
    clock,
    metrics,
    onScored: ({ window, posterior }) => {
      const best = posterior.probabilities.indexOf(Math.max(...posterior.probabilities));
      log.push(`scored:${window.track.trackId}/${String(window.endSample / 4000)}=${String(best)}`);
    },
    onLost: (window, fate) => log.push(`${fate}:${window.track.trackId}/${String(window.endSample / 4000)}`),
    onError: (error) => errors.push(error),
  });
  const submit = (trackId: string, hop: number, value = 0, callId = 'call', ageMs = 0) => {
    batcher.submit(featureWindow({ trackId, hop, value, callId, arrivalMs: clock.nowMs() - ageMs }));
  };
  const fates = async () => {
    const { values } = await metrics.windows.get();
    return Object.fromEntries(values.map(({ labels, value }) => [String(labels.fate), value]));
  };
  return { batcher, engine, metrics, log, errors, submit, fates };
}

describe('Batcher', () => {
  it('sends a batch at once when it is full', async () => {
    const { engine, submit, log } = setUp({ maxBatch: 3 });
    submit('a', 1, 1);
    submit('b', 1, 2);
    expect(engine.batches).toHaveLength(0);
    submit('c', 1, 3);
    expect(valuesOf(engine.batches[0])).toEqual([1, 2, 3]);
    await engine.finish();
    expect(log).toEqual(['scored:a/1=1', 'scored:b/1=2', 'scored:c/1=3']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('sends a batch that is not full once its oldest window has waited long enough', () => {
    const { engine, submit } = setUp({ maxQueueMs: 20 });
    submit('a', 1, 1);
    vi.advanceTimersByTime(15);
    submit('b', 1, 2);
    vi.advanceTimersByTime(4);
    expect(engine.batches).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(valuesOf(engine.batches[0])).toEqual([1, 2]);
  });

  it('makes a window that comes late wait for less company, down to none', async () => {
    const { engine, submit } = setUp({ maxQueueMs: 20 });
    vi.advanceTimersByTime(100);
    submit('a', 1, 1, 'call', 15);
    vi.advanceTimersByTime(5);
    submit('b', 1, 2, 'call', 32);
    vi.advanceTimersByTime(7);
    expect(engine.batches).toHaveLength(0);
    vi.advanceTimersByTime(1);
    expect(valuesOf(engine.batches[0])).toEqual([1, 2]);
    await engine.finish();
    submit('c', 1, 3, 'call', 40);
    expect(valuesOf(engine.batches[1])).toEqual([3]);
  });

  it('hands the engine the blocks of each window under its track', () => {
    const { engine, batcher } = setUp({ maxBatch: 2 });
    const windows = [featureWindow({ trackId: 'a', hop: 3 }), featureWindow({ trackId: 'b', hop: 4 })];
    for (const window of windows) batcher.submit(window);
    expect(engine.batches).toEqual([
      [
        { trackId: 'a', endFrame: 75, blocks: windows[0]?.blocks },
        { trackId: 'b', endFrame: 100, blocks: windows[1]?.blocks },
      ],
    ]);
  });

  it('calibrates with the temperature of the manifest', async () => {
    const engine = new FakeEngine();
    const seen: Float32Array[] = [];
    const onScored = vi.fn(({ posterior }: { posterior: { probabilities: Float32Array } }) => void seen.push(posterior.probabilities));
    const batcher = new Batcher({ engine, manifest: tinyManifest, clock, maxBatch: 1, onScored, onLost: () => undefined });
    batcher.submit(featureWindow({ value: 2 }));
    await engine.finish();
    const weight = Math.exp(fakeLogit / tinyManifest.temperature);
    expect(seen[0]?.[2]).toBeCloseTo(weight / (weight + 5), 5);
  });

  it('keeps one waiting window a track: the newest', async () => {
    const { engine, submit, log, batcher } = setUp({ maxBatch: 1 });
    submit('a', 1);
    for (const hop of [2, 3, 4]) submit('a', hop);
    expect(batcher.pending).toBe(2);
    await engine.finish();
    await engine.finish();
    expect(log).toEqual(['superseded:a/2', 'superseded:a/3', 'scored:a/1=0', 'scored:a/4=0']);
  });

  it('lets the newest inherit the wait of the one whose place it took', () => {
    const { engine, submit } = setUp({ maxQueueMs: 20 });
    submit('a', 1, 1);
    vi.advanceTimersByTime(19);
    submit('a', 2, 2);
    vi.advanceTimersByTime(1);
    expect(valuesOf(engine.batches[0])).toEqual([2]);
  });

  it('sends no window of a track while another of it is with the engine, so that scores keep their order', async () => {
    const { engine, submit, log } = setUp({ maxBatch: 1, maxInFlight: 4 });
    submit('a', 1);
    submit('a', 2);
    submit('b', 1);
    expect(engine.held).toBe(2);
    await engine.finish();
    expect(engine.held).toBe(2);
    await engine.finish();
    await engine.finish();
    expect(log).toEqual(['scored:a/1=0', 'scored:b/1=0', 'scored:a/2=0']);
  });

  it('keeps to the number of batches in flight', async () => {
    const { engine, submit } = setUp({ maxBatch: 1, maxInFlight: 2 });
    for (const trackId of ['a', 'b', 'c', 'd']) submit(trackId, 1);
    expect(engine.held).toBe(2);
    await engine.finish();
    expect(engine.held).toBe(2);
    expect(engine.batches).toHaveLength(3);
  });

  it('serves a call of one track before the second turn of a call of many', async () => {
    const { engine, submit } = setUp({ maxBatch: 4 });
    submit('blocker', 1, 100, 'other');
    vi.advanceTimersByTime(20);
    for (let index = 0; index < 20; index += 1) submit(`big-${String(index)}`, 1, index, 'big');
    submit('small', 1, 50, 'small');
    await engine.finish();
    expect(valuesOf(engine.batches[1])).toEqual([0, 50, 1, 2]);
    submit('small', 2, 51, 'small');
    await engine.finish();
    expect(valuesOf(engine.batches[2])).toContain(51);
  });

  it('drops windows that are too old when their turn comes, and goes on', async () => {
    const { engine, submit, log, batcher } = setUp({ maxBatch: 1, maxAgeMs: 2000 });
    submit('a', 1);
    submit('b', 1);
    vi.advanceTimersByTime(1500);
    submit('c', 1);
    vi.advanceTimersByTime(501);
    await engine.finish();
    expect(log).toEqual(['scored:a/1=0', 'expired:b/1']);
    await engine.finish();
    expect(log).toEqual(['scored:a/1=0', 'expired:b/1', 'scored:c/1=0']);
    expect(batcher.pending).toBe(0);
  });

  it('loses the windows of a failed batch and no others', async () => {
    const { engine, submit, log, errors } = setUp({ maxBatch: 2 });
    submit('a', 1);
    submit('b', 1);
    submit('c', 1);
    submit('d', 1);
    await engine.fail();
    await engine.finish();
    expect(log).toEqual(['failed:a/1', 'failed:b/1', 'scored:c/1=0', 'scored:d/1=0']);
    expect(errors).toEqual([expect.objectContaining({ code: 'UT_ENGINE_FAILED' })]);
  });

  it('loses only the window whose logits mean nothing', async () => {
    const { engine, submit, log, errors } = setUp({ maxBatch: 3 });
    submit('a', 1, 1);
    submit('b', 1, NaN);
    submit('c', 1, 3);
    await engine.finish();
    expect(log).toEqual(['scored:a/1=1', 'failed:b/1', 'scored:c/1=3']);
    expect(errors).toHaveLength(1);
  });

  const odd = { features: new Int16Array(5), mask: new Float32Array(25) };
  it.each([
    ['too few blocks', { blocks: featureWindow().blocks.slice(1) }, /got 4 blocks of 25 frames/],
    ['a block of another size', { blocks: [null, null, null, null, odd] }, /got a block of 5 features and a mask of 25/],
    ["an end off the hops' grid", { endFrame: 26 }, /got one that ends at frame 26/],
  ])('loses only a window of %s', async (_name, change, message) => {
    const { engine, submit, log, batcher, errors } = setUp({ maxBatch: 1 });
    batcher.submit({ ...featureWindow({ trackId: 'bad' }), ...change });
    submit('a', 1);
    await engine.finish();
    expect(log).toEqual(['failed:bad/1', 'scored:a/1=0']);
    expect(errors).toEqual([expect.objectContaining({ code: 'UT_ENGINE_FAILED', message: expect.stringMatching(message) })]);
  });

  it('delivers the rest of a batch where a receiver throws', async () => {
    const engine = new FakeEngine();
    const scored: string[] = [];
    const errors: unknown[] = [];
    const batcher = new Batcher({
      engine,
      manifest: tinyManifest,
      clock,
      maxBatch: 2,
      onScored: ({ window }) => {
        if (window.track.trackId === 'a') throw new Error('receiver');
        scored.push(window.track.trackId);
      },
      onLost: () => undefined,
      onError: (error) => errors.push(error),
    });
    batcher.submit(featureWindow({ trackId: 'a' }));
    batcher.submit(featureWindow({ trackId: 'b' }));
    await engine.finish();
    expect(scored).toEqual(['b']);
    expect(errors).toEqual([new Error('receiver')]);
  });

  it('says nothing more of a cancelled track, waiting or with the engine', async () => {
    const { engine, submit, log, batcher, fates } = setUp({ maxBatch: 1 });
    submit('a', 1);
    submit('a', 2);
    submit('b', 1);
    batcher.cancelTrack('a');
    expect(batcher.pending).toBe(1);
    await engine.finish();
    await engine.finish();
    expect(log).toEqual(['scored:b/1=0']);
    expect(await fates()).toEqual({ cancelled: 2, scored: 1 });
  });

  it('has the engine free what it keeps of a cancelled track, also where nothing of it is under way', async () => {
    const { engine, submit, batcher } = setUp({ maxBatch: 1 });
    submit('a', 1);
    expect(batcher.has('a')).toBe(true);
    await engine.finish();
    expect(batcher.has('a')).toBe(false);
    batcher.cancelTrack('a');
    expect(engine.released).toEqual(['a']);
  });

  it('scores a track that begins anew under a cancelled id, and only what came after', async () => {
    const { engine, submit, log, batcher } = setUp({ maxBatch: 1, maxInFlight: 2 });
    submit('a', 1);
    batcher.cancelTrack('a');
    submit('a', 9, 4);
    await engine.finish();
    await engine.finish();
    expect(log).toEqual(['scored:a/9=4']);
    expect(batcher.pending).toBe(0);
  });

  it('holds two windows a track at most while the engine is stuck', () => {
    const { submit, batcher, log } = setUp();
    for (let hop = 1; hop <= 1000; hop += 1) {
      for (const trackId of ['a', 'b', 'c']) submit(trackId, hop);
      vi.advanceTimersByTime(20);
    }
    expect(batcher.pending).toBe(6);
    expect(log).toHaveLength(3 * 998);
  });

  it('measures batches, waits and fates', async () => {
    const { engine, submit, metrics, fates } = setUp({ maxBatch: 2, maxQueueMs: 20 });
    submit('a', 1);
    vi.advanceTimersByTime(12);
    submit('b', 1);
    vi.advanceTimersByTime(7);
    await engine.finish();
    const sums = await Promise.all([metrics.batchSize, metrics.queueMs, metrics.inferenceMs].map((metric) => metric.get()));
    const sumOf = (index: number) => sums[index]?.values.find(({ metricName }) => metricName?.endsWith('_sum'))?.value;
    expect([sumOf(0), sumOf(1), sumOf(2)]).toEqual([2, 12, 7]);
    expect(await fates()).toEqual({ scored: 2 });
  });

  it('drops everything when it closes, waits for the engine, and takes nothing more', async () => {
    const { engine, submit, log, batcher } = setUp({ maxBatch: 1 });
    submit('a', 1);
    submit('b', 1);
    const closed = batcher.close();
    expect(batcher.close()).toBe(closed);
    let done = false;
    void closed.then(() => (done = true));
    await flushPromises();
    expect(done).toBe(false);
    await engine.finish();
    await closed;
    submit('c', 1);
    expect(log).toEqual([]);
    expect(batcher.pending).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('gives each window exactly one fate, whatever happens', async () => {
    const track = fc.constantFrom('a', 'b', 'c', 'd', 'e');
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ kind: fc.constant('submit' as const), track }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 900 }) }) },
      { weight: 3, arbitrary: fc.constant({ kind: 'finish' as const }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'fail' as const }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), track }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (steps, maxInFlight) => {
        const { engine, batcher, submit, fates, log } = setUp({ maxBatch: 2, maxInFlight });
        let submitted = 0;
        for (const one of steps) {
          if (one.kind === 'submit') submit(one.track, (submitted += 1), 0, one.track < 'c' ? 'x' : 'y');
          else if (one.kind === 'wait') vi.advanceTimersByTime(one.ms);
          else if (one.kind === 'cancel') batcher.cancelTrack(one.track);
          else await engine[one.kind]();
          expect(engine.held).toBeLessThanOrEqual(maxInFlight);
        }
        const closed = batcher.close();
        while (engine.held > 0) await engine.finish();
        await closed;
        const counts = await fates();
        expect(Object.values(counts).reduce((sum, count) => sum + count, 0)).toBe(submitted);
        expect(log).toHaveLength(submitted - (counts['cancelled'] ?? 0));
        for (const trackId of ['a', 'b', 'c', 'd', 'e']) {
          const hops = log.flatMap((line) => (line.startsWith(`scored:${trackId}/`) ? [parseInt(line.split('/')[1]!, 10)] : []));
          expect(hops).toEqual([...hops].sort((x, y) => x - y));
        }
      }),
      { numRuns: 60 },
    );
  });
});
