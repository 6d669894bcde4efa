// The client's types and the server's are the same, in both directions; and the WebSocket classes in use fit. Checked by the compiler.
import { describe, expectTypeOf, it } from 'vitest';
import { WebSocket as WsWebSocket } from 'ws';
import type * as client from '../../../client-sdk/src/index.ts';
import type * as gateway from '../../../src/gateway/types.ts';

describe('types on the wire', () => {
  it('agree for events', () => {
    expectTypeOf<client.TimelineEvent>().toExtend<gateway.TimelineEvent>();
    expectTypeOf<gateway.TimelineEvent>().toExtend<client.TimelineEvent>();
    expectTypeOf<client.EventType>().toEqualTypeOf<gateway.EventType>();
    expectTypeOf<client.EventBodies>().toEqualTypeOf<gateway.EventBodies>();
  });

  it('agree for calls', () => {
    expectTypeOf<client.CallSummary>().toEqualTypeOf<gateway.CallSummary>();
    expectTypeOf<client.ParticipantSummary>().toEqualTypeOf<gateway.ParticipantSummary>();
  });

  it('let a listener know its event', () => {
    expectTypeOf<client.SubscriptionEvents['point']['probabilities']>().toEqualTypeOf<Readonly<Record<string, number>>>();
    expectTypeOf<client.TimelineEventOf<'end'>['reason']>().toEqualTypeOf<'empty' | 'shutdown' | 'media-worker-died' | 'closed'>();
  });
});

describe('WebSocketConstructor', () => {
  it('is fulfilled by Node and by ws', () => {
    expectTypeOf(WsWebSocket).toExtend<client.WebSocketConstructor>();
    expectTypeOf(globalThis.WebSocket).toExtend<client.WebSocketConstructor>();
  });
});
