// From events to what the overlay shows and says.
import { describe, expect, it } from 'vitest';
import type { CallSummary, ParticipantSummary, TimelineEvent } from '../../../client-sdk/src/index.ts';
import { callStateOf, displayOf, emptyCallState, reduceCall, type CallState } from '../../../client-sdk/src/overlay-state.ts';
import { labelText, overlayText, percentText, reasonText } from '../../../client-sdk/src/overlay-text.ts';
import { emotionColor, emotionSign } from '../../../client-sdk/src/palette.ts';
import { call } from './support/fake-socket.ts';

type Body = TimelineEvent extends infer E ? (E extends TimelineEvent ? Omit<E, 'epoch' | 'seq' | 'callId' | 'atMs'> : never) : never;

const p = 'p1';
const joined: Body = { type: 'participant', participantId: p, action: 'joined', role: 'guest' };
const left: Body = { type: 'participant', participantId: p, action: 'left', role: 'guest' };
const allowed: Body = { type: 'consent', participantId: p, consent: 'granted', measured: true, reason: 'granted' };
const withdrawn: Body = { type: 'consent', participantId: p, consent: 'withdrawn', measured: false, reason: 'withdrawn' };
const begins: Body = { type: 'speech', participantId: p, state: 'start' };
const ends: Body = { type: 'speech', participantId: p, state: 'end' };
const happy = { label: 'happiness', confidence: 0.7, probabilities: { happiness: 0.7, anger: 0.3 } };
/** The same, as it is shown. */
const verdict = { ...happy, unreliable: false };
const point: Body = {
  type: 'point',
  participantId: p,
  startMs: 0,
  speechRatio: 1,
  concealedRatio: 0,
  unreliable: false,
  hopMs: 250,
  arrivedAtUnixMs: 0,
  ...happy,
};
const segment: Body = {
  type: 'segment',
  participantId: p,
  startMs: 0,
  concealedRatio: 0,
  unreliable: false,
  hopMs: 250,
  points: 3,
  ...happy,
  label: 'anger',
};
const gap: Body = { type: 'gap', participantId: p, startMs: 0, reason: 'overload' };
const end: Body = { type: 'end', reason: 'empty' };

const numbered = (bodies: Body[], epoch = 'e1'): TimelineEvent[] =>
  bodies.map((body, index) => ({ ...body, epoch, seq: index + 1, callId: 'call', atMs: index * 100 }));
const after = (...bodies: Body[]): CallState => numbered(bodies).reduce(reduceCall, emptyCallState);
const shown = (...bodies: Body[]) => displayOf(after(...bodies), p);

describe('displayOf', () => {
  it.each([
    ['nothing known', [], { kind: 'connecting' }],
    ['joined, undecided', [joined], { kind: 'not-measured', reason: 'unknown' }],
    ['measured, nothing heard', [joined, allowed], { kind: 'listening' }],
    ['speaking, no point yet', [joined, allowed, begins], { kind: 'listening' }],
    ['speaking', [joined, allowed, begins, point], { kind: 'emotion', ...verdict }],
    ['speaking through a gap', [joined, allowed, begins, point, gap], { kind: 'emotion', ...verdict }],
    [
      'silent after an utterance',
      [joined, allowed, begins, point, ends, segment],
      { kind: 'silence', last: { ...verdict, label: 'anger' } },
    ],
    [
      'speaking over a bad line',
      [joined, allowed, begins, { ...point, unreliable: true }],
      { kind: 'emotion', ...happy, unreliable: true },
    ],
    ['silent, unscored', [joined, allowed, begins, ends], { kind: 'silence', last: null }],
    ['speaking again', [joined, allowed, begins, point, ends, segment, begins], { kind: 'listening' }],
    ['withdrawn in mid-speech', [joined, allowed, begins, point, withdrawn], { kind: 'not-measured', reason: 'withdrawn' }],
    ['a late point after withdrawal', [joined, allowed, begins, withdrawn, point, segment], { kind: 'not-measured', reason: 'withdrawn' }],
    ['allowed again after withdrawal', [joined, allowed, begins, point, withdrawn, allowed], { kind: 'listening' }],
    ['decided again while measured', [joined, allowed, begins, point, allowed], { kind: 'emotion', ...verdict }],
    ['left', [joined, allowed, begins, point, left], { kind: 'not-measured', reason: 'left' }],
    ['rejoined', [joined, allowed, left, joined, allowed], { kind: 'listening' }],
    ['call over', [joined, allowed, begins, point, end], { kind: 'not-measured', reason: 'call-ended' }],
  ] satisfies [string, Body[], unknown][])('%s', (_name, bodies, expected) => {
    expect(shown(...bodies)).toEqual(expected);
  });
});

describe('reduceCall', () => {
  it('leaves others as they are, and does not touch what it was given', () => {
    const before = after(joined, allowed);
    const [other] = numbered([{ ...joined, participantId: 'p2' }]);
    const next = reduceCall(before, { ...other!, seq: 3 });
    expect(next.participants.get(p)).toBe(before.participants.get(p));
    expect([before.participants.size, next.participants.size]).toEqual([1, 2]);
  });

  it('ignores what the summary contained already', () => {
    const participant: ParticipantSummary = {
      participantId: p,
      role: 'guest',
      present: true,
      measured: true,
      reason: 'granted',
      speaking: true,
      current: { atMs: 0, label: 'fear', confidence: 0.5, unreliable: false },
    };
    const summary: CallSummary = call(3, { participants: [participant] });
    const state = callStateOf(summary);
    expect(displayOf(state, p)).toEqual({ kind: 'emotion', label: 'fear', confidence: 0.5, probabilities: null, unreliable: false });
    expect(reduceCall(state, numbered([joined, allowed, withdrawn])[2]!)).toBe(state);
    expect(displayOf(callStateOf(call(3, { participants: [{ ...participant, speaking: false }] })), p).kind).toBe('silence');
    expect(displayOf(callStateOf(call(3, { participants: [{ ...participant, speaking: false, current: null }] })), p).kind).toBe(
      'listening',
    );
  });

  it('forgets all on another epoch', () => {
    const state = reduceCall(after(joined, allowed, begins, point), numbered([{ ...joined, participantId: 'p2' }], 'e2')[0]!);
    expect([...state.participants.keys()]).toEqual(['p2']);
    expect([state.epoch, state.seq, state.live]).toEqual(['e2', 1, true]);
  });

  it('shares the participants when nothing of them changed', () => {
    const state = after(joined, allowed);
    const next = reduceCall(state, { ...numbered([gap])[0]!, seq: 3 });
    expect(next.participants).toBe(state.participants);
    expect(next.seq).toBe(3);
  });
});

describe('words', () => {
  it.each([
    [{ kind: 'connecting' }, 'Connecting', '', 'Emotion: connecting'],
    [{ kind: 'not-measured', reason: 'no-consent' }, 'Not measured', 'No consent given', 'Emotion not measured: No consent given'],
    [{ kind: 'listening' }, 'Listening', '', 'Emotion measured: listening'],
    [{ kind: 'silence', last: null }, 'Silence', '', 'Emotion measured: silence'],
    [{ kind: 'silence', last: happy }, 'Silence', 'Last happiness', 'Emotion measured: silence, last happiness'],
    [{ kind: 'emotion', ...verdict }, 'Happiness', '', 'Emotion happiness, 70% confidence'],
    [
      { kind: 'emotion', ...happy, label: 'uncertain' },
      'Uncertain',
      'Perhaps happiness',
      'Emotion uncertain, perhaps happiness, 70% confidence',
    ],
  ] as const)('say %o', (state, title, detail, spoken) => {
    expect(overlayText(state)).toEqual({ title, detail, spoken });
  });

  it('make do with labels and reasons that are not known', () => {
    expect(labelText('very_happy-ish')).toBe('Very happy ish');
    expect(labelText('')).toBe('Unknown');
    expect(reasonText('new-rule')).toBe('New rule');
    expect(reasonText('toString')).toBe('ToString');
    expect([percentText(0.716), percentText(-1), percentText(2)]).toEqual(['72%', '0%', '100%']);
  });
});

describe('palette', () => {
  it('has a colour of its own for known labels and a stable one for others, all to be overridden', () => {
    const known = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness', 'uncertain'];
    expect(new Set(known.map((label) => emotionColor(label, 'light'))).size).toBe(known.length);
    expect(emotionColor('anger', 'light')).toMatch(/^var\(--undertone-color-anger, #[0-9a-f]{6}\)$/);
    expect(emotionColor('a b;c', 'dark')).toMatch(/^var\(--undertone-color-a-b-c, hsl\(\d+ 45% 68%\)\)$/);
    expect(emotionColor('boredom', 'dark')).toBe(emotionColor('boredom', 'dark'));
    expect(emotionColor('boredom', 'dark')).not.toBe(emotionColor('calm', 'dark'));
    expect(new Set([...known, 'boredom'].map(emotionSign)).size).toBe(known.length + 1);
  });
});
