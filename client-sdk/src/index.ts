// What `@undertone/client` exports.
export { exponentialBackoff, type BackoffOptions, type RetryPolicy } from './backoff.ts';
export { connect, type ClientEvents, type ConnectOptions, type SubscribeOptions, type UndertoneClient } from './client.ts';
export type { Listener } from './emitter.ts';
export { UndertoneClientError, type ClientErrorCode } from './errors.ts';
export type { ConnectionStatus, RetryInfo, TokenSource, WebSocketConstructor, WebSocketLike } from './link.ts';
export { protocolName } from './protocol.ts';
export type { SubscribeFrom, Subscription, SubscriptionEvents } from './subscription.ts';
export type {
  CallSummary,
  EventBodies,
  EventType,
  ParticipantSummary,
  Resync,
  Skipped,
  TimelineEvent,
  TimelineEventOf,
  TimelinePosition,
} from './types.ts';
