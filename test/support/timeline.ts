// Drafts, events and options of timelines for tests.
import { pino } from 'pino';
import { systemClock } from '../../src/clock.ts';
import { createMetrics } from '../../src/metrics.ts';
import type { TimelineOptions } from '../../src/gateway/timeline.ts';
import type { CallSummary, EventDraft, TimelineEvent, TimelineStore } from '../../src/gateway/types.ts';

export const silentLogger = pino({ level: 'silent' });

/** A point of `participantId` that ends at `atMs`. */
export function point(participantId: string, atMs: number, label = 'happiness'): EventDraft & { type: 'point' } {
  return {
    type: 'point',
    atMs,
    participantId,
    startMs: Math.max(0, atMs - 3000),
    label,
    confidence: 0.75,
    probabilities: { anger: 0.05, happiness: 0.75, neutral: 0.1, sadness: 0.1 },
    speechRatio: 1,
    concealedRatio: 0,
    unreliable: false,
    hopMs: 250,
    arrivedAtUnixMs: systemClock.nowMs(),
  };
}

export function segment(participantId: string, atMs: number, label = 'sadness'): EventDraft & { type: 'segment' } {
  return {
    type: 'segment',
    atMs,
    participantId,
    startMs: 0,
    label,
    confidence: 0.5,
    probabilities: { sadness: 0.5, neutral: 0.5 },
    concealedRatio: 0,
    unreliable: false,
    hopMs: 250,
    points: 4,
  };
}

/** The two drafts after which a participant's points are let through. */
export function arrival(participantId: string, atMs = 0): EventDraft[] {
  return [
    { type: 'participant', atMs, participantId, action: 'joined', role: 'customer' },
    { type: 'consent', atMs, participantId, consent: 'granted', measured: true, reason: 'allowed' },
  ];
}

export function timelineOptions(store: TimelineStore, callId: string, more: Partial<TimelineOptions> = {}): TimelineOptions {
  return {
    store,
    callId,
    purpose: 'support',
    region: 'eu',
    startedAtUnixMs: systemClock.nowMs(),
    node: 'test-node',
    clock: systemClock,
    metrics: createMetrics(),
    logger: silentLogger,
    ...more,
  };
}

export function callOf(callId: string, epoch: string): Omit<CallSummary, 'lastSeq' | 'participants' | 'live'> {
  return { callId, epoch, startedAtUnixMs: 1_700_000_000_000, node: 'test-node', purpose: 'support', region: 'eu' };
}

/** Points with seq `from` … `to` of one call. */
export function numbered(callId: string, epoch: string, from: number, to: number): TimelineEvent[] {
  return Array.from({ length: to - from + 1 }, (_, index) => ({ epoch, seq: from + index, callId, ...point('p1', (from + index) * 250) }));
}

export function summaryAt(callId: string, epoch: string, lastSeq: number, live = true): CallSummary {
  return { ...callOf(callId, epoch), live, lastSeq, participants: [] };
}
