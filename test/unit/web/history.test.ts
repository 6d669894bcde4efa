// What the console's strips are drawn from.
import { describe, expect, it } from 'vitest';
import { emptyHistory, reduceHistory, sharesOf, type History } from '../../../apps/console/history.ts';
import type { TimelineEvent } from '../../../client-sdk/src/index.ts';

let seq = 0;
const base = (atMs: number) => ({ epoch: 'e', seq: ++seq, callId: 'call', participantId: 'p', atMs });
const point = (atMs: number, label: string, confidence = 0.5): TimelineEvent => ({
  ...{ ...base(atMs), type: 'point', startMs: atMs - 3000, label, confidence, probabilities: {} },
  ...{ speechRatio: 1, concealedRatio: 0, unreliable: false, hopMs: 250, arrivedAtUnixMs: 0 },
});
const speech = (atMs: number, state: 'start' | 'end'): TimelineEvent => ({ ...base(atMs), type: 'speech', state });
const consent = (atMs: number, measured: boolean): TimelineEvent => ({
  ...{ ...base(atMs), type: 'consent', consent: measured ? 'granted' : 'withdrawn', measured, reason: '' },
});
const after = (events: TimelineEvent[], keepMs = 120_000): History =>
  events.reduce((history, event) => reduceHistory(history, event, keepMs), emptyHistory);

describe('reduceHistory', () => {
  it('joins neighbouring points of one label, with their mean confidence', () => {
    const { runs } = after([point(1000, 'fear', 0.4), point(1250, 'fear', 0.6), point(1500, 'anger', 0.9), point(5000, 'anger', 0.5)]);
    expect(runs).toEqual([
      { fromMs: 750, toMs: 1250, label: 'fear', confidence: 0.5, points: 2 },
      { fromMs: 1250, toMs: 1500, label: 'anger', confidence: 0.9, points: 1 },
      { fromMs: 4750, toMs: 5000, label: 'anger', confidence: 0.5, points: 1 },
    ]);
  });

  it('opens and closes spans of speech and of measuring, whatever comes twice or alone', () => {
    const history = after([
      speech(50, 'end'),
      consent(100, true),
      consent(120, true),
      speech(200, 'start'),
      speech(300, 'end'),
      speech(400, 'start'),
      consent(500, false),
      consent(600, true),
    ]);
    expect(history.measured).toEqual([
      { fromMs: 100, toMs: 500 },
      { fromMs: 600, toMs: null },
    ]);
    expect(history.speech).toEqual([
      { fromMs: 200, toMs: 300 },
      { fromMs: 400, toMs: 500 },
    ]);
  });

  it.each<[string, TimelineEvent]>([
    ['leaving', { ...base(900), type: 'participant', action: 'left', role: 'guest' }],
    ['the end', { epoch: 'e', seq: 99, callId: 'call', atMs: 900, type: 'end', reason: 'empty' }],
  ])('ends everything with %s', (_name, event) => {
    const history = after([consent(100, true), speech(200, 'start'), event]);
    expect([history.measured, history.speech]).toEqual([[{ fromMs: 100, toMs: 900 }], [{ fromMs: 200, toMs: 900 }]]);
  });

  it('keeps gaps, and makes one of a wait that was told in parts', () => {
    const gap = (startMs: number, atMs: number, reason: 'overload' | 'waiting') => ({
      ...base(atMs),
      type: 'gap' as const,
      startMs,
      reason,
    });
    expect(after([gap(700, 900, 'overload')]).gaps).toEqual([{ fromMs: 700, toMs: 900, reason: 'overload' }]);
    expect(after([gap(700, 900, 'overload'), gap(900, 1900, 'waiting'), gap(1900, 2400, 'waiting')]).gaps).toEqual([
      { fromMs: 700, toMs: 900, reason: 'overload' },
      { fromMs: 900, toMs: 2400, reason: 'waiting' },
    ]);
  });

  it('forgets what is long over, and nothing that goes on', () => {
    const history = after(
      [consent(100, true), point(1000, 'fear'), point(5000, 'anger'), speech(5000, 'start'), point(14_000, 'anger')],
      10_000,
    );
    expect(history.runs.map(({ toMs }) => toMs)).toEqual([5000, 14_000]);
    expect(history.measured).toEqual([{ fromMs: 100, toMs: null }]);
    expect(history.speech).toHaveLength(1);
  });

  it('does not grow over hours', () => {
    let history = emptyHistory;
    for (let atMs = 0; atMs < 3_600_000; atMs += 1000) {
      history = reduceHistory(history, point(atMs, atMs % 2000 === 0 ? 'fear' : 'anger'), 120_000);
    }
    expect(history.runs.length).toBeLessThan(125);
  });
});

describe('sharesOf', () => {
  it('weighs by time within bounds, largest first', () => {
    const history = after([point(250, 'fear'), point(500, 'fear'), point(750, 'fear'), point(1000, 'anger')]);
    expect(sharesOf(history, 0, 1000)).toEqual([
      { label: 'fear', ratio: 0.75 },
      { label: 'anger', ratio: 0.25 },
    ]);
    expect(sharesOf(history, 500, 1000)).toEqual([
      { label: 'fear', ratio: 0.5 },
      { label: 'anger', ratio: 0.5 },
    ]);
    expect(sharesOf(history, 5000, 6000)).toEqual([]);
  });
});
