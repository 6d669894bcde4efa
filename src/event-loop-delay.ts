// How long the main thread keeps waiting what is due, as a histogram: counted as it happens, so that reading it costs nothing.
import { Counter, type Registry } from 'prom-client';

/** How often it is looked: often enough for a percentile, seldom enough to cost next to nothing. */
const intervalMs = 20;
const boundsMs = [1, 2, 3, 5, 7.5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 200, 500, 1000, 5000, Infinity];

/**
 * Adds the buckets of a histogram of the event loop's delay to a registry and begins to observe. A timer of 20 ms is looked at
 * for how late it comes. While it was held up, it would have been due again and again: each of those times counts with what it
 * waited, so that the histogram says what something that comes at any time has to wait.
 *
 * @returns stops observing
 */
export function observeEventLoopDelay(registry: Registry): () => void {
  // Node's own monitor tells percentiles alone; to make buckets of them held the main thread up for 10 ms at each reading.
  const counts = new Float64Array(boundsMs.length);
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    for (const delayMs of delaysMs(Math.max(0, nowMs - lastMs - intervalMs))) {
      const bucket = boundsMs.findIndex((boundMs) => delayMs <= boundMs);
      counts[bucket] = (counts[bucket] ?? 0) + 1;
    }
    lastMs = nowMs;
  }, intervalMs).unref();
  const buckets: Counter<'le'> = new Counter<'le'>({
    name: 'undertone_event_loop_delay_ms_bucket',
    help: 'Times that what is due waited for the main thread at most so long, ms',
    labelNames: ['le'] as const,
    registers: [registry],
    collect: () => {
      buckets.reset();
      let upTo = 0;
      for (const [bucket, boundMs] of boundsMs.entries()) {
        upTo += counts[bucket] ?? 0;
        buckets.inc({ le: boundMs === Infinity ? '+Inf' : String(boundMs) }, upTo);
      }
    },
  });
  return () => {
    clearInterval(timer);
  };
}

/** The delays that one late turn of the timer tells of: its own, and those of the turns that it held up. */
export function delaysMs(lateMs: number): number[] {
  return Array.from({ length: 1 + Math.floor(lateMs / intervalMs) }, (_, missed) => lateMs - missed * intervalMs);
}
