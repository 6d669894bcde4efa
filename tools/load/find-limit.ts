// Looks for the greatest number of callers that passes: doubles until one does not, then halves what lies between.

/** One attempt. */
export interface Attempt<T> {
  readonly callers: number;
  /** Why it did not pass; null where it did. */
  readonly reason: string | null;
  readonly result: T;
}

/** What was found. */
export interface Limit<T> {
  /** The greatest number that passed; 0 where none did. */
  readonly limitCallers: number;
  /** Whether more would pass too, for all that is known. */
  readonly open: boolean;
  /** In the order of the callers. */
  readonly attempts: readonly Attempt<T>[];
}

/** What {@link findLimit} is given. */
export interface FindLimitOptions<T> {
  readonly start: number;
  readonly most: number;
  /** Tries so many callers; null ends the search with what there is. */
  readonly attempt: (callers: number) => Promise<Omit<Attempt<T>, 'callers'> | null>;
}

/** The search ends when the limit is known to this share. */
const resolution = 0.05;

/** Takes for granted that what carries many carries fewer. */
export async function findLimit<T>({ start, most, attempt }: FindLimitOptions<T>): Promise<Limit<T>> {
  const attempts: Attempt<T>[] = [];
  let good = 0;
  let bad = Infinity;
  for (let next: number | null = start; next !== null; next = nextOf(good, bad, most)) {
    const tried = await attempt(next);
    if (tried === null) break;
    attempts.push({ callers: next, ...tried });
    if (tried.reason === null) good = next;
    else bad = next;
  }
  return { limitCallers: good, open: bad === Infinity, attempts: attempts.toSorted((a, b) => a.callers - b.callers) };
}

function nextOf(good: number, bad: number, most: number): number | null {
  if (bad === Infinity) return good >= most ? null : Math.min(most, 2 * good);
  if (bad - good <= Math.max(1, resolution * good)) return null;
  return Math.floor((good + bad) / 2);
}
