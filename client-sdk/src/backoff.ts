// How long to wait before the next try: exponential growth with full jitter, within bounds.

/** Gives the wait before a try, ms, or null to give up. `attempt` counts failures in a row from 0. */
export type RetryPolicy = (attempt: number) => number | null;

/** Bounds of {@link exponentialBackoff}. */
export interface BackoffOptions {
  /** Upper bound of the first wait, ms. @default 500 */
  readonly baseMs?: number;
  /** Upper bound of every wait, ms. @default 30000 */
  readonly maxMs?: number;
  /** Failures in a row after which to give up. @default Infinity */
  readonly maxAttempts?: number;
  /** Source of numbers in [0, 1). @default Math.random */
  readonly random?: () => number;
}

/**
 * A wait drawn evenly from [0, min(maxMs, baseMs 2^attempt)): "full jitter", which spreads best the clients
 * that a restarted server gets back all at once.
 */
export function exponentialBackoff(options: BackoffOptions = {}): RetryPolicy {
  const { baseMs = 500, maxMs = 30_000, maxAttempts = Infinity, random = Math.random } = options;
  // 2^30 times any base is past any bound; the exponent stops there lest it overflow.
  return (attempt) => (attempt >= maxAttempts ? null : random() * Math.min(maxMs, baseMs * 2 ** Math.min(attempt, 30)));
}
