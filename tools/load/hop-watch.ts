// What a server says that it leaves out while it has too much to do: points at a wider hop, and callers who wait.
import type { TimelineEvent } from '../../src/gateway/types.ts';

/** What was left out of one participant, as the events tell. */
export interface LeftOut {
  /** Windows that lie between points, or behind the last of an utterance, at the hops that the points say, and in waits. At most. */
  windows: number;
  /** Waits; each cuts what was said into two utterances. */
  waits: number;
}

interface Participant extends LeftOut {
  /** The last point of the utterance at hand. */
  last: { readonly atMs: number; readonly hops: number } | null;
  waitedToMs: number | null;
}

/** An utterance begins anew after a wait, and its first windows are wanting until enough of it was heard. */
const windowsPerWait = 3;

/** Follows the events of all participants, each in order. */
export class HopWatch {
  readonly #hopMs: number;
  readonly #participants = new Map<string, Participant>();
  /** The hop of the newest point of anybody: one is in force for all. */
  #hops = 1;

  /** @param hopMs the model's */
  constructor(hopMs: number) {
    this.#hopMs = hopMs;
  }

  /** Takes the next event of a timeline. */
  take(event: TimelineEvent): void {
    switch (event.type) {
      case 'point':
        this.#point(this.#of(event.participantId), event.atMs, Math.round(event.hopMs / this.#hopMs));
        return;
      case 'segment': {
        const participant = this.#of(event.participantId);
        const { last } = participant;
        // Of what came after the last point none tells the hop; that of the others does.
        if (last !== null) participant.windows += Math.max(last.hops, this.#hops) - 1;
        participant.last = null;
        return;
      }
      case 'gap':
        if (event.reason === 'waiting') this.#waited(this.#of(event.participantId), event.startMs, event.atMs);
        return;
      default:
    }
  }

  /** What was left out so far, of those of whom anything was. */
  get leftOut(): ReadonlyMap<string, LeftOut> {
    const some = [...this.#participants].filter(([, { windows, waits }]) => windows > 0 || waits > 0);
    return new Map(some.map(([id, { windows, waits }]) => [id, { windows, waits }]));
  }

  #point(participant: Participant, atMs: number, hops: number): void {
    const { last } = participant;
    this.#hops = hops;
    participant.last = { atMs, hops };
    if (last === null) return;
    const widest = Math.max(hops, last.hops);
    // What is missing beyond the hop was lost.
    participant.windows += Math.min(widest, Math.max(1, Math.round((atMs - last.atMs) / this.#hopMs))) - 1;
  }

  #waited(participant: Participant, fromMs: number, toMs: number): void {
    participant.windows += Math.ceil((toMs - fromMs) / this.#hopMs);
    if (participant.waitedToMs !== fromMs) {
      participant.waits += 1;
      participant.windows += windowsPerWait;
    }
    participant.waitedToMs = toMs;
  }

  #of(participantId: string): Participant {
    let participant = this.#participants.get(participantId);
    if (participant === undefined) {
      participant = { windows: 0, waits: 0, last: null, waitedToMs: null };
      this.#participants.set(participantId, participant);
    }
    return participant;
  }
}
