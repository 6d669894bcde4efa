// Everything that src/sfu reports to the application, as one typed union.
import type { UndertoneError } from '../errors.ts';
import type { AudioTap, CallInfo, ClosedReason, Decision, ParticipantInfo, TrackInfo } from './types.ts';

/** Why a call ended. */
export type CallClosedReason = 'empty' | 'shutdown' | 'media-worker-died' | 'closed';

/** What becomes of the measuring of participants. */
export type TapEvent =
  /** The policy's decision on a participant, at first and whenever it, the consent or the role changes. */
  | { readonly type: 'decision'; readonly participant: ParticipantInfo; readonly call: CallInfo; readonly decision: Decision }
  /** Packets flow from the first subscription to `tap.rtp$` on. */
  | { readonly type: 'tapOpened'; readonly tap: AudioTap; readonly participant: ParticipantInfo }
  | { readonly type: 'tapClosed'; readonly track: TrackInfo; readonly reason: ClosedReason }
  /** The policy allowed a tap, and it could not be opened. The participant goes on unmeasured. */
  | { readonly type: 'tapFailed'; readonly participant: ParticipantInfo; readonly producerId: string; readonly error: UndertoneError };

/** Everything that the SFU reports. Within a call, events come in order of cause: opened, joined, decision, tap, left, closed. */
export type SfuEvent =
  | { readonly type: 'callOpened'; readonly call: CallInfo; readonly openedAtUnixMs: number }
  | { readonly type: 'callClosed'; readonly call: CallInfo; readonly reason: CallClosedReason }
  | { readonly type: 'participantJoined'; readonly participant: ParticipantInfo }
  | { readonly type: 'participantLeft'; readonly participant: ParticipantInfo }
  /** A mediasoup worker died; its calls end with `media-worker-died` and a new worker takes its place. */
  | { readonly type: 'workerDied'; readonly pid: number }
  | TapEvent;
