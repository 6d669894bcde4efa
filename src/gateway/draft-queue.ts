// The bounded queue between a call and its store: what waits to be written, and what goes first when the store is slow.
import type { EventDraft, EventType } from './types.ts';

/** What {@link DraftQueue.push} did: took it, took it in another's place, or found no room without losing what must stay. */
export type PushResult = 'queued' | 'displaced' | 'full';

/** Goes first when there is no room. Participants, consent and the end are never dropped. */
const dropOrder: readonly EventType[] = ['point', 'gap', 'segment', 'speech'];

/** Event drafts in order, bounded. Dropped points become one `gap` a participant, so that viewers are told. */
export class DraftQueue {
  readonly #maxDrafts: number;
  #drafts: EventDraft[] = [];
  /** Stretches of points dropped since the last {@link take}, by participant. */
  readonly #lost = new Map<string, { startMs: number; endMs: number }>();

  /** Beyond `maxDrafts` something is dropped for each draft that comes; at twice that, nothing droppable being left, it is full. */
  constructor(maxDrafts: number) {
    this.#maxDrafts = maxDrafts;
  }

  get length(): number {
    return this.#drafts.length + this.#lost.size;
  }

  push(draft: EventDraft): PushResult {
    this.#drafts.push(draft);
    if (this.#drafts.length <= this.#maxDrafts) return 'queued';
    for (const type of dropOrder) {
      const index = this.#drafts.findIndex((each) => each.type === type);
      if (index >= 0) {
        for (const dropped of this.#drafts.splice(index, 1)) this.#noteLost(dropped);
        return 'displaced';
      }
    }
    return this.#drafts.length <= 2 * this.#maxDrafts ? 'queued' : 'full';
  }

  /** Removes and returns the oldest drafts, led by the gaps that stand for dropped points. */
  take(maxDrafts: number): EventDraft[] {
    if (this.#lost.size === 0 && this.#drafts.length <= maxDrafts) {
      const drafts = this.#drafts;
      this.#drafts = [];
      return drafts;
    }
    const gaps: EventDraft[] = [...this.#lost].map(([participantId, { startMs, endMs }]) => ({
      type: 'gap',
      atMs: endMs,
      participantId,
      startMs,
      reason: 'overload',
    }));
    this.#lost.clear();
    return [...gaps, ...this.#drafts.splice(0, maxDrafts)];
  }

  /** Drops whatever was inferred of a participant and is not written yet; returns how much that was. */
  forget(participantId: string): number {
    const before = this.#drafts.length;
    this.#lost.delete(participantId);
    this.#drafts = this.#drafts.filter((draft) => !(isInferred(draft) && draft.participantId === participantId));
    return before - this.#drafts.length;
  }

  clear(): number {
    const dropped = this.#drafts.length;
    this.#drafts = [];
    this.#lost.clear();
    return dropped;
  }

  #noteLost(draft: EventDraft): void {
    if (draft.type !== 'point') return;
    const lost = this.#lost.get(draft.participantId);
    this.#lost.set(draft.participantId, { startMs: lost?.startMs ?? draft.startMs, endMs: draft.atMs });
  }
}

/** The events that come from a person's voice, and may exist only while that person is measured. */
export type InferredDraft = Extract<EventDraft, { type: 'point' | 'segment' | 'speech' | 'gap' }>;

/** Whether an event comes from a person's voice. */
export function isInferred(draft: EventDraft): draft is InferredDraft {
  return draft.type === 'point' || draft.type === 'segment' || draft.type === 'speech' || draft.type === 'gap';
}
