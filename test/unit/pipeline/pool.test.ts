// Callers in threads: the same as in the main thread, whatever others send.
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { mainThreadPipelines } from '../../../src/pipeline/pipelines.ts';
import type { ThreadRequest } from '../../../src/pipeline/pool/messages.ts';
import { broken, fated, faults, goodPackets, opus, spec } from './packets.ts';
import { heldThreads, inThisThread, openCaller, patience, startPool, storyOf, TestCaller, untilClosed } from './pool-support.ts';

describe('a caller in a thread', () => {
  it('is heard bit by bit as in the main thread, also with two threads and more callers, good, lossy and broken', async () => {
    const { pool } = await startPool({ threads: 2 });
    const lossy = broken(Array.from({ length: 12 }, (_, n) => ({ at: 30 + n * 7, fault: { kind: 'drop' } })));
    await fc.assert(
      fc.asyncProperty(fc.tuple(faults, faults), async (lists) => {
        const streams = [goodPackets, lossy, ...lists.map(broken)];
        const callers = streams.map((_, index) => new TestCaller(pool, `p${String(index)}`));
        expect(pool.sizes).toEqual([2, 2]);
        await delay(30);
        const longest = Math.max(...streams.map((packets) => packets.length));
        for (let at = 0; at < longest; at += 1) {
          for (const [index, packets] of streams.entries()) callers[index]?.send(packets.slice(at, at + 1));
        }
        for (const { packets } of callers) packets.complete();
        await untilClosed(...callers);
        for (const [index, packets] of streams.entries()) {
          const expected = await inThisThread(packets, `p${String(index)}`);
          expect(storyOf(callers[index]!)).toEqual(storyOf(expected));
          expect(expected.windows.length + expected.changes.length).toBeGreaterThan(0);
        }
      }),
      { numRuns: 6, endOnFailure: true },
    );
  });

  it('keeps nothing of the memory that packets come in, here as in the main thread', async () => {
    const { pool } = await startPool();
    // With gaps, so that packets wait in the jitter buffer while the next ones are written over them.
    const packets = broken(Array.from({ length: 12 }, (_, n) => ({ at: 30 + n * 7, fault: { kind: 'late' } })));
    const expected = storyOf(await inThisThread(packets, 'p'));
    for (const pipelines of [pool, mainThreadPipelines]) {
      const caller = await openCaller(pipelines, 'p');
      const memory = new Uint8Array(2000);
      for (const { data, arrivalMs } of packets) {
        memory.set(data);
        caller.send([{ data: memory.subarray(0, data.length), arrivalMs }]);
        memory.fill(0xff);
      }
      caller.packets.complete();
      await untilClosed(caller);
      expect(storyOf(caller)).toEqual(expected);
    }
  });

  it('shares blocks between its windows, as in the main thread', async () => {
    const { pool } = await startPool();
    const caller = await openCaller(pool, 'p');
    caller.send(goodPackets);
    caller.packets.complete();
    await untilClosed(caller);
    const blocks = caller.windows.flatMap((window) => window.blocks.filter((block) => block !== null));
    expect(caller.windows.length).toBeGreaterThan(5);
    expect(new Set(blocks).size).toBeLessThanOrEqual(caller.windows.length + spec.windowFrames / spec.hopFrames);
    expect(blocks.length).toBeGreaterThan(2 * new Set(blocks).size);
  });

  it('is heard the same in memory that another left long ago', async () => {
    const spareMs = 100_000;
    const { pool, workers } = await startPool({ spareMs });
    const posted = vi.spyOn(workers[0]!, 'postMessage');
    const expected = storyOf(await inThisThread(goodPackets, 'p'));
    const say = async (): Promise<void> => {
      const caller = await openCaller(pool, 'p');
      caller.send(goodPackets);
      caller.packets.complete();
      await untilClosed(caller);
      expect(storyOf(caller)).toEqual(expected);
    };
    await say();
    const { now } = performance;
    const later = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + spareMs);
    onTestFinished(() => {
      later.mockRestore();
    });
    await say();
    await say();
    const requests = posted.mock.calls.map(([request]) => request as ThreadRequest);
    const memories = requests.flatMap((request) => (request.kind === 'open' ? [request.blocks] : []));
    expect(memories).toHaveLength(3);
    // Whoever warmed the thread left one, which the second caller has; the third has the first one's.
    expect(memories[2]).toBe(memories[0]);
    expect(memories[1]).not.toBe(memories[0]);
  });

  it('is said to have stopped where no packet comes any more, and counted while it goes on', async () => {
    const { pool } = await startPool();
    const caller = await openCaller(pool, 'p');
    caller.send(goodPackets.slice(0, 90));
    await vi.waitFor(() => expect(caller.changes.map(({ state }) => state)).toEqual(['start', 'end']), patience);
    await vi.waitFor(() => expect(caller.counts).toMatchObject({ received: 90, played: 90 }), patience);
    expect(caller.levels.playoutDelayMs).toBeGreaterThan(0);
    expect(caller.state).toMatchObject({ completed: false, closed: 0 });
  });

  it('is not taken for silent because the main thread was held up', async () => {
    const { pool } = await startPool();
    const caller = await openCaller(pool, 'p');
    caller.send(goodPackets.slice(0, 90));
    await delay(20);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 800);
    caller.send(goodPackets.slice(90));
    caller.packets.complete();
    await untilClosed(caller);
    expect(storyOf(caller)).toEqual(storyOf(await inThisThread(goodPackets, 'p')));
  });

  it('of a codec that is not known is refused at once, and so is any caller after the end', async () => {
    const { pool } = await startPool();
    const isac = { ...opus, mimeType: 'audio/isac' };
    for (const pipelines of [pool, mainThreadPipelines]) {
      expect(() => new TestCaller(pipelines, 'p', isac)).toThrow(expect.objectContaining({ code: 'UT_CODEC_UNSUPPORTED' }));
    }
    expect(pool.sizes).toEqual([0]);
    await pool.close();
    expect(pool.ready).toBe(false);
    expect(() => new TestCaller(pool, 'p')).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
  });
});

describe('a caller who is given up', () => {
  it('in the middle is not decoded further, though packets of theirs were sent, and nothing is said of them', async () => {
    const threads = heldThreads();
    const { pool } = await startPool({ spawn: threads.spawn });
    const [caller, other] = [await openCaller(pool, 'p'), await openCaller(pool, 'q')];
    caller.send(goodPackets.slice(0, 90));
    await vi.waitFor(() => expect(caller.counts.received).toBe(90), patience);
    const said = caller.outputs.length;
    expect(said).toBeGreaterThan(0);
    threads.hold();
    // The next message holds the thread; what follows waits in its port.
    caller.send(goodPackets.slice(90, 91));
    await delay(20);
    caller.send(goodPackets.slice(91));
    other.send(goodPackets);
    other.packets.complete();
    await delay(20);
    caller.giveUp();
    expect(caller.packets.observed).toBe(false);
    threads.release();
    await untilClosed(caller, other);
    expect(caller.outputs).toHaveLength(said);
    expect(caller.counts.received).toBeLessThanOrEqual(91);
    expect(caller.counts.overflow).toBe(0);
    expect(storyOf(other)).toEqual(storyOf(await inThisThread(goodPackets, 'q')));
    expect(pool.sizes).toEqual([0]);
  });

  it('while it is opened leaves nothing behind, nor does one who ends there', async () => {
    const { pool } = await startPool();
    const [caller, brief] = [new TestCaller(pool, 'p'), new TestCaller(pool, 'q')];
    caller.giveUp();
    brief.packets.complete();
    await untilClosed(caller, brief);
    expect(caller.state).toEqual({ error: null, completed: false, closed: 1 });
    expect(brief.state).toEqual({ error: null, completed: true, closed: 1 });
    expect(pool.sizes).toEqual([0]);
  });

  it('by the end of the pool completes', async () => {
    const { pool } = await startPool({ threads: 2 });
    const callers = [await openCaller(pool, 'p'), await openCaller(pool, 'q'), await openCaller(pool, 'r')];
    for (const caller of callers) caller.send(goodPackets.slice(0, 60));
    callers[2]!.giveUp();
    await pool.close();
    expect(callers.map(({ state }) => state)).toEqual([
      { error: null, completed: true, closed: 1 },
      { error: null, completed: true, closed: 1 },
      { error: null, completed: false, closed: 1 },
    ]);
    for (const { counts } of callers.slice(0, 2)) expect([counts.received, fated(counts)]).toEqual([60, 60]);
  });
});

it('a process ends by itself once its pool is closed', async () => {
  const url = new URL('../../../src/pipeline/pipelines.ts', import.meta.url).href;
  const log = new URL('../../../src/log.ts', import.meta.url).href;
  const code = `void (async () => {
    const { createPipelines } = await import(${JSON.stringify(url)});
    const { createLogger } = await import(${JSON.stringify(log)});
    const pool = createPipelines({ workers: 'auto', logger: createLogger('silent') });
    await pool.started();
    await pool.close();
    console.log('closed', pool.ready);
  })();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', code], { timeout: 15_000 });
  expect(stdout).toBe('closed false\n');
});
