// What the signalling server sends: answers and notifications, as docs/protocol.md has them.
import type { types } from 'mediasoup';
import type { ErrorCode } from '../errors.ts';

/** What a producer carries. */
export type ProducerSource = 'microphone' | 'camera';

/** A producer, as other participants see it. */
export interface ProducerView {
  readonly producerId: string;
  readonly kind: types.MediaKind;
  readonly source: ProducerSource;
  readonly paused: boolean;
}

/** A participant, as others of the same call see them. The only place where a name leaves the server. */
export interface ParticipantView {
  readonly participantId: string;
  readonly displayName: string;
  readonly role: string;
  readonly measured: boolean;
  readonly reason: string;
  readonly producers: readonly ProducerView[];
}

/** The data of each notification, by event. */
export interface SignalNotifications {
  participantJoined: ParticipantView;
  participantLeft: { readonly participantId: string };
  newProducer: ProducerView & { readonly participantId: string };
  producerClosed: { readonly producerId: string };
  producerPaused: { readonly producerId: string };
  producerResumed: { readonly producerId: string };
  consumerClosed: { readonly consumerId: string };
  measurement: { readonly participantId: string; readonly measured: boolean; readonly reason: string };
  callEnded: { readonly reason: string };
}

/** One notification. */
export type SignalNotification = {
  [E in keyof SignalNotifications]: { readonly event: E; readonly data: SignalNotifications[E] };
}[keyof SignalNotifications];

/** The answer to one request; `id` is null where the request's own could not be read. */
export type SignalAnswer =
  | { readonly id: number; readonly ok: true; readonly data: object }
  | { readonly id: number | null; readonly ok: false; readonly error: { readonly code: ErrorCode; readonly message: string } };

/** Sends a notification to one client. Never throws. */
export type Notify = (notification: SignalNotification) => void;
