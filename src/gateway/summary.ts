// What is known of a call, computed from its events alone: a pure reducer.
import type { CallSummary, ParticipantSummary, TimelineEvent } from './types.ts';

/** Participants who left are remembered up to this many, the latest first to stay, so that a summary stays small. */
const maxAbsentParticipants = 64;

/** The summary of a call before its first event. */
export function emptySummary(call: Omit<CallSummary, 'live' | 'lastSeq' | 'participants'>): CallSummary {
  return { ...call, live: true, lastSeq: 0, participants: [] };
}

/** The summary after one more event. Neither argument is changed. */
export function reduceSummary(summary: CallSummary, event: TimelineEvent): CallSummary {
  if (event.type === 'end') {
    return { ...summary, live: false, lastSeq: event.seq, participants: summary.participants.map((each) => ({ ...each, ...gone })) };
  }
  const { participants } = summary;
  const index = participants.findIndex((each) => each.participantId === event.participantId);
  const before = participants[index];
  const after = reduceParticipant(before, event);
  if (after === before || after === undefined) return { ...summary, lastSeq: event.seq };
  if (event.type === 'participant') {
    // Whoever joined or left last comes last, so that the oldest absentees are the first to be forgotten.
    const others = participants.filter((each) => each.participantId !== event.participantId);
    return { ...summary, lastSeq: event.seq, participants: forgetAbsentees([...others, after]) };
  }
  const next = before === undefined ? [...participants, after] : participants.with(index, after);
  return { ...summary, lastSeq: event.seq, participants: next };
}

const gone = { present: false, measured: false, speaking: false, current: null } as const;

function reduceParticipant(
  before: ParticipantSummary | undefined,
  event: Exclude<TimelineEvent, { type: 'end' }>,
): ParticipantSummary | undefined {
  switch (event.type) {
    case 'participant': {
      const known = before ?? blank(event.participantId);
      return event.action === 'joined' ? { ...known, role: event.role, present: true } : { ...known, role: event.role, ...gone };
    }
    case 'consent': {
      const known = before ?? blank(event.participantId);
      const { measured, reason } = event;
      return measured ? { ...known, measured, reason } : { ...known, measured, reason, speaking: false, current: null };
    }
    case 'speech':
      return before?.measured === true ? { ...before, speaking: event.state === 'start' } : before;
    case 'point':
    case 'segment': {
      const { atMs, label, confidence, unreliable } = event;
      return before?.measured === true ? { ...before, current: { atMs, label, confidence, unreliable } } : before;
    }
    case 'gap':
      return before;
  }
}

function blank(participantId: string): ParticipantSummary {
  return { participantId, role: '', present: false, measured: false, reason: '', speaking: false, current: null };
}

function forgetAbsentees(participants: readonly ParticipantSummary[]): readonly ParticipantSummary[] {
  let excess = participants.filter((each) => !each.present).length - maxAbsentParticipants;
  return excess <= 0 ? participants : participants.filter((each) => each.present || excess-- <= 0);
}
