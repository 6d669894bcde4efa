import { describe, expect, it } from 'vitest';
import { percentile } from '../../../tools/bench/statistics.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import { TimerWheel } from '../../../tools/callers/timer-wheel.ts';
import { findLimit } from '../../../tools/load/find-limit.ts';
import { LatencyHistogram } from '../../../tools/load/latency-histogram.ts';
import { SeqWatch } from '../../../tools/load/seq-watch.ts';

describe('the timer wheel', () => {
  it('gives out what is due, in order, and never before its time', () => {
    const random = createRandom(1);
    const wheel = new TimerWheel<number>(1000.3);
    const dueMs = Array.from({ length: 500 }, () => 1000.3 + random() * 5000);
    for (const atMs of dueMs) wheel.put(atMs, atMs);
    const out: number[] = [];
    for (let nowMs = 1000.3; wheel.size > 0; nowMs += 7.7) {
      wheel.turn(nowMs, (atMs) => {
        expect(atMs).toBeLessThanOrEqual(nowMs);
        expect(nowMs - atMs).toBeLessThan(9);
        out.push(Math.ceil(atMs));
      });
    }
    expect(out).toEqual(dueMs.map(Math.ceil).toSorted((a, b) => a - b));
  });

  it('gives out at once what is put in for a time that has come', () => {
    const wheel = new TimerWheel<number>(0);
    wheel.put(0, 5);
    const out: number[] = [];
    wheel.turn(105, (index) => {
      out.push(index);
      wheel.put(index + 1, 5 + (index + 1) * 20);
    });
    expect(out).toEqual([0, 1, 2, 3, 4, 5]);
    expect(wheel.nextMs).toBe(125);
  });

  it('says when the next turn is worth it', () => {
    const wheel = new TimerWheel<string>(10);
    expect(wheel.nextMs).toBe(Infinity);
    wheel.put('a', 300.2);
    wheel.put('b', 40);
    expect(wheel.nextMs).toBe(40);
    wheel.turn(50, () => undefined);
    expect(wheel.nextMs).toBe(301);
    // Farther than the wheel reaches: nothing is lost, and nothing comes early.
    wheel.put('c', 9000);
    wheel.turn(301, () => undefined);
    const out: string[] = [];
    for (let nowMs = wheel.nextMs; wheel.size > 0; nowMs = wheel.nextMs) {
      wheel.turn(nowMs, (item) => {
        expect(nowMs).toBeGreaterThanOrEqual(9000);
        out.push(item);
      });
    }
    expect(out).toEqual(['c']);
  });
});

describe('the latency histogram', () => {
  it('has the percentiles of the values to one percent', () => {
    const random = createRandom(2);
    const values = Array.from({ length: 5000 }, () => 0.5 + 400 * random() ** 4);
    const histogram = new LatencyHistogram();
    for (const value of values) histogram.add(value);
    for (const share of [0.01, 0.5, 0.95, 0.99, 1]) {
      const exact = percentile(values, share);
      expect(histogram.percentile(share)).toBeGreaterThanOrEqual(exact * 0.99999);
      expect(histogram.percentile(share)).toBeLessThanOrEqual(exact * 1.011);
    }
    expect(histogram.percentiles.max).toBe(Math.max(...values));
    expect(histogram.count).toBe(5000);
  });

  it('merges, also what it was sent as', () => {
    const [one, other] = [new LatencyHistogram(), new LatencyHistogram()];
    for (const value of [1, 2, 3]) one.add(value);
    for (const value of [100, 200, 300]) other.add(value);
    one.merge(structuredClone(other.data));
    expect(one.count).toBe(6);
    expect(one.percentile(1)).toBe(300);
    expect(one.percentile(0.5)).toBeCloseTo(3, 1);
  });

  it('takes clocks that differ, and times beyond its end, and says NaN of nothing', () => {
    const histogram = new LatencyHistogram();
    expect(histogram.percentiles).toEqual({ p50: NaN, p95: NaN, p99: NaN, max: NaN });
    histogram.add(-5);
    expect(histogram.percentile(0.5)).toBeLessThanOrEqual(0.1);
    histogram.add(1e7);
    expect(histogram.percentiles.max).toBe(1e7);
    histogram.reset();
    expect(histogram.count).toBe(0);
  });
});

describe('seqs', () => {
  it('are without fault where each comes once', () => {
    const watch = new SeqWatch();
    watch.subscribed('e', 1);
    for (const seq of [1, 2, 3]) expect(watch.event('e', seq)).toBe(true);
    watch.leftOut(4, 6);
    expect(watch.event('e', 7)).toBe(true);
    expect(watch.event('f', 1)).toBe(true);
    expect([watch.gaps, watch.duplicates, watch.skipped]).toEqual([0, 0, 3]);
  });

  it('count what is missing and what comes twice', () => {
    const watch = new SeqWatch();
    watch.subscribed('e', 3);
    expect(watch.gaps).toBe(2);
    watch.event('e', 3);
    watch.event('e', 6);
    expect(watch.gaps).toBe(4);
    expect(watch.event('e', 6)).toBe(false);
    expect(watch.event('e', 4)).toBe(false);
    watch.resync('e', 10);
    expect([watch.gaps, watch.duplicates]).toEqual([7, 2]);
    watch.leftOut(5, 8);
    watch.leftOut(12, 12);
    expect([watch.gaps, watch.skipped]).toEqual([9, 1]);
  });
});

describe('the search for the limit', () => {
  const searchFor = async (limit: number, start: number, most = 5000) => {
    const tried: number[] = [];
    const found = await findLimit({
      start,
      most,
      attempt: (callers) => {
        tried.push(callers);
        return Promise.resolve({ reason: callers > limit ? 'too many' : null, result: callers });
      },
    });
    return { tried, found };
  };

  it('doubles, then halves, to within 5 percent', async () => {
    const { tried, found } = await searchFor(337, 50);
    expect(tried.slice(0, 4)).toEqual([50, 100, 200, 400]);
    expect(found.limitCallers).toBeLessThanOrEqual(337);
    expect(found.limitCallers).toBeGreaterThanOrEqual(337 / 1.05);
    expect(found.open).toBe(false);
    expect(found.attempts.map(({ callers }) => callers)).toEqual(tried.toSorted((a, b) => a - b));
  });

  it('goes down from a start that is too high, to none at all', async () => {
    expect((await searchFor(7, 64)).found.limitCallers).toBe(7);
    expect((await searchFor(0, 4)).found.limitCallers).toBe(0);
  });

  it('says where it ended before it met the limit', async () => {
    const { tried, found } = await searchFor(Infinity, 30, 100);
    expect(tried).toEqual([30, 60, 100]);
    expect(found).toMatchObject({ limitCallers: 100, open: true });
  });

  it('keeps what it has when it is interrupted', async () => {
    const found = await findLimit({
      start: 10,
      most: 100,
      attempt: (callers) => Promise.resolve(callers > 20 ? null : { reason: null, result: 0 }),
    });
    expect(found).toMatchObject({ limitCallers: 20, open: true });
  });
});
