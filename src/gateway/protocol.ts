// The messages of the `undertone.v1` subprotocol: schemas of what comes in, types of what goes out.
import { z } from 'zod';
import { UndertoneError, type ErrorCode } from '../errors.ts';
import type { CallSummary, TimelineEvent } from './types.ts';

/** The WebSocket subprotocol. */
export const timelineProtocol = 'undertone.v1';

/** Why the server closes a socket. */
export const closeCodes = { goingAway: 1001, policy: 1008, tooLarge: 1009, tooSlow: 1013, tokenRefused: 4401 } as const;

/** No message may be larger. */
export const maxMessageBytes = 64 * 1024;

/** A call id, as clients may name one. */
export const callIdSchema = z.string().min(1).max(128);

const hello = z.strictObject({ type: z.literal('hello'), token: z.string().max(8192) });
const subscribe = z.strictObject({
  type: z.literal('subscribe'),
  callId: callIdSchema,
  resume: z.strictObject({ epoch: z.string().min(1).max(64).exactOptional(), seq: z.int().min(0) }).exactOptional(),
});
const unsubscribe = z.strictObject({ type: z.literal('unsubscribe'), callId: callIdSchema });

/** What a client may send. */
export type ClientMessage = z.infer<typeof hello> | z.infer<typeof subscribe> | z.infer<typeof unsubscribe>;

/** Where a client wants to go on. */
export type Resume = NonNullable<z.infer<typeof subscribe>['resume']>;

/** What the server sends. */
export type ServerMessage =
  | { readonly type: 'welcome'; readonly protocol: typeof timelineProtocol; readonly heartbeatMs: number }
  | { readonly type: 'subscribed'; readonly call: CallSummary; readonly nextSeq: number }
  | { readonly type: 'event'; readonly event: TimelineEvent }
  | SkippedMessage
  | ResyncMessage
  | { readonly type: 'unsubscribed'; readonly callId: string }
  | { readonly type: 'heartbeat' }
  | { readonly type: 'error'; readonly code: ErrorCode; readonly message: string; readonly callId?: string };

/** These events, both ends included, are left out because the reader is slow. */
export interface SkippedMessage {
  readonly type: 'skipped';
  readonly callId: string;
  readonly fromSeq: number;
  readonly toSeq: number;
}

/** What came before `nextSeq` cannot be had. */
export interface ResyncMessage {
  readonly type: 'resync';
  readonly callId: string;
  readonly epoch: string;
  readonly nextSeq: number;
  readonly reason: 'epoch' | 'trimmed';
}

const maxEchoChars = 40;
const maxFaultChars = 300;

/** Reads a message of a client. Throws UT_MESSAGE_INVALID, saying what was expected and where. */
export function parseClientMessage(text: string): ClientMessage {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('Expected a JSON object, got what is not JSON');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('Expected a JSON object');
  const type: unknown = 'type' in value ? value.type : undefined;
  switch (type) {
    case 'hello':
      return parseWith(hello, type, value);
    case 'subscribe':
      return parseWith(subscribe, type, value);
    case 'unsubscribe':
      return parseWith(unsubscribe, type, value);
    default: {
      const got = typeof type === 'string' ? `\`${type.slice(0, maxEchoChars)}\`` : `a value of type ${typeof type}`;
      throw invalid(`Expected \`type\` to be \`hello\`, \`subscribe\` or \`unsubscribe\`, got ${got}`);
    }
  }
}

/** Says in one line what a schema found wrong, and where. Values are not echoed. */
export function describeFault(error: z.ZodError): string {
  const [issue] = error.issues;
  if (issue === undefined) return 'unknown fault';
  const path = issue.path.join('.');
  return `${path === '' ? '' : `\`${path}\`: `}${issue.message}`.slice(0, maxFaultChars);
}

function parseWith<T>(schema: z.ZodType<T>, type: string, value: unknown): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw invalid(`Expected a valid \`${type}\` message: ${describeFault(result.error)}`);
}

function invalid(message: string): UndertoneError {
  return new UndertoneError('UT_MESSAGE_INVALID', message);
}
