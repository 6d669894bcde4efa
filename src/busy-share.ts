// How busy a thread is, from reading to reading.

/**
 * Reads the share of the time since the last reading that this thread was busy, 0 to 1.
 *
 * @param pausedMs how long it has slept on purpose since the beginning, ms, which Node takes for work
 */
export function createBusyShare(pausedMs: () => number): () => number {
  let before = performance.eventLoopUtilization();
  let pausedBeforeMs = pausedMs();
  return () => {
    const now = performance.eventLoopUtilization();
    const { active, idle } = performance.eventLoopUtilization(now, before);
    const paused = pausedMs() - pausedBeforeMs;
    before = now;
    pausedBeforeMs += paused;
    return active + idle > 0 ? Math.max(0, active - paused) / (active + idle) : 0;
  };
}
