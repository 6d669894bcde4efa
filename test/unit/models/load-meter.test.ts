// How windows fared, from reading to reading.
import { describe, expect, it } from 'vitest';
import { LoadMeter } from '../../../src/models/load-meter.ts';

describe('LoadMeter', () => {
  it('counts what was scored, what was late and what was lost for want of time, and begins anew', () => {
    const meter = new LoadMeter({ lateMs: 300, busyMs: () => [0], oldestArrivalMs: () => 420, nowMs: 0 });
    for (const ageMs of [100, 300, 500]) meter.scored(ageMs);
    for (const fate of ['superseded', 'expired', 'failed'] as const) meter.lost(fate);
    expect(meter.take(500)).toEqual({ scored: 3, late: 1, meanAgeMs: 300, lost: 2, oldestMs: 80, busyShare: 0 });
    expect(meter.take(1000)).toEqual({ scored: 0, late: 0, meanAgeMs: 0, lost: 0, oldestMs: 580, busyShare: 0 });
  });

  it('tells how busy the busiest engine was in between', () => {
    let busyMs = [100, 400];
    const meter = new LoadMeter({ lateMs: 300, busyMs: () => busyMs, oldestArrivalMs: () => Infinity, nowMs: 0 });
    expect(meter.take(500)).toMatchObject({ busyShare: 0.8, oldestMs: 0 });
    busyMs = [350, 420];
    expect(meter.take(1000).busyShare).toBeCloseTo(0.5, 6);
    expect(meter.take(1000).busyShare).toBe(0);
    expect(new LoadMeter({ lateMs: 1, busyMs: () => [], oldestArrivalMs: () => Infinity, nowMs: 0 }).take(10).busyShare).toBe(0);
  });
});
