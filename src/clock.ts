// The wall clock as a port, so that only latency figures depend on it and tests can set it.

/** Reads the wall clock. */
export interface Clock {
  /** Milliseconds since the Unix epoch, never falling back while the process lives. */
  nowMs(): number;
}

/** The system's clock: wall time at the start of the process plus the monotonic time since. */
export const systemClock: Clock = {
  nowMs: () => performance.timeOrigin + performance.now(),
};
