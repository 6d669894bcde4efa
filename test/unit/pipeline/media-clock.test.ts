import { describe, expect, it } from 'vitest';
import { MediaClock } from '../../../src/pipeline/media-clock.ts';
import { createRandom } from '../../../tools/callers/random.ts';

const packetMs = 20;

/** Feeds packets from media time `fromMs` to `toMs`; a packet's delay and the sender's drift are functions of true time. */
function feed(
  clock: MediaClock,
  { fromMs, toMs, ppm = 0, delayMs = () => 0 }: { fromMs: number; toMs: number; ppm?: number; delayMs?: (trueMs: number) => number },
) {
  for (let mediaMs = fromMs; mediaMs < toMs; mediaMs += packetMs) {
    const trueMs = mediaMs * (1 - ppm / 1e6);
    clock.arrived(mediaMs * 16, 1_000_000 + trueMs + delayMs(trueMs));
  }
}

describe('MediaClock', () => {
  it('is 0 before any packet, and open still', () => {
    const clock = new MediaClock();
    expect(clock.wallMsOf(0)).toBe(0);
    expect(clock.sampleAt(5)).toBe(0);
    clock.arrived(320, 1_000_025);
    expect(clock.wallMsOf(0)).toBe(1_000_005);
    expect(clock.sampleAt(1_000_025)).toBe(320);
  });

  it('goes by the packet that was delayed least, whatever the order', () => {
    const clock = new MediaClock();
    for (const [n, delayMs] of [70, 50, 30, 12, 2, 9, 3].entries()) clock.arrived(n * 320, 1_000_000 + n * 20 + delayMs);
    clock.arrived(0, 1_000_400);
    expect(clock.wallMsOf(0)).toBe(1_000_002);
  });

  it('stays where it is once a position was told, though an earlier packet says more', () => {
    const clock = new MediaClock();
    clock.arrived(0, 1_000_040);
    expect(clock.wallMsOf(0)).toBe(1_000_040);
    clock.arrived(320, 1_000_020);
    expect(clock.wallMsOf(0)).toBe(1_000_040);
  });

  it.each([100, -100])('follows a sender whose clock drifts by %i ppm, under jitter, for an hour to 10 ms', (ppm) => {
    const random = createRandom(3);
    const clock = new MediaClock();
    let worstMs = 0;
    let lastMs = -Infinity;
    for (let fromMs = 0; fromMs < 3_600_000; fromMs += 1000) {
      feed(clock, { fromMs, toMs: fromMs + 1000, ppm, delayMs: () => random() * 40 });
      const sample = (fromMs + 1000) * 16;
      const trueMs = 1_000_000 + (fromMs + 1000) * (1 - ppm / 1e6);
      const toldMs = clock.wallMsOf(sample);
      expect(toldMs).toBeGreaterThan(lastMs);
      lastMs = toldMs;
      worstMs = Math.max(worstMs, Math.abs(toldMs - trueMs));
    }
    expect(worstMs).toBeLessThan(10);
    // Left alone it would be 360 ms by now.
    expect(worstMs).toBeGreaterThan(1);
  });

  it('does not follow a network that is slow for half a minute', () => {
    const clock = new MediaClock();
    const slow = (trueMs: number) => (trueMs > 60_000 && trueMs < 90_000 ? 300 : 0);
    let worstMs = 0;
    for (let fromMs = 0; fromMs < 180_000; fromMs += 1000) {
      feed(clock, { fromMs, toMs: fromMs + 1000, delayMs: slow });
      worstMs = Math.max(worstMs, Math.abs(clock.wallMsOf(0) - 1_000_000));
    }
    expect(worstMs).toBeLessThan(10);
    // And comes back to its tolerance.
    expect(Math.abs(clock.wallMsOf(0) - 1_000_000)).toBeLessThanOrEqual(3);
  });

  it('makes up for what drifted while nothing was sent', () => {
    const clock = new MediaClock();
    feed(clock, { fromMs: 0, toMs: 20_000, ppm: 100 });
    clock.wallMsOf(0);
    const backMs = 3_620_000;
    feed(clock, { fromMs: backMs, toMs: backMs + 20_000, ppm: 100 });
    expect(clock.wallMsOf(backMs * 16)).toBeCloseTo(1_000_000 + backMs * (1 - 1e-4), -1);
  });
});
