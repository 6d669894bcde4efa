// How long the main thread keeps waiting what is due. Node looks at it itself, without waking the thread; read when asked for.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, type Registry } from 'prom-client';

type Monitor = ReturnType<typeof monitorEventLoopDelay>;

/** How often Node looks: often enough for a percentile, seldom enough to cost next to nothing. */
const intervalMs = 20;
const boundsMs = [1, 2, 3, 5, 7.5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 200, 500, 1000, 5000];
/** What stands for all that is above the last bound. */
const overflowMs = 10_000;
const nsPerMs = 1e6;

/**
 * Adds the buckets of a histogram of the event loop's delay to a registry and begins to observe. A timer of 20 ms is looked at
 * for how late it comes. While it was held up, it would have been due again and again: each of those times counts with what it
 * waited, so that the histogram says what something that comes at any time has to wait.
 *
 * @returns stops observing
 */
export function observeEventLoopDelay(registry: Registry): () => void {
  const monitor = monitorEventLoopDelay({ resolution: intervalMs });
  const buckets: Counter<'le'> = new Counter<'le'>({
    name: 'undertone_event_loop_delay_ms_bucket',
    help: 'Times that what is due waited for the main thread at most so long, ms',
    labelNames: ['le'] as const,
    registers: [registry],
    collect: () => {
      const counts = countDelays(monitor);
      buckets.reset();
      for (const boundMs of [...boundsMs, Infinity]) {
        let upTo = 0;
        for (const [delayMs, count] of counts) if (delayMs <= boundMs) upTo += count;
        buckets.inc({ le: boundMs === Infinity ? '+Inf' : String(boundMs) }, upTo);
      }
    },
  });
  monitor.enable();
  return () => {
    monitor.disable();
  };
}

/** The delays that one late turn of the timer tells of: its own, and those of the turns that it held up. */
export function delaysMs(lateMs: number): number[] {
  return Array.from({ length: 1 + Math.floor(lateMs / intervalMs) }, (_, missed) => lateMs - missed * intervalMs);
}

/** Times by delay, each of the bound that it does not exceed. */
function countDelays(monitor: Monitor): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  let below = 0;
  for (const boundMs of [...boundsMs, overflowMs]) {
    const upTo = boundMs === overflowMs ? monitor.count : countUpTo(monitor, boundMs + intervalMs, below);
    for (const delayMs of delaysMs(boundMs)) counts.set(delayMs, (counts.get(delayMs) ?? 0) + upTo - below);
    below = upTo;
  }
  return counts;
}

/** How many of the observed intervals are not above a time, of which `least` are not. Node tells percentiles alone, and takes microseconds for each. */
function countUpTo(monitor: Monitor, ms: number, least: number): number {
  if (monitor.max <= ms * nsPerMs) return monitor.count;
  let [low, high] = [least, monitor.count];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (monitor.percentile((100 * middle) / monitor.count) <= ms * nsPerMs) low = middle;
    else high = middle - 1;
  }
  return low;
}
