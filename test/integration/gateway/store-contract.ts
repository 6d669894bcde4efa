// What every timeline store must do: one suite, run on each implementation.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { TimelineEvent, TimelineStore } from '../../../src/gateway/types.ts';
import { callOf, numbered, summaryAt } from '../../support/timeline.ts';

/** A store that keeps 200 events of a call, or a few more. */
export type CreateStore = () => Promise<TimelineStore>;

const seqsOf = (events: readonly TimelineEvent[] | undefined): number[] => (events ?? []).map((event) => event.seq);
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

export function describeStore(name: string, create: CreateStore): void {
  describe(`timeline store: ${name}`, () => {
    let store: TimelineStore;
    let lastCall = 0;
    const freshCallId = (): string => `call-${++lastCall}`;

    beforeAll(async () => {
      store = await create();
    });

    afterAll(async () => {
      await store.close();
    });

    it('knows nothing of a call before it opens', async () => {
      expect(await store.call('nobody')).toBeNull();
      expect(await store.read('nobody', 0, 10)).toBeNull();
    });

    it('lists an opened call as live and empty', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      expect(await store.call(callId)).toEqual(summaryAt(callId, 'e1', 0));
      expect(await store.calls()).toContainEqual(summaryAt(callId, 'e1', 0));
      expect(await store.read(callId, 0, 10)).toEqual({ epoch: 'e1', firstSeq: 1, lastSeq: 0, events: [] });
    });

    it('returns events as they were written, in pages', async () => {
      const callId = freshCallId();
      const events = numbered(callId, 'e1', 1, 9);
      await store.open(callOf(callId, 'e1'));
      await store.append(events.slice(0, 4), summaryAt(callId, 'e1', 4));
      await store.append(events.slice(4), summaryAt(callId, 'e1', 9));
      expect(await store.read(callId, 0, 4)).toEqual({ epoch: 'e1', firstSeq: 1, lastSeq: 9, events: events.slice(0, 4) });
      expect(await store.read(callId, 4, 100)).toEqual({ epoch: 'e1', firstSeq: 1, lastSeq: 9, events: events.slice(4) });
      expect(seqsOf((await store.read(callId, 9, 100))?.events)).toEqual([]);
      expect(seqsOf((await store.read(callId, 500, 100))?.events)).toEqual([]);
    });

    it('keeps the summary that came with the last events', async () => {
      const callId = freshCallId();
      const participants = [
        { participantId: 'p1', role: 'agent', present: true, measured: true, reason: 'allowed', speaking: true, current: null },
      ];
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 2), { ...summaryAt(callId, 'e1', 2), participants });
      expect(await store.call(callId)).toEqual({ ...summaryAt(callId, 'e1', 2), participants });
      await store.append(numbered(callId, 'e1', 3, 3), summaryAt(callId, 'e1', 3, false));
      expect(await store.call(callId)).toMatchObject({ live: false, lastSeq: 3 });
    });

    it('takes a batch that is sent again once', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 3), summaryAt(callId, 'e1', 3));
      await store.append(numbered(callId, 'e1', 1, 3), summaryAt(callId, 'e1', 3));
      await store.append(numbered(callId, 'e1', 2, 5), summaryAt(callId, 'e1', 5));
      expect(seqsOf((await store.read(callId, 0, 100))?.events)).toEqual([1, 2, 3, 4, 5]);
    });

    it('opens the same epoch twice as once', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 3), summaryAt(callId, 'e1', 3));
      await store.open(callOf(callId, 'e1'));
      expect(seqsOf((await store.read(callId, 0, 100))?.events)).toEqual([1, 2, 3]);
      await store.append(numbered(callId, 'e1', 4, 4), summaryAt(callId, 'e1', 4));
      expect(await store.call(callId)).toMatchObject({ lastSeq: 4 });
    });

    it('refuses a gap, and writes nothing of it', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 2), summaryAt(callId, 'e1', 2));
      await expect(store.append(numbered(callId, 'e1', 4, 5), summaryAt(callId, 'e1', 5))).rejects.toMatchObject({
        code: 'UT_STORE_FAILED',
        retryable: false,
        message: 'Expected an event with seq `3`, got `4`',
      });
      expect(await store.read(callId, 0, 100)).toMatchObject({ lastSeq: 2, events: [{ seq: 1 }, { seq: 2 }] });
    });

    it('refuses a gap inside a batch, and events of an epoch that is over', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      const broken = [...numbered(callId, 'e1', 1, 1), ...numbered(callId, 'e1', 3, 3)];
      await expect(store.append(broken, summaryAt(callId, 'e1', 3))).rejects.toMatchObject({ code: 'UT_STORE_FAILED' });
      await store.open(callOf(callId, 'e2'));
      await expect(store.append(numbered(callId, 'e1', 1, 1), summaryAt(callId, 'e1', 1))).rejects.toMatchObject({
        code: 'UT_STORE_FAILED',
        retryable: false,
      });
      expect(await store.call(callId)).toMatchObject({ epoch: 'e2', lastSeq: 0 });
    });

    it('starts again at 1 in a new epoch, without the events of the old one', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 5), summaryAt(callId, 'e1', 5, false));
      await store.open(callOf(callId, 'e2'));
      expect(await store.read(callId, 0, 100)).toEqual({ epoch: 'e2', firstSeq: 1, lastSeq: 0, events: [] });
      const events = numbered(callId, 'e2', 1, 2);
      await store.append(events, summaryAt(callId, 'e2', 2));
      expect(await store.read(callId, 0, 100)).toEqual({ epoch: 'e2', firstSeq: 1, lastSeq: 2, events });
    });

    it('keeps a bounded number of events, the newest, without a gap', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      for (let from = 1; from <= 2000; from += 50) {
        await store.append(numbered(callId, 'e1', from, from + 49), summaryAt(callId, 'e1', from + 49));
      }
      const page = await store.read(callId, 0, 5000);
      expect(page?.lastSeq).toBe(2000);
      expect(page?.firstSeq).toBeGreaterThan(1);
      expect(page?.events.length).toBeGreaterThanOrEqual(200);
      expect(page?.events.length).toBeLessThan(500);
      expect(seqsOf(page?.events)).toEqual(range(page?.firstSeq ?? 0, 2000));
    });

    it('tells each subscriber of each event from then on, once and in order', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 3), summaryAt(callId, 'e1', 3));
      const early: TimelineEvent[] = [];
      const late: TimelineEvent[] = [];
      const leaveEarly = await store.subscribe(callId, (event) => early.push(event));
      await store.append(numbered(callId, 'e1', 4, 6), summaryAt(callId, 'e1', 6));
      const leaveLate = await store.subscribe(callId, (event) => late.push(event));
      await store.append(numbered(callId, 'e1', 7, 9), summaryAt(callId, 'e1', 9));
      await vi.waitFor(() => expect([seqsOf(early), seqsOf(late)]).toEqual([range(4, 9), range(7, 9)]), { timeout: 10_000 });
      leaveEarly();
      await store.append(numbered(callId, 'e1', 10, 10), summaryAt(callId, 'e1', 10));
      await vi.waitFor(() => expect(seqsOf(late)).toEqual(range(7, 10)), { timeout: 10_000 });
      expect(seqsOf(early)).toEqual(range(4, 9));
      expect(late).toEqual(numbered(callId, 'e1', 7, 10).map((event) => ({ ...event, arrivedAtUnixMs: expect.any(Number) })));
      leaveLate();
    });

    it('lets a subscriber read every event that it was told of', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      const reads: Promise<boolean>[] = [];
      const leave = await store.subscribe(callId, (event) => {
        reads.push(store.read(callId, event.seq - 1, 1).then((page) => page?.events[0]?.seq === event.seq));
      });
      for (let from = 1; from <= 30; from += 10) {
        await store.append(numbered(callId, 'e1', from, from + 9), summaryAt(callId, 'e1', from + 9));
      }
      await vi.waitFor(() => expect(reads.length).toBe(30), { timeout: 10_000 });
      expect(await Promise.all(reads)).not.toContain(false);
      leave();
    });

    it('tells a subscriber that came before the call, and across epochs', async () => {
      const callId = freshCallId();
      const seen: string[] = [];
      const leave = await store.subscribe(callId, (event) => seen.push(`${event.epoch}/${event.seq}`));
      await store.open(callOf(callId, 'e1'));
      await store.append(numbered(callId, 'e1', 1, 2), summaryAt(callId, 'e1', 2, false));
      await store.open(callOf(callId, 'e2'));
      await store.append(numbered(callId, 'e2', 1, 1), summaryAt(callId, 'e2', 1));
      await vi.waitFor(() => expect(seen).toEqual(['e1/1', 'e1/2', 'e2/1']), { timeout: 10_000 });
      leave();
    });

    it('keeps a listener that throws from the others', async () => {
      const callId = freshCallId();
      await store.open(callOf(callId, 'e1'));
      const seen: TimelineEvent[] = [];
      const leaves = [
        await store.subscribe(callId, () => {
          throw new Error('a faulty listener');
        }),
        await store.subscribe(callId, (event) => seen.push(event)),
      ];
      await store.append(numbered(callId, 'e1', 1, 2), summaryAt(callId, 'e1', 2));
      await vi.waitFor(() => expect(seqsOf(seen)).toEqual([1, 2]), { timeout: 10_000 });
      for (const leave of leaves) leave();
    });

    it('closes twice, and refuses everything afterwards', async () => {
      const other = await create();
      await other.close();
      await other.close();
      await expect(other.calls()).rejects.toMatchObject({ code: 'UT_STORE_FAILED' });
      await expect(other.open(callOf('x', 'e1'))).rejects.toMatchObject({ code: 'UT_STORE_FAILED' });
      await expect(other.subscribe('x', () => undefined)).rejects.toMatchObject({ code: 'UT_STORE_FAILED' });
    });
  });
}
