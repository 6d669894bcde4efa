// Messages of the `undertone.v1` subprotocol, and the reading of those that come in.
import type { CallSummary, Resync, Skipped, TimelineEvent, TimelinePosition } from './types.ts';

/** The WebSocket subprotocol. */
export const protocolName = 'undertone.v1';

/** Close code with which the server refuses a token. */
export const closeTokenRefused = 4401;

/** What a client sends. */
export type ClientMessage =
  | { readonly type: 'hello'; readonly token: string }
  | { readonly type: 'subscribe'; readonly callId: string; readonly resume?: TimelinePosition | { readonly seq: 0 } }
  | { readonly type: 'unsubscribe'; readonly callId: string };

/** What a server sends. */
export type ServerMessage =
  | { readonly type: 'welcome'; readonly protocol: string; readonly heartbeatMs: number }
  | { readonly type: 'subscribed'; readonly call: CallSummary; readonly nextSeq: number }
  | { readonly type: 'event'; readonly event: TimelineEvent }
  | ({ readonly type: 'skipped' } & Skipped)
  | ({ readonly type: 'resync' } & Resync)
  | { readonly type: 'unsubscribed'; readonly callId: string }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'error'; readonly code: string; readonly message: string; readonly callId?: string };

interface Fields {
  readonly [key: string]: 'string' | 'number' | Fields;
}

const callFields = { callId: 'string', epoch: 'string', lastSeq: 'number' } as const;
const eventFields = { type: 'string', epoch: 'string', seq: 'number', callId: 'string' } as const;

// The fields without which a message cannot be acted on. More fields, and more types of event, may come with time.
const required: Readonly<Record<ServerMessage['type'], Fields>> = {
  welcome: { protocol: 'string', heartbeatMs: 'number' },
  subscribed: { call: callFields, nextSeq: 'number' },
  event: { event: eventFields },
  skipped: { callId: 'string', fromSeq: 'number', toSeq: 'number' },
  resync: { callId: 'string', epoch: 'string', nextSeq: 'number' },
  unsubscribed: { callId: 'string' },
  heartbeat: {},
  error: { code: 'string', message: 'string' },
};

/**
 * Reads a frame. Gives `null` for a type of message that this version does not know, which is to be ignored,
 * and throws a `SyntaxError` for what is not a message at all.
 */
export function readServerMessage(data: unknown): ServerMessage | null {
  const value: unknown = typeof data === 'string' ? JSON.parse(data) : undefined;
  if (!isRecord(value) || typeof value['type'] !== 'string') throw new SyntaxError('Expected a JSON object with a `type`');
  const type = value['type'];
  if (!isKnown(type)) return null;
  if (!fits(value, required[type])) throw new SyntaxError(`Expected a message \`${type}\` with all its fields`);
  return value as unknown as ServerMessage;
}

function isKnown(type: string): type is ServerMessage['type'] {
  return Object.keys(required).includes(type);
}

function fits(value: Record<string, unknown>, fields: Fields): boolean {
  return Object.entries(fields).every(([key, field]) => {
    const found = value[key];
    return typeof field === 'string' ? typeof found === field : isRecord(found) && fits(found, field);
  });
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
