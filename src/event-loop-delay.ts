// How long the main thread keeps waiting what is due: looked at a hundred times a second.
import { Histogram, type Registry } from 'prom-client';

const intervalMs = 10;
const bucketsMs = [0.5, 1, 1.5, 2, 3, 4, 5, 6, 8, 10, 12.5, 15, 17.5, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000];

/**
 * Adds a histogram of the event loop's delay to a registry and begins to observe. A timer of 10 ms is looked at for how late
 * it comes. While it was held up, it would have been due again and again: each of those times counts with what it waited, so
 * that the histogram says what something that comes at any time has to wait.
 *
 * @returns stops observing
 */
export function observeEventLoopDelay(registry: Registry): () => void {
  const histogram = new Histogram({
    name: 'undertone_event_loop_delay_ms',
    help: 'Time that what is due waits for the main thread, ms',
    buckets: bucketsMs,
    registers: [registry],
  });
  let beforeMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const delayMs of delaysMs(nowMs - beforeMs)) histogram.observe(delayMs);
    beforeMs = nowMs;
  }, intervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

/** The delays that one turn of the timer tells of, which came so long after the one before it. */
export function delaysMs(sinceBeforeMs: number): number[] {
  const lateMs = Math.max(0, sinceBeforeMs - intervalMs);
  return Array.from({ length: 1 + Math.floor(lateMs / intervalMs) }, (_, missed) => lateMs - missed * intervalMs);
}
