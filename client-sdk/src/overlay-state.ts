// From a call's events to what is shown of each participant: pure functions over immutable state.
import type { CallSummary, ParticipantSummary, TimelineEvent } from './types.ts';

/** A label and how sure the model is of it. */
export interface Verdict {
  readonly label: string;
  /** 0 to 1. */
  readonly confidence: number;
  /** Of every class; null where only the verdict is known. */
  readonly probabilities: Readonly<Record<string, number>> | null;
  /** Too much of what was said was lost on the way. */
  readonly unreliable?: boolean;
}

/** What an overlay shows. */
export type OverlayState =
  /** Nothing is known at this moment: not connected, or not yet. */
  | { readonly kind: 'connecting' }
  /** The participant is not measured; `reason` is the policy's word for why. */
  | { readonly kind: 'not-measured'; readonly reason: string }
  /** Measured, and nothing to say yet. */
  | { readonly kind: 'listening' }
  /** Measured, and not speaking; `last` is the verdict on what was said last. */
  | { readonly kind: 'silence'; readonly last: Verdict | null }
  | ({ readonly kind: 'emotion' } & Verdict);

/** What is known of a participant. */
export interface ParticipantState {
  readonly participantId: string;
  readonly role: string;
  readonly present: boolean;
  readonly measured: boolean;
  readonly reason: string;
  readonly speaking: boolean;
  /** Whether anything was heard since measuring began. */
  readonly heard: boolean;
  /** The verdict on the present or the last utterance; null before the first, and when a new one begins. */
  readonly current: Verdict | null;
}

/** What is known of a call. */
export interface CallState {
  readonly epoch: string;
  /** Everything up to this seq is in the state. */
  readonly seq: number;
  readonly live: boolean;
  readonly participants: ReadonlyMap<string, ParticipantState>;
}

/** A call of which nothing is known. */
export const emptyCallState: CallState = { epoch: '', seq: 0, live: false, participants: new Map() };

/** The label of a point whose confidence is too low to name a class. */
export const uncertainLabel = 'uncertain';

/** The state that a summary describes. */
export function callStateOf(call: CallSummary): CallState {
  const participants = call.participants.map((participant) => [participant.participantId, participantOf(participant)] as const);
  return { epoch: call.epoch, seq: call.lastSeq, live: call.live, participants: new Map(participants) };
}

/** Takes in one event. Events that the state contains already leave it as it is; another epoch starts it anew. */
export function reduceCall(state: CallState, event: TimelineEvent): CallState {
  if (event.epoch !== state.epoch) {
    return reduceCall({ epoch: event.epoch, seq: event.seq - 1, live: true, participants: new Map() }, event);
  }
  if (event.seq <= state.seq) return state;
  if (event.type === 'end') {
    const participants = [...state.participants].map(([id, participant]) => [id, gone(participant, 'call-ended')] as const);
    return { ...state, seq: event.seq, live: false, participants: new Map(participants) };
  }
  const before = state.participants.get(event.participantId) ?? unknownParticipant(event.participantId);
  const after = reduceParticipant(before, event);
  if (after === before) return { ...state, seq: event.seq };
  return { ...state, seq: event.seq, participants: new Map(state.participants).set(event.participantId, after) };
}

/** What to show of a participant. */
export function displayOf(state: CallState, participantId: string): OverlayState {
  const participant = state.participants.get(participantId);
  if (participant === undefined) return { kind: 'connecting' };
  if (!participant.measured) return { kind: 'not-measured', reason: participant.reason };
  if (!participant.speaking) return participant.heard ? { kind: 'silence', last: participant.current } : { kind: 'listening' };
  return participant.current === null ? { kind: 'listening' } : { kind: 'emotion', ...participant.current };
}

type ParticipantEvent = Exclude<TimelineEvent, { type: 'end' }>;

function reduceParticipant(participant: ParticipantState, event: ParticipantEvent): ParticipantState {
  switch (event.type) {
    case 'participant':
      return event.action === 'left'
        ? gone(participant, 'left')
        : { ...unknownParticipant(event.participantId), role: event.role, present: true };
    case 'consent': {
      const { measured, reason } = event;
      if (measured && participant.measured) return { ...participant, reason };
      return { ...participant, measured, reason, speaking: false, heard: false, current: null };
    }
    case 'speech':
      return event.state === 'start'
        ? { ...participant, speaking: true, heard: true, current: null }
        : { ...participant, speaking: false, heard: true };
    case 'point':
    case 'segment': {
      // What was under way when measuring stopped is shown to nobody.
      if (!participant.measured) return participant;
      const { label, confidence, probabilities, unreliable } = event;
      return { ...participant, heard: true, current: { label, confidence, probabilities, unreliable } };
    }
    case 'gap':
      return participant;
  }
}

function participantOf(summary: ParticipantSummary): ParticipantState {
  const { participantId, role, present, measured, reason, speaking, current } = summary;
  const verdict =
    current === null ? null : { label: current.label, confidence: current.confidence, probabilities: null, unreliable: current.unreliable };
  return { participantId, role, present, measured, reason, speaking, heard: speaking || verdict !== null, current: verdict };
}

function unknownParticipant(participantId: string): ParticipantState {
  return { participantId, role: '', present: true, measured: false, reason: 'unknown', speaking: false, heard: false, current: null };
}

function gone(participant: ParticipantState, reason: string): ParticipantState {
  return { ...participant, present: false, measured: false, reason, speaking: false, heard: false, current: null };
}
