// What a participant's timeline strip shows: the last minutes of a call as spans on its media clock. Pure.
import type { TimelineEvent, TimelineEventOf } from '@undertone/client';

/** A stretch of time under one label. */
export interface EmotionRun {
  readonly fromMs: number;
  readonly toMs: number;
  readonly label: string;
  /** Mean over its points, 0 to 1. */
  readonly confidence: number;
  readonly points: number;
}

/** A stretch of time; open while `toMs` is null. */
export interface Span {
  readonly fromMs: number;
  readonly toMs: number | null;
}

/** A stretch of time that was not scored. */
export interface GapSpan {
  readonly fromMs: number;
  readonly toMs: number;
  readonly reason: TimelineEventOf<'gap'>['reason'];
}

/** The recent past of one participant, oldest first. */
export interface History {
  readonly runs: readonly EmotionRun[];
  readonly measured: readonly Span[];
  readonly speech: readonly Span[];
  readonly gaps: readonly GapSpan[];
}

/** Nothing yet. */
export const emptyHistory: History = { runs: [], measured: [], speech: [], gaps: [] };

/** Two points further apart than this are not one run, in hops. */
const joinWithinHops = 2.5;

/** Takes in one event of this participant, and lets go of what ended more than `keepMs` before it. */
export function reduceHistory(history: History, event: TimelineEvent, keepMs: number): History {
  const next = apply(history, event);
  if (next === history) return history;
  const oldestMs = event.atMs - keepMs;
  const recent = <T extends { readonly toMs: number | null }>(spans: readonly T[]): readonly T[] =>
    spans[0] !== undefined && spans[0].toMs !== null && spans[0].toMs < oldestMs
      ? spans.filter(({ toMs }) => toMs === null || toMs >= oldestMs)
      : spans;
  return { runs: recent(next.runs), measured: recent(next.measured), speech: recent(next.speech), gaps: recent(next.gaps) };
}

/** Share of the scored time between two moments that each label holds, largest first. */
export function sharesOf(history: History, fromMs: number, toMs: number): readonly { readonly label: string; readonly ratio: number }[] {
  const lengths = new Map<string, number>();
  let totalMs = 0;
  for (const run of history.runs) {
    const lengthMs = Math.min(run.toMs, toMs) - Math.max(run.fromMs, fromMs);
    if (lengthMs <= 0) continue;
    totalMs += lengthMs;
    lengths.set(run.label, (lengths.get(run.label) ?? 0) + lengthMs);
  }
  return [...lengths].map(([label, lengthMs]) => ({ label, ratio: lengthMs / totalMs })).sort((a, b) => b.ratio - a.ratio);
}

function apply(history: History, event: TimelineEvent): History {
  const { atMs } = event;
  switch (event.type) {
    case 'point':
      return { ...history, runs: withPoint(history.runs, event.label, event.confidence, atMs, event.hopMs) };
    case 'speech':
      return { ...history, speech: event.state === 'start' ? opened(history.speech, atMs) : closed(history.speech, atMs) };
    case 'consent':
      return event.measured
        ? { ...history, measured: opened(history.measured, atMs) }
        : { ...history, measured: closed(history.measured, atMs), speech: closed(history.speech, atMs) };
    case 'participant':
      return event.action === 'joined' ? history : ended(history, atMs);
    case 'end':
      return ended(history, atMs);
    case 'gap':
      return { ...history, gaps: withGap(history.gaps, { fromMs: event.startMs, toMs: atMs, reason: event.reason }) };
    default:
      return history;
  }
}

function withPoint(runs: readonly EmotionRun[], label: string, confidence: number, atMs: number, hopMs: number): readonly EmotionRun[] {
  const last = runs[runs.length - 1];
  const joins = last !== undefined && atMs - last.toMs <= hopMs * joinWithinHops;
  if (joins && last.label === label) {
    const points = last.points + 1;
    const mean = last.confidence + (confidence - last.confidence) / points;
    return [...runs.slice(0, -1), { ...last, toMs: atMs, confidence: mean, points }];
  }
  return [...runs, { fromMs: joins ? last.toMs : atMs - hopMs, toMs: atMs, label, confidence, points: 1 }];
}

/** A wait is told in parts. */
function withGap(gaps: readonly GapSpan[], gap: GapSpan): readonly GapSpan[] {
  const last = gaps[gaps.length - 1];
  const goesOn = last?.toMs === gap.fromMs && last.reason === gap.reason;
  return goesOn ? [...gaps.slice(0, -1), { ...last, toMs: gap.toMs }] : [...gaps, gap];
}

function opened(spans: readonly Span[], atMs: number): readonly Span[] {
  return spans[spans.length - 1]?.toMs === null ? spans : [...spans, { fromMs: atMs, toMs: null }];
}

function closed(spans: readonly Span[], atMs: number): readonly Span[] {
  const last = spans[spans.length - 1];
  return last?.toMs === null ? [...spans.slice(0, -1), { ...last, toMs: atMs }] : spans;
}

function ended(history: History, atMs: number): History {
  return { ...history, measured: closed(history.measured, atMs), speech: closed(history.speech, atMs) };
}
