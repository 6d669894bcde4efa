import { describe, expect, it } from 'vitest';
import { PlayoutDelay } from '../../../src/pipeline/playout-delay.ts';

/** A delay that has seen packets of 20 ms with these delays, one after another. */
function after(delaysMs: readonly number[], options = {}): { delay: PlayoutDelay; nowMs: number } {
  const delay = new PlayoutDelay(options);
  delaysMs.forEach((delayMs, n) => {
    delay.arrived(n * 20, 1000 + n * 20 + delayMs);
  });
  return { delay, nowMs: 1000 + delaysMs.length * 20 };
}

const steady = (count: number) => Array<number>(count).fill(7);
const swinging = (count: number, byMs: number) => Array.from({ length: count }, (_, n) => (n % 2) * byMs);

describe('PlayoutDelay', () => {
  it('measures the interarrival jitter of RFC 3550, appendix A.8', () => {
    expect(after(steady(100)).delay.jitterMs).toBe(0);
    // Each difference is 16 ms: J += (16 - J) / 16.
    const byHand = Array.from({ length: 4 }).reduce((jitter: number) => jitter + (16 - jitter) / 16, 0);
    expect(after(swinging(5, 16)).delay.jitterMs).toBeCloseTo(byHand, 9);
    expect(after(swinging(400, 16)).delay.jitterMs).toBeCloseTo(16, 6);
  });

  it('begins cautiously, and comes down to its least where nothing jitters', () => {
    expect(after([0]).delay.delayMs(1000)).toBe(60);
    const { delay } = after(steady(10));
    expect(delay.delayMs(11_000)).toBeCloseTo(30, 0);
    expect(delay.delayMs(60_000)).toBe(20);
  });

  it('waits four times the jitter, within its bounds', () => {
    const { delay, nowMs } = after(swinging(4000, 25));
    expect(delay.delayMs(nowMs)).toBeCloseTo(100, 3);
    expect(after(swinging(4000, 80)).delay.delayMs(nowMs)).toBe(200);
    expect(after(swinging(4000, 25), { maxDelayMs: 70 }).delay.delayMs(nowMs)).toBe(70);
    expect(after(steady(4000), { minDelayMs: 45 }).delay.delayMs(nowMs)).toBe(45);
  });

  it('learns from a packet that came too late, and forgets it by and by', () => {
    const { delay, nowMs } = after(steady(4000));
    delay.cameLate(120, nowMs);
    expect(delay.delayMs(nowMs)).toBe(120);
    expect(delay.delayMs(nowMs + 10_000)).toBeCloseTo(60, 6);
    delay.cameLate(40, nowMs + 10_000);
    expect(delay.delayMs(nowMs + 10_000)).toBeCloseTo(60, 6);
    delay.cameLate(5000, nowMs + 10_000);
    expect(delay.delayMs(nowMs + 10_000)).toBe(200);
  });

  it('takes no pause, stall or other clock for jitter', () => {
    const { delay, nowMs } = after(steady(4000));
    delay.arrived(4000 * 20, nowMs + 5007);
    delay.arrived(4001 * 20, nowMs + 27);
    expect(delay.jitterMs).toBe(0);
    delay.restart();
    delay.arrived(0, nowMs + 40);
    expect(delay.jitterMs).toBe(0);
  });
});
