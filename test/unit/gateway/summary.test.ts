// The summary reducer: what a call looks like after each kind of event.
import { describe, expect, it } from 'vitest';
import { emptySummary, reduceSummary } from '../../../src/gateway/summary.ts';
import type { CallSummary, EventDraft } from '../../../src/gateway/types.ts';
import { arrival, callOf, point, segment } from '../../support/timeline.ts';

function summaryOf(drafts: readonly EventDraft[], from = emptySummary(callOf('c', 'e'))): CallSummary {
  return drafts.reduce((summary, draft) => reduceSummary(summary, { epoch: 'e', seq: summary.lastSeq + 1, callId: 'c', ...draft }), from);
}

const speech = (participantId: string, state: 'start' | 'end'): EventDraft => ({ type: 'speech', atMs: 10, participantId, state });
const left = (participantId: string): EventDraft => ({ type: 'participant', atMs: 20, participantId, action: 'left', role: 'customer' });
const withdrawn = (participantId: string): EventDraft => ({
  type: 'consent',
  atMs: 15,
  participantId,
  consent: 'withdrawn',
  measured: false,
  reason: 'no-consent',
});
const blank = { participantId: 'p1', role: 'customer', present: true, measured: true, reason: 'allowed', speaking: false, current: null };

describe('reduceSummary', () => {
  it('begins live and empty', () => {
    expect(summaryOf([])).toEqual({ ...callOf('c', 'e'), live: true, lastSeq: 0, participants: [] });
  });

  it.each<[string, EventDraft[], object]>([
    ['joined', arrival('p1').slice(0, 1), { ...blank, measured: false, reason: '' }],
    ['joined and consented', arrival('p1'), blank],
    ['consented, then joined', arrival('p1').toReversed(), blank],
    ['speaking', [...arrival('p1'), speech('p1', 'start')], { ...blank, speaking: true }],
    ['silent again', [...arrival('p1'), speech('p1', 'start'), speech('p1', 'end')], blank],
    [
      'scored',
      [...arrival('p1'), point('p1', 250)],
      { ...blank, current: { atMs: 250, label: 'happiness', confidence: 0.75, unreliable: false } },
    ],
    [
      'given a verdict',
      [...arrival('p1'), point('p1', 250), segment('p1', 400)],
      { ...blank, current: { atMs: 400, label: 'sadness', confidence: 0.5, unreliable: false } },
    ],
    [
      'withdrawn',
      [...arrival('p1'), speech('p1', 'start'), point('p1', 250), withdrawn('p1')],
      { ...blank, measured: false, reason: 'no-consent' },
    ],
    [
      'scored after withdrawing',
      [...arrival('p1'), withdrawn('p1'), point('p1', 250), segment('p1', 400), speech('p1', 'start')],
      { ...blank, measured: false, reason: 'no-consent' },
    ],
    ['gone', [...arrival('p1'), point('p1', 250), left('p1')], { ...blank, present: false, measured: false }],
    ['back', [...arrival('p1'), point('p1', 250), left('p1'), ...arrival('p1').slice(0, 1)], { ...blank, measured: false }],
  ])('shows a participant who is %s', (_, drafts, expected) => {
    expect(summaryOf(drafts).participants).toEqual([expected]);
    expect(summaryOf(drafts).lastSeq).toBe(drafts.length);
  });

  it('ends a call with nobody in it', () => {
    const ended = summaryOf([...arrival('p1'), point('p1', 250), { type: 'end', atMs: 300, reason: 'closed' }]);
    expect(ended).toMatchObject({ live: false, lastSeq: 4, participants: [{ present: false, measured: false, current: null }] });
  });

  it('ignores events of who never came', () => {
    expect(summaryOf([point('ghost', 250), segment('ghost', 300), speech('ghost', 'start')])).toMatchObject({
      lastSeq: 3,
      participants: [],
    });
  });

  it('changes no earlier summary', () => {
    const before = Object.freeze(summaryOf(arrival('p1')));
    Object.freeze(before.participants);
    before.participants.forEach(Object.freeze);
    expect(summaryOf([point('p1', 250), left('p1')], before).participants).not.toEqual(before.participants);
    expect(before.participants).toEqual([blank]);
  });

  it('forgets the longest gone, and never who is present', () => {
    const drafts = Array.from({ length: 100 }, (_, index) => [...arrival(`p${index}`), left(`p${index}`)]).flat();
    const { participants } = summaryOf([...arrival('stays'), ...drafts]);
    expect(participants.map((each) => each.participantId)).toEqual([
      'stays',
      ...Array.from({ length: 64 }, (_, index) => `p${36 + index}`),
    ]);
  });
});
