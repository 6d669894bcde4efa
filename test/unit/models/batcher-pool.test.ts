import { describe, expect, it } from 'vitest';
import { BatcherPool } from '../../../src/models/batcher-pool.ts';
import type { BatchingOptions } from '../../../src/models/batcher.ts';
import { FakeEngine, featureWindow, flushPromises, tinyManifest } from './support.ts';

/** A pool on fake engines, and a log of what became of each window as `fate:trackId/hop`. */
function setUp(count: number, options: BatchingOptions = {}) {
  const engines = Array.from({ length: count }, () => new FakeEngine());
  const log: string[] = [];
  const name = (window: { track: { trackId: string }; endFrame: number }) =>
    `${window.track.trackId}/${String(window.endFrame / tinyManifest.hopFrames)}`;
  const pool = new BatcherPool({
    maxBatch: 1,
    ...options,
    engines,
    manifest: tinyManifest,
    clock: { nowMs: () => 0 },
    onScored: ({ window }) => log.push(`scored:${name(window)}`),
    onLost: (window, fate) => log.push(`${fate}:${name(window)}`),
  });
  const submit = (trackId: string, hop: number) => pool.submit(featureWindow({ trackId, hop }));
  /** Which engine was given which windows. */
  const given = () => engines.map(({ batches }) => batches.flat().map(({ trackId, endFrame }) => `${trackId}/${String(endFrame / 25)}`));
  const finishAll = async () => {
    while (engines.some(({ held }) => held > 0)) for (const engine of engines) await engine.finish();
  };
  return { engines, pool, submit, log, given, finishAll };
}

describe('BatcherPool', () => {
  it('deals tracks out evenly, and keeps each to its engine', async () => {
    const { submit, given, finishAll } = setUp(2);
    for (const hop of [1, 2, 3]) {
      for (const trackId of ['a', 'b', 'c', 'd']) submit(trackId, hop);
      await finishAll();
    }
    expect(given()).toEqual([
      ['a/1', 'c/1', 'a/2', 'c/2', 'a/3', 'c/3'],
      ['b/1', 'd/1', 'b/2', 'd/2', 'b/3', 'd/3'],
    ]);
  });

  it('runs engines side by side: a slow one holds up its own tracks alone', async () => {
    const { engines, submit, log } = setUp(2);
    submit('a', 1);
    submit('b', 1);
    await engines[1]!.finish();
    submit('b', 2);
    await engines[1]!.finish();
    expect(log).toEqual(['scored:b/1', 'scored:b/2']);
  });

  it('moves the tracks of an engine that is down, and frees what it kept', async () => {
    const { engines, submit, given, log, finishAll } = setUp(2);
    for (const trackId of ['a', 'b']) submit(trackId, 1);
    await finishAll();
    engines[0]!.ready = false;
    for (const trackId of ['a', 'b']) submit(trackId, 2);
    await finishAll();
    expect(given()).toEqual([['a/1'], ['b/1', 'a/2', 'b/2']]);
    expect(engines[0]!.released).toEqual(['a']);
    expect(log).toHaveLength(4);
  });

  it('moves no track while a window of it is under way, so that its scores keep their order', async () => {
    const { engines, submit, given, log } = setUp(2);
    submit('a', 1);
    engines[0]!.ready = false;
    submit('a', 2);
    expect(given()).toEqual([['a/1'], []]);
    await engines[0]!.fail();
    await engines[0]!.fail();
    submit('a', 3);
    await engines[1]!.finish();
    expect(log).toEqual(['failed:a/1', 'failed:a/2', 'scored:a/3']);
  });

  it('leaves tracks where they are while no engine is up', async () => {
    const { engines, submit, given, finishAll } = setUp(2);
    for (const trackId of ['a', 'b', 'c']) submit(trackId, 1);
    await finishAll();
    for (const engine of engines) engine.ready = false;
    for (const trackId of ['a', 'b', 'c', 'd']) submit(trackId, 2);
    await finishAll();
    expect(given()).toEqual([
      ['a/1', 'c/1', 'a/2', 'c/2'],
      ['b/1', 'b/2', 'd/2'],
    ]);
  });

  it('evens out when an engine comes back or tracks leave, one track at a time', async () => {
    const { engines, pool, submit, given, finishAll } = setUp(2);
    engines[1]!.ready = false;
    for (const trackId of ['a', 'b', 'c', 'd']) submit(trackId, 1);
    await finishAll();
    engines[1]!.ready = true;
    for (const hop of [2, 3]) {
      for (const trackId of ['a', 'b', 'c', 'd']) submit(trackId, hop);
      await finishAll();
    }
    expect(given()).toEqual([
      ['a/1', 'b/1', 'c/1', 'd/1', 'c/2', 'd/2', 'c/3', 'd/3'],
      ['a/2', 'b/2', 'a/3', 'b/3'],
    ]);
    expect(engines[0]!.released).toEqual(['a', 'b']);
    pool.cancelTrack('a');
    pool.cancelTrack('b');
    for (const trackId of ['c', 'd']) submit(trackId, 4);
    await finishAll();
    expect(given()[1]?.slice(4)).toEqual(['c/4']);
  });

  it('forgets a cancelled track: nothing of it comes back, and its engine frees it', async () => {
    const { engines, pool, submit, log, finishAll } = setUp(2);
    for (const trackId of ['a', 'b']) submit(trackId, 1);
    submit('a', 2);
    expect(pool.pending).toBe(3);
    pool.cancelTrack('a');
    pool.cancelTrack('a');
    pool.cancelTrack('never');
    expect(pool.pending).toBe(1);
    await finishAll();
    expect(log).toEqual(['scored:b/1']);
    expect(engines.map(({ released }) => released)).toEqual([['a'], []]);
  });

  it('closes all its batchers, once', async () => {
    const { engines, pool, submit, log } = setUp(2);
    for (const trackId of ['a', 'b']) submit(trackId, 1);
    const closed = pool.close();
    expect(pool.close()).toBe(closed);
    let done = false;
    void closed.then(() => (done = true));
    await engines[0]!.finish();
    expect(done).toBe(false);
    await engines[1]!.finish();
    await closed;
    submit('c', 1);
    await flushPromises();
    expect(log).toEqual([]);
    expect(engines.every(({ held }) => held === 0)).toBe(true);
  });
});
