import { describe, expect, it } from 'vitest';
import type { Sample } from '../../../tools/load/run.ts';
import { listensAt, settleSeconds, stretchesOf } from '../../../tools/load/stretches.ts';

const none = { p50: NaN, p95: NaN, p99: NaN, max: NaN };

/** A sample for each second of a run of stretches of 12 s, of ten callers. `totalOf`: ms a second in the second before. */
function samplesOf(seconds: number, totalOf: (beganSeconds: number) => number): Sample[] {
  return Array.from({ length: seconds }, (_, second) => {
    const total = totalOf(second);
    return {
      ...{ atSeconds: second + 1.01, callers: 10, events: 0, latencyMs: none, hopMs: null, waiting: 0, senderLateMs: none },
      cpuMs: { main: total / 2, pipeline: total / 4, inference: 0, mediasoup: total / 4, other: 0, total },
      ...{ serverBytes: 0, mediaWorkersBytes: 0, droppedWindows: 0 },
    };
  });
}

/** 40 ms a caller-second and 25, slower by `drift` a second; the beginnings of stretches are another thing. */
const load = (drift: number) => (second: number) => {
  if (second % 12 < settleSeconds) return 9000;
  return (listensAt(second, 12) ? 250 : 400) * (1 + drift * second);
};

describe('stretches', () => {
  it('are talking and listening in turns', () => {
    expect([0, 11.99, 12, 23.99, 24, 36].map((seconds) => listensAt(seconds, 12))).toEqual([false, false, true, true, false, true]);
  });

  it('are compared without their beginnings, those whole that were measured, in pairs', () => {
    // Measured from 10 s on: 12 to 24 listens without one before, 24 to 48 and 48 to 72 are pairs, 72 to 84 lacks one behind.
    const figures = stretchesOf(samplesOf(84, load(0)), 12, 10);
    expect(figures?.pairs).toBe(2);
    expect(figures?.talking.total).toBeCloseTo(40, 6);
    expect(figures?.talking.main).toBeCloseTo(20, 6);
    expect(figures?.listening.total).toBeCloseTo(25, 6);
    expect(figures?.ratio).toBeCloseTo(0.625, 6);
    for (const ratio of figures?.pairRatios ?? []) expect(ratio).toBeCloseTo(0.625, 6);
  });

  it('go by time, not by samples, where those are uneven', () => {
    const samples = samplesOf(48, (second) => (second < 24 ? 400 : 250) * (second % 2 === 0 ? 1 : 3));
    const uneven = samples.map((sample, i) => ({ ...sample, atSeconds: i + 1 + (i % 2 === 0 ? 0.4 : 0) }));
    // Even seconds last 1.4, odd ones 0.6.
    const figures = stretchesOf(uneven, 24, 0);
    expect(figures?.talking.total).toBeCloseTo((40 * (1.4 + 3 * 0.6)) / 2, 6);
    expect(figures?.ratio).toBeCloseTo(0.625, 6);
  });

  it('bear a machine that grows slower', () => {
    const figures = stretchesOf(samplesOf(200, load(0.005)), 12, 0);
    expect(figures?.pairs).toBe(8);
    expect(figures?.ratio).toBeGreaterThan(0.62);
    expect(figures?.ratio).toBeLessThan(0.67);
  });

  it('are none where no pair was measured, or the server does not tell its time', () => {
    expect(stretchesOf(samplesOf(30, load(0)), 12, 10)).toBeNull();
    expect(stretchesOf([], 12, 0)).toBeNull();
    expect(
      stretchesOf(
        samplesOf(84, load(0)).map((sample) => ({ ...sample, cpuMs: null })),
        12,
        0,
      ),
    ).toBeNull();
  });
});
