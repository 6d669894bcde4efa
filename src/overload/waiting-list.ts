// Chooses who waits where not everybody can be scored: those who speak least, in turns, so that nobody waits for good.

interface Caller {
  readonly callerId: string;
  speaking: boolean;
  /** Recent time in which they were heard, and of it that in which they spoke, ms, the older the less; kept as it was while they wait. */
  heardMs: number;
  spokeMs: number;
  /** Share of the recent time that they waited, 0 to 1. */
  waited: number;
  /** Turns without a break that they have waited; 0 while they do not. */
  turns: number;
}

/** What changed. */
export interface WaitingChange {
  readonly begin: readonly string[];
  readonly end: readonly string[];
}

/** Over how long speech and waiting are remembered, ms: about two turns. */
const memoryMs = 10_000;
/** Nobody waits for more turns without a break, whatever the share. */
const mostTurns = 4;
/** Whoever speaks less has nothing to be left out. */
const leastActivity = 0.02;

/**
 * Shares are of the speech and not of the callers, for who is silent costs nothing. Who has waited lately is chosen after those who
 * have not, by as much as they would have to speak more; and who waited in a turn is spared in the next as long as there are others, who has
 * waited longer before who has not.
 */
export class WaitingList {
  readonly #callers = new Map<string, Caller>();

  /** Callers who wait. */
  get size(): number {
    let size = 0;
    for (const { turns } of this.#callers.values()) size += Number(turns > 0);
    return size;
  }

  add(callerId: string): void {
    this.#callers.set(callerId, { callerId, speaking: false, heardMs: 0, spokeMs: 0, waited: 0, turns: 0 });
  }

  remove(callerId: string): void {
    this.#callers.delete(callerId);
  }

  /** A caller began or ceased to speak. Who waits is not heard: what they do then is unknown. */
  speech(callerId: string, speaking: boolean): void {
    const caller = this.#callers.get(callerId);
    if (caller !== undefined) caller.speaking = speaking;
  }

  /** So much time has passed, ms. */
  pass(ms: number): void {
    const kept = Math.exp(-ms / memoryMs);
    for (const caller of this.#callers.values()) {
      const waiting = caller.turns > 0;
      caller.waited = kept * caller.waited + (1 - kept) * Number(waiting);
      if (waiting) continue;
      caller.heardMs = kept * caller.heardMs + ms;
      caller.spokeMs = kept * caller.spokeMs + ms * Number(caller.speaking);
    }
  }

  /** Another share of the speech waits from now on: more do, or some no longer. */
  resize(share: number): WaitingChange {
    return this.#choose(share, ({ turns }) => (turns > 0 ? 0 : 1), 0);
  }

  /** Others take their turn. */
  rotate(share: number): WaitingChange {
    return this.#choose(share, ({ turns }) => turns, 1);
  }

  #choose(share: number, rank: (caller: Caller) => number, turns: 0 | 1): WaitingChange {
    const active = [...this.#callers.values()].flatMap((caller) => {
      const activity = activityOf(caller);
      return activity >= leastActivity ? [{ caller, activity, rank: rank(caller) }] : [];
    });
    const order = active
      .filter(({ caller }) => caller.turns + turns <= mostTurns)
      .toSorted((a, b) => a.rank - b.rank || a.activity + a.caller.waited - (b.activity + b.caller.waited));
    const wanted = share * active.reduce((sum, { activity }) => sum + activity, 0);
    const chosen = new Set<Caller>();
    let sum = 0;
    for (const { caller, activity } of order) {
      // To the nearest: a single caller never waits for being a quarter of the speech.
      if (sum + activity / 2 >= wanted || chosen.size === active.length - 1) break;
      chosen.add(caller);
      sum += activity;
    }
    const begin: string[] = [];
    const end: string[] = [];
    for (const caller of this.#callers.values()) {
      if (chosen.has(caller)) {
        if (caller.turns === 0) begin.push(caller.callerId);
        caller.turns = caller.turns === 0 ? 1 : caller.turns + turns;
      } else {
        if (caller.turns > 0) end.push(caller.callerId);
        caller.turns = 0;
      }
    }
    return { begin, end };
  }
}

/** Share of the recent time that they spoke, 0 to 1. */
function activityOf({ heardMs, spokeMs }: Caller): number {
  return heardMs > 0 ? spokeMs / heardMs : 0;
}
