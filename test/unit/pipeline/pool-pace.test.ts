// The pace of a caller in a thread, told while packets flow.
import { describe, expect, it, vi } from 'vitest';
import { Pace } from '../../../src/pipeline/pace.ts';
import { spec } from './packets.ts';
import { inThisThread, openCaller, patience, startPool, TestCaller, turns, untilClosed } from './pool-support.ts';

/** Packets of a caller who speaks on and on, in two parts. */
const packets = turns(12);
const half = packets.length / 2;

describe('the pace of a caller in a thread', () => {
  it('is heeded from then on: windows are left out, and those that are left are the same', async () => {
    const { pool } = await startPool();
    const pace = new Pace();
    const caller = new TestCaller(pool, 'p', undefined, pace);
    const steady = await inThisThread(packets, 'p');
    pace.hopFactor = 4;
    caller.send(packets.slice(0, half));
    await vi.waitFor(() => expect(caller.counts.played).toBe(half), patience);
    const wide = caller.windows.length;
    pace.hopFactor = 1;
    caller.send(packets.slice(half));
    caller.packets.complete();
    await untilClosed(caller);
    expect(caller.changes).toEqual(steady.changes);
    expect(wide).toBeGreaterThan(2);
    const wideEnd = caller.windows[wide - 1]!.endFrame;
    expect(wide).toBeLessThan(0.6 * steady.windows.filter(({ endFrame }) => endFrame <= wideEnd).length);
    for (const window of caller.windows) {
      const { hopFrames, ...same } = window;
      expect(hopFrames).toBe(window.endFrame <= wideEnd ? 4 * spec.hopFrames : spec.hopFrames);
      expect(steady.windows.find(({ endFrame }) => endFrame === window.endFrame)).toMatchObject(same);
    }
    expect(caller.windows.at(-1)!.endFrame).toBe(steady.windows.at(-1)!.endFrame);
  });

  it('leaves what is said in a wait undecoded, and goes on at the same positions', async () => {
    const { pool } = await startPool();
    const pace = new Pace();
    const caller = new TestCaller(pool, 'p', undefined, pace);
    const steady = await inThisThread(packets, 'p');
    const third = Math.floor(packets.length / 3);
    for (const [part, waiting] of [false, true, false].entries()) {
      pace.waiting = waiting;
      caller.send(packets.slice(part * third, part === 2 ? undefined : (part + 1) * third));
      const sent = part === 2 ? packets.length : (part + 1) * third;
      await vi.waitFor(() => expect(caller.counts.received).toBe(sent), patience);
    }
    caller.packets.complete();
    await untilClosed(caller);
    const [from, to] = [third * 320, 2 * third * 320];
    expect(caller.counts).toMatchObject({ received: packets.length, played: packets.length, lost: 0 });
    expect(caller.counts.skippedSamples).toBeGreaterThan(steady.counts.skippedSamples + 0.6 * (to - from) - 4000);
    // An utterance that was under way ends, for what is not heard is silence.
    const ends = caller.windows.map(({ endSample }) => endSample);
    expect(ends.filter((sample) => sample > from + 16_000 && sample < to)).toEqual([]);
    expect(ends.filter((sample) => sample < from).length).toBeGreaterThan(3);
    const after = caller.windows.filter(({ endSample }) => endSample > to + 16_000);
    expect(after.length).toBeGreaterThan(3);
    for (const { endFrame, speechRatio } of after) {
      expect(endFrame % spec.hopFrames).toBe(0);
      expect(speechRatio).toBeGreaterThan(0);
    }
    expect(caller.changes.map(({ state }) => state)).toEqual(caller.changes.map((_, i) => (i % 2 === 0 ? 'start' : 'end')));
    expect(caller.changes.every(({ atSample }, i) => i === 0 || atSample >= caller.changes[i - 1]!.atSample)).toBe(true);
  });

  it('is taken along where the thread dies', async () => {
    const { pool, workers } = await startPool({ steadyMs: 0 });
    const pace = new Pace();
    pace.hopFactor = 4;
    const caller = new TestCaller(pool, 'p', undefined, pace);
    caller.send(packets.slice(0, half));
    await vi.waitFor(() => expect(caller.windows.length).toBeGreaterThan(1), patience);
    await workers[0]!.terminate();
    await vi.waitFor(() => expect(workers).toHaveLength(2), patience);
    const { played } = caller.counts;
    caller.send(packets.slice(half, half + 1));
    await vi.waitFor(() => expect(caller.counts.played).toBe(played + 1), patience);
    caller.send(packets.slice(half + 1));
    caller.packets.complete();
    await untilClosed(caller);
    expect(caller.gaps).toHaveLength(1);
    const after = caller.windows.filter(({ endSample }) => endSample > caller.gaps[0]!.endSample);
    expect(after.length).toBeGreaterThan(1);
    for (const { hopFrames } of after) expect(hopFrames).toBe(4 * spec.hopFrames);
  });

  it('is the full one where nobody sets it', async () => {
    const { pool } = await startPool();
    const caller = await openCaller(pool, 'p');
    caller.send(packets.slice(0, half));
    caller.packets.complete();
    await untilClosed(caller);
    expect(new Set(caller.windows.map(({ hopFrames }) => hopFrames))).toEqual(new Set([spec.hopFrames]));
  });
});
