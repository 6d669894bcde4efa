// The timeline of a live call: numbering, order, bounds, consent, and a store that fails.
import { describe, expect, it, vi } from 'vitest';
import fc from 'fast-check';
import { UndertoneError } from '../../../src/errors.ts';
import { DraftQueue } from '../../../src/gateway/draft-queue.ts';
import { MemoryTimelineStore } from '../../../src/gateway/memory-store.ts';
import { Timeline } from '../../../src/gateway/timeline.ts';
import type { CallSummary, EventDraft, TimelineEvent } from '../../../src/gateway/types.ts';
import { createMetrics, type Metrics } from '../../../src/metrics.ts';
import { arrival, point, segment, timelineOptions } from '../../support/timeline.ts';

/** A real store with a gate: while `fault` is set, writing fails with it; while `held`, it waits. */
class GatedStore extends MemoryTimelineStore {
  fault: Error | null = null;
  held: Promise<void> | null = null;
  attempts = 0;

  override async append(events: readonly TimelineEvent[], summary: CallSummary): Promise<void> {
    this.attempts++;
    if (this.held !== null) await this.held;
    if (this.fault !== null) throw this.fault;
    await super.append(events, summary);
  }
}

const retryable = (): Error => new UndertoneError('UT_STORE_FAILED', 'out of order', { retryable: true });
const withdrawal: EventDraft = {
  type: 'consent',
  atMs: 9,
  participantId: 'p1',
  consent: 'withdrawn',
  measured: false,
  reason: 'no-consent',
};

async function eventsOf(store: MemoryTimelineStore, callId = 'c'): Promise<readonly TimelineEvent[]> {
  return (await store.read(callId, 0, 100_000))?.events ?? [];
}

async function dropped(metrics: Metrics, reason: string): Promise<number> {
  const { values } = await metrics.eventsDropped.get();
  return values.find((each) => each.labels.reason === reason)?.value ?? 0;
}

function gate(): { readonly held: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { held, open };
}

describe('Timeline', () => {
  it('numbers events from 1 without gaps, and keeps everything else as it came', async () => {
    const store = new MemoryTimelineStore();
    const written: TimelineEvent[] = [];
    const timeline = new Timeline(timelineOptions(store, 'c', { onWritten: (event) => written.push(event) }));
    const drafts = [...arrival('p1'), point('p1', 500), segment('p1', 700)];
    for (const draft of drafts) timeline.write(draft);
    await timeline.end('closed', 800);
    const expected = [...drafts, { type: 'end', atMs: 800, reason: 'closed' }];
    expect(await eventsOf(store)).toEqual(
      expected.map((draft, index) => ({ epoch: timeline.epoch, seq: index + 1, callId: 'c', ...draft })),
    );
    expect(written).toEqual(await eventsOf(store));
    expect(await store.call('c')).toEqual(timeline.summary);
    expect(timeline).toMatchObject({ state: 'ended', summary: { live: false, lastSeq: 5 } });
  });

  it('writes any sequence in order, gapless, with the right summary, however the store dawdles', async () => {
    const draft = fc.oneof(
      fc.constantFrom('p1', 'p2').map((id): EventDraft => point(id, 250)),
      fc.constantFrom('p1', 'p2').map((id): EventDraft => segment(id, 250)),
      fc.constantFrom<EventDraft>(withdrawal, ...arrival('p1'), ...arrival('p2')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(draft, fc.boolean()), { maxLength: 60 }), fc.boolean(), async (steps, flaky) => {
        const store = new GatedStore();
        const timeline = new Timeline(timelineOptions(store, 'c'));
        const measured = new Set<string>();
        for (const [step, pause] of steps) {
          if (pause && flaky) store.held = new Promise((resolve) => setImmediate(resolve));
          if (pause) await Promise.resolve();
          timeline.write({ ...step });
        }
        await timeline.end('closed');
        const events = await eventsOf(store);
        expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
        for (const event of events) {
          if (event.type === 'consent' && event.measured) measured.add(event.participantId);
          else if (event.type === 'consent') measured.delete(event.participantId);
          else if (event.type === 'point' || event.type === 'segment') expect(measured).toContain(event.participantId);
        }
        const lasting = (type: string): boolean => type === 'consent' || type === 'participant';
        expect(events.filter((event) => lasting(event.type))).toHaveLength(steps.filter(([step]) => lasting(step.type)).length);
        expect(events.at(-1)?.type).toBe('end');
        expect(await store.call('c')).toEqual(timeline.summary);
        await store.close();
      }),
      { numRuns: 60 },
    );
  });

  it('gives later epochs that sort later', () => {
    let nowMs = 1_700_000_000_000;
    const epochs = Array.from({ length: 20 }, () => {
      nowMs += 1;
      return new Timeline(timelineOptions(new MemoryTimelineStore(), 'c', { clock: { nowMs: () => nowMs } })).epoch;
    });
    expect(epochs.toSorted()).toEqual(epochs);
    expect(new Set(epochs).size).toBe(20);
  });

  it('lets nothing inferred through without consent, nor after its end', async () => {
    const store = new MemoryTimelineStore();
    const metrics = createMetrics();
    const timeline = new Timeline(timelineOptions(store, 'c', { metrics }));
    timeline.write(point('p1', 100));
    for (const draft of arrival('p1')) timeline.write(draft);
    timeline.write(point('p1', 200));
    await timeline.flush();
    timeline.write(withdrawal);
    timeline.write(point('p1', 300));
    timeline.write(segment('p1', 300));
    await timeline.end('closed');
    expect((await eventsOf(store)).map((event) => event.type)).toEqual(['participant', 'consent', 'point', 'consent', 'end']);
    expect(await dropped(metrics, 'unmeasured')).toBe(3);
  });

  it('drops what still waits of a person who withdraws, and of nobody else', async () => {
    const store = new GatedStore();
    const { held, open } = gate();
    const timeline = new Timeline(timelineOptions(store, 'c'));
    for (const draft of [...arrival('p1'), ...arrival('p2')]) timeline.write(draft);
    await timeline.flush();
    store.held = held;
    timeline.write(point('p1', 100));
    await vi.waitFor(() => expect(store.attempts).toBe(2));
    timeline.write(point('p1', 200));
    timeline.write(point('p2', 200));
    timeline.write(withdrawal);
    open();
    await timeline.flush();
    const inferred = (await eventsOf(store)).filter((event) => event.type === 'point');
    expect(inferred.map((event) => [event.participantId, event.atMs])).toEqual([
      ['p1', 100],
      ['p2', 200],
    ]);
  });

  it('takes nothing after the end, and ends once', async () => {
    const store = new MemoryTimelineStore();
    const metrics = createMetrics();
    const timeline = new Timeline(timelineOptions(store, 'c', { metrics }));
    timeline.write({ type: 'end', atMs: 50, reason: 'empty' });
    for (const draft of arrival('p1')) timeline.write(draft);
    await Promise.all([timeline.end('closed'), timeline.end('shutdown')]);
    expect(await eventsOf(store)).toMatchObject([{ type: 'end', atMs: 50, reason: 'empty' }]);
    expect(await dropped(metrics, 'ended')).toBe(2);
  });

  it('tries again while the store fails, and loses nothing that fits its bound', async () => {
    const store = new GatedStore();
    const timeline = new Timeline(timelineOptions(store, 'c'));
    store.fault = retryable();
    for (const draft of arrival('p1')) timeline.write(draft);
    await vi.waitFor(() => expect(store.attempts).toBeGreaterThan(2), { timeout: 10_000 });
    timeline.write(point('p1', 100));
    store.fault = null;
    await timeline.end('closed');
    expect((await eventsOf(store)).map((event) => [event.seq, event.type])).toEqual([
      [1, 'participant'],
      [2, 'consent'],
      [3, 'point'],
      [4, 'end'],
    ]);
  });

  it('drops points first when full, tells of it with one gap a participant, and stays gapless', async () => {
    const store = new GatedStore();
    const metrics = createMetrics();
    const timeline = new Timeline(timelineOptions(store, 'c', { metrics, maxQueuedEvents: 10 }));
    for (const draft of arrival('p1')) timeline.write(draft);
    await timeline.flush();
    const { held, open } = gate();
    store.held = held;
    timeline.write(segment('p1', 50));
    await vi.waitFor(() => expect(store.attempts).toBe(2));
    for (let atMs = 3000; atMs < 3030; atMs++) timeline.write(point('p1', atMs));
    for (const draft of arrival('p2')) timeline.write(draft);
    open();
    await timeline.end('closed');
    const events = await eventsOf(store);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    expect(events[3]).toMatchObject({ type: 'gap', reason: 'overload', participantId: 'p1', startMs: 0, atMs: 3022 });
    const kept = events.filter((event) => event.type === 'point').map((event) => event.atMs);
    expect(kept).toEqual([3023, 3024, 3025, 3026, 3027, 3028, 3029]);
    expect(events.filter((event) => event.type === 'participant' || event.type === 'consent')).toHaveLength(4);
    expect(await dropped(metrics, 'overflow')).toBe(23);
  });

  it('fails, alone, when the store refuses it for good', async () => {
    const store = new GatedStore();
    const timeline = new Timeline(timelineOptions(store, 'c'));
    const other = new Timeline(timelineOptions(store, 'other'));
    await timeline.opened;
    store.fault = new UndertoneError('UT_STORE_FAILED', 'another epoch');
    timeline.write(arrival('p1')[0]!);
    await timeline.settled;
    expect(timeline.state).toBe('failed');
    store.fault = null;
    timeline.write(arrival('p1')[1]!);
    await timeline.end('closed');
    expect(await eventsOf(store)).toEqual([]);
    for (const draft of arrival('p1')) other.write(draft);
    await other.end('closed');
    expect(await eventsOf(store, 'other')).toHaveLength(3);
  });

  it('gives up at once when abandoned, even while the store hangs', async () => {
    const store = new GatedStore();
    const timeline = new Timeline(timelineOptions(store, 'c'));
    await timeline.opened;
    store.held = new Promise(() => undefined);
    timeline.write(arrival('p1')[0]!);
    const ended = timeline.end('shutdown');
    timeline.abandon();
    await ended;
    expect(timeline.state).toBe('failed');
  });

  it('measures the time from the arrival of a window to its event', async () => {
    let nowMs = 1_000_000;
    const metrics = createMetrics();
    const clock = { nowMs: () => nowMs };
    const timeline = new Timeline(timelineOptions(new MemoryTimelineStore(), 'c', { metrics, clock }));
    for (const draft of arrival('p1')) timeline.write(draft);
    await timeline.flush();
    nowMs += 120;
    timeline.write({ ...point('p1', 100), arrivedAtUnixMs: 1_000_000 });
    await timeline.end('closed');
    const { values } = await metrics.arrivalToEventMs.get();
    expect(values.find((each) => each.metricName?.endsWith('_sum'))?.value).toBe(120);
    expect(values.find((each) => each.metricName?.endsWith('_count'))?.value).toBe(1);
    expect((await metrics.events.get()).values.find((each) => each.labels.type === 'point')?.value).toBe(1);
  });
});

describe('DraftQueue', () => {
  it('drops in the order point, gap, segment, speech, and never what must stay', () => {
    const queue = new DraftQueue(4);
    const speech: EventDraft = { type: 'speech', atMs: 1, participantId: 'p1', state: 'start' };
    const gap: EventDraft = { type: 'gap', atMs: 1, participantId: 'p1', startMs: 0, reason: 'media' };
    for (const draft of [speech, segment('p1', 2), gap, point('p1', 4)]) expect(queue.push(draft)).toBe('queued');
    for (let index = 0; index < 4; index++) expect(queue.push(withdrawal)).toBe('displaced');
    for (let index = 0; index < 4; index++) expect(queue.push(withdrawal)).toBe('queued');
    expect(queue.push(withdrawal)).toBe('full');
    expect(queue.take(100).map((draft) => draft.type)).toEqual(['gap', ...Array<string>(9).fill('consent')]);
    expect(queue.length).toBe(0);
  });
});
