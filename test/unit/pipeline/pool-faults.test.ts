// Pipeline threads that die, hang, or cannot be started: what becomes of their callers.
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { hopSamples } from '../../../src/pipeline/feature-extractor.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import { recordBytes } from '../../../src/pipeline/pool/packet-batch.ts';
import { createMetrics } from '../../../src/metrics.ts';
import { metricOf } from '../../support/server.ts';
import { fated, goodPackets, spec, speech } from './packets.ts';
import {
  heldThreads,
  inThisThread,
  openCaller,
  openPool,
  patience,
  startPool,
  storyOf,
  TestCaller,
  turns,
  untilClosed,
} from './pool-support.ts';

describe('a thread that dies', () => {
  /** What must hold of a track that went through several front ends. */
  const expectRising = (caller: TestCaller): void => {
    const { windows, changes } = caller;
    const ends = windows.map(({ endSample }) => endSample);
    expect(ends).toEqual([...new Set(ends)].sort((a, b) => a - b));
    for (const { endFrame } of windows) expect(endFrame % spec.hopFrames).toBe(0);
    expect(changes.map(({ atSample }) => atSample)).toEqual(changes.map(({ atSample }) => atSample).sort((a, b) => a - b));
    expect(changes.map(({ state }) => state)).toEqual(changes.map((_, index) => (index % 2 === 0 ? 'start' : 'end')));
    for (const kind of ['window', 'speech', 'gap'] as const) {
      const placedMs = caller.placedMs.filter((_, index) => caller.outputs[index]?.kind === kind);
      expect(placedMs).toEqual([...placedMs].sort((a, b) => a - b));
    }
  };

  it('leaves a gap and ends what was being said; its caller goes on in its place, and others notice nothing', async () => {
    const metrics = createMetrics();
    const { pool, workers } = await startPool({ threads: 2, metrics });
    const [caller, other] = [await openCaller(pool, 'p'), await openCaller(pool, 'q')];
    const packets = turns(3);
    let cut = 80;
    caller.send(packets.slice(0, cut));
    // As fast as they are spoken, so that nobody takes the caller for silent.
    for (; caller.windows.length < 2 && cut < 120; cut += 1) {
      caller.send(packets.slice(cut, cut + 1));
      await delay(20);
    }
    expect(caller.changes.map(({ state }) => state)).toEqual(['start']);
    const before = caller.outputs.length;
    void workers[0]?.terminate();
    other.send(goodPackets);
    other.packets.complete();
    await vi.waitFor(() => expect(workers).toHaveLength(3), patience);
    await vi.waitFor(() => expect(caller.outputs.length).toBe(before + 2), patience);
    const lastSample = caller.windows.at(-1)?.endSample;
    expect(caller.outputs.slice(before)).toMatchObject([
      { kind: 'speech', change: { state: 'end', atSample: lastSample } },
      { kind: 'gap', gap: { startSample: lastSample, track: caller.track } },
    ]);
    const gap = caller.gaps[0]!;
    // Up to the newest packet that had arrived.
    expect(Math.abs(gap.endSample - cut * 320)).toBeLessThanOrEqual(320);

    await pool.started();
    await delay(50);
    caller.send(packets.slice(cut, cut + 20));
    // The decoder of a new thread may take a moment, and no more than 32 packets wait for it.
    await vi.waitFor(() => expect(caller.counts.received).toBe(cut + 20), patience);
    caller.send(packets.slice(cut + 20));
    caller.packets.complete();
    await untilClosed(caller, other);
    expectRising(caller);
    expect(caller.state).toEqual({ error: null, completed: true, closed: 1 });
    const after = caller.windows.filter(({ startSample }) => startSample >= gap.endSample);
    expect(after.length).toBeGreaterThan(10);
    // Placed by the arrival of the first packet that the new thread had, to less than a hop between windows.
    const lastEnd = caller.changes.at(-1)!;
    const reference = (await inThisThread(packets, 'p')).changes.at(-1)!;
    expect(Math.abs(lastEnd.atSample - reference.atSample)).toBeLessThanOrEqual(spec.hopFrames * hopSamples + 480);
    expect(Math.abs(caller.clock.wallMsOf(lastEnd.atSample) - (1000 + reference.atSample / 16))).toBeLessThanOrEqual(30);
    expect(caller.counts.received).toBe(packets.length);
    expect(fated(caller.counts)).toBe(packets.length);
    expect(caller.counts.overflow).toBeLessThanOrEqual(cut);

    expect(storyOf(other)).toEqual(storyOf(await inThisThread(goodPackets, 'q')));
    const text = await metrics.registry.metrics();
    expect(metricOf(text, 'undertone_pipeline_thread_deaths_total')).toBe(1);
    expect(metricOf(text, 'undertone_pipeline_turn_ms_count')).toBeGreaterThan(0);
    expect(metricOf(text, 'undertone_pipeline_utilization_ratio', { of: 'max' })).toBeGreaterThan(0);
  });

  it('again at once is replaced after a pause; meanwhile its callers are with the other thread', async () => {
    const { pool, workers } = await startPool({ threads: 2, restartDelayMs: 60_000 });
    const callers = [await openCaller(pool, 'p'), await openCaller(pool, 'q')];
    for (const caller of callers) caller.send(goodPackets.slice(0, 60));
    void workers[0]?.terminate();
    await vi.waitFor(() => expect(workers).toHaveLength(3), patience);
    void workers[2]?.terminate();
    await vi.waitFor(() => expect(pool.sizes).toEqual([0, 2]), patience);
    await delay(100);
    for (const caller of callers) caller.send(goodPackets.slice(60));
    for (const caller of callers) caller.packets.complete();
    await untilClosed(...callers);
    for (const caller of callers) {
      expect(caller.counts.received).toBe(goodPackets.length);
      expect(fated(caller.counts)).toBe(goodPackets.length);
      expectRising(caller);
    }
    // Of the second thread it had no packet yet.
    expect(callers.map(({ gaps }) => gaps.length)).toEqual([1, 0]);
    expect(workers).toHaveLength(3);
  });

  it('with no other that is up has its callers wait, their packets dropped and counted, and told as one gap', async () => {
    const { pool, workers } = await startPool({ restartDelayMs: 300 });
    const caller = await openCaller(pool, 'p');
    const late: TestCaller[] = [];
    const packets = turns(2);
    caller.send(packets.slice(0, 60));
    for (const spawned of [2, 2]) {
      void workers.at(-1)?.terminate();
      await vi.waitFor(() => expect(workers).toHaveLength(spawned), patience);
    }
    await vi.waitFor(() => expect(pool.sizes).toEqual([0]), patience);
    caller.send(packets.slice(60, 160));
    late.push(new TestCaller(pool, 'late'), new TestCaller(pool, 'gone'), new TestCaller(pool, 'ended'));
    late[1]!.giveUp();
    late[2]!.send(goodPackets.slice(0, 5));
    late[2]!.packets.complete();
    expect(late.map(({ state }) => state.closed)).toEqual([0, 1, 1]);
    expect(late[2]!.counts).toEqual({ ...createMediaCounts(), received: 5, overflow: 5 });
    expect(late[2]!.gaps).toHaveLength(1);
    await vi.waitFor(() => expect(workers).toHaveLength(3), patience);
    await vi.waitFor(() => expect(pool.ready).toBe(true), patience);
    await delay(100);
    caller.send(packets.slice(160, 180));
    await vi.waitFor(() => expect(caller.counts.received).toBe(180), patience);
    caller.send(packets.slice(180));
    caller.packets.complete();
    late[0]!.packets.complete();
    await untilClosed(caller, ...late);
    expectRising(caller);
    expect(caller.counts.overflow).toBeGreaterThanOrEqual(100);
    expect(fated(caller.counts)).toBe(packets.length);
    const last = caller.gaps.at(-1)!;
    expect(Math.abs(last.endSample - 160 * 320)).toBeLessThanOrEqual(320);
    expect(caller.windows.filter(({ startSample }) => startSample >= last.endSample).length).toBeGreaterThan(3);
  });

  it('whenever it is started is tried again more and more seldom', async () => {
    let spawned = 0;
    const spawn = (): Worker => {
      spawned += 1;
      return new Worker('process.exit(1)', { eval: true });
    };
    await expect(openPool({ spawn, restartDelayMs: 400 })).rejects.toMatchObject({ code: 'UT_SERVER_FAILED' });
    await delay(1000);
    expect(spawned).toBeGreaterThanOrEqual(2);
    expect(spawned).toBeLessThanOrEqual(4);
  });

  it('after it was told to finish a caller has said of it what it could', async () => {
    const threads = heldThreads();
    const { pool, workers } = await startPool({ spawn: threads.spawn });
    const caller = await openCaller(pool, 'p');
    caller.send(goodPackets.slice(0, 90));
    await vi.waitFor(() => expect(caller.windows.length).toBeGreaterThan(1), patience);
    threads.hold();
    caller.send(goodPackets.slice(90));
    caller.packets.complete();
    void workers[0]?.terminate();
    await untilClosed(caller);
    expect(caller.state.completed).toBe(true);
    expect(caller.outputs.slice(-2).map(({ kind }) => kind)).toEqual(['speech', 'gap']);
    expect(fated(caller.counts)).toBe(goodPackets.length);
    threads.release();
  });
});

describe('a thread that stands still', () => {
  it('is sent no more than the bound; the rest is dropped and counted, and it goes on from there', async () => {
    const threads = heldThreads();
    const maxUnansweredBytes = 10_000;
    const { pool, workers } = await startPool({ spawn: threads.spawn, maxUnansweredBytes });
    const caller = await openCaller(pool, 'p');
    const packets = turns(2);
    caller.send(packets.slice(0, 20));
    await vi.waitFor(() => expect(caller.counts.received).toBe(20), patience);
    threads.hold();
    const held = packets.slice(20, speech.length);
    caller.send(held);
    let bytes = 0;
    const taken = held.findIndex(({ data }) => (bytes += recordBytes(data.length)) > maxUnansweredBytes);
    expect(taken).toBeGreaterThan(0);
    expect(caller.counts.overflow).toBeGreaterThan(0);
    expect(held.length - caller.counts.overflow).toBeGreaterThanOrEqual(taken);
    threads.release();
    await vi.waitFor(() => expect(caller.counts.received).toBe(speech.length), patience);
    for (let at = speech.length; at < packets.length; at += 20) {
      caller.send(packets.slice(at, at + 20));
      await delay(20);
    }
    caller.packets.complete();
    await untilClosed(caller);
    expect(caller.counts.received).toBe(packets.length);
    expect(fated(caller.counts)).toBe(packets.length);
    expect(caller.gaps).toEqual([]);
    expect(workers).toHaveLength(1);
  });

  it('for a while is sent nothing more, and for long is replaced', async () => {
    const threads = heldThreads();
    const { pool, workers } = await startPool({ spawn: threads.spawn, maxUnansweredMs: 100, hangMs: 1500 });
    const caller = await openCaller(pool, 'p');
    caller.send(goodPackets.slice(0, 60));
    await vi.waitFor(() => expect(caller.counts.received).toBe(60), patience);
    threads.hold();
    caller.send(goodPackets.slice(60, 70));
    await delay(600);
    caller.send(goodPackets.slice(70, 80));
    expect(caller.counts.overflow).toBe(10);
    await vi.waitFor(() => expect(workers).toHaveLength(2), patience);
    threads.release();
    await pool.started();
    await vi.waitFor(() => expect(pool.ready).toBe(true), patience);
    await delay(50);
    caller.send(goodPackets.slice(80));
    caller.packets.complete();
    await untilClosed(caller);
    expect(caller.counts.overflow).toBeGreaterThanOrEqual(20);
    expect(fated(caller.counts)).toBe(goodPackets.length);
    expect(caller.gaps).toHaveLength(1);
  });
});
