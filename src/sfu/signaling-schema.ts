// What the signalling server accepts: one schema a request, and errors that name the field.
import { z } from 'zod';
import { messageOf } from '../errors.ts';

/** Ids of calls and participants: one to 128 characters that need no escaping in a URL's path. */
const externalId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/,
    'Expected 1 to 128 letters, digits, dots, tildes, hyphens or underscores, first a letter or digit',
  );
const mediaId = z.string().min(1).max(64);
const role = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'Expected 1 to 32 lower-case letters, digits or hyphens, first a letter');
const displayName = z
  .string()
  .trim()
  .min(1)
  .max(64)
  .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'Expected no control characters');

// WebRTC's own structures grow with browsers: what is not known here is left out, and mediasoup judges the rest.
const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]));
const rtcpFeedback = z.array(z.object({ type: z.string(), parameter: z.string().exactOptional() }));
const ssrc = z.int().min(0).max(0xffffffff);
const kind = z.enum(['audio', 'video']);
const payloadType = z.int().min(0).max(127);
const extensionId = z.int().min(1).max(255);

const dtlsParameters = z.object({
  role: z.enum(['auto', 'client', 'server']).exactOptional(),
  fingerprints: z
    .array(
      z.object({
        algorithm: z.enum(['sha-1', 'sha-224', 'sha-256', 'sha-384', 'sha-512']),
        value: z.string().regex(/^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){19,63}$/, 'Expected bytes in hex, joined by colons'),
      }),
    )
    .min(1)
    .max(16),
});

const rtpParameters = z.object({
  mid: z.string().max(32).exactOptional(),
  codecs: z
    .array(
      z.object({
        mimeType: z.string(),
        payloadType,
        clockRate: z.int().positive(),
        channels: z.int().positive().exactOptional(),
        parameters: parameters.exactOptional(),
        rtcpFeedback: rtcpFeedback.exactOptional(),
      }),
    )
    .min(1),
  headerExtensions: z
    .array(z.object({ uri: z.string(), id: extensionId, encrypt: z.boolean().exactOptional(), parameters: parameters.exactOptional() }))
    .exactOptional(),
  encodings: z
    .array(
      z.object({
        ssrc: ssrc.exactOptional(),
        rid: z.string().exactOptional(),
        codecPayloadType: payloadType.exactOptional(),
        rtx: z.object({ ssrc }).exactOptional(),
        dtx: z.boolean().exactOptional(),
        scalabilityMode: z.string().exactOptional(),
        maxBitrate: z.number().exactOptional(),
      }),
    )
    .exactOptional(),
  rtcp: z.object({ cname: z.string().exactOptional(), reducedSize: z.boolean().exactOptional() }).exactOptional(),
});

const rtpCapabilities = z.object({
  codecs: z
    .array(
      z.object({
        kind,
        mimeType: z.string(),
        preferredPayloadType: payloadType,
        clockRate: z.int().positive(),
        channels: z.int().positive().exactOptional(),
        parameters: parameters.exactOptional(),
        rtcpFeedback: rtcpFeedback.exactOptional(),
      }),
    )
    .exactOptional(),
  headerExtensions: z
    .array(
      z.object({
        kind,
        uri: z.string(),
        preferredId: extensionId,
        preferredEncrypt: z.boolean().exactOptional(),
        direction: z.enum(['sendrecv', 'sendonly', 'recvonly', 'inactive']).exactOptional(),
      }),
    )
    .exactOptional(),
});

/** What a token may say of the participant that it joins as: under the same rules as what clients say. */
export const claimedIdentity = z.object({ participantId: externalId.exactOptional(), role: role.exactOptional() });

/** The data of each request, by method. */
export const requestSchemas = {
  join: z.strictObject({
    token: z.string().min(1).max(8192),
    callId: externalId,
    displayName,
    consent: z.enum(['granted', 'denied']),
    role: role.exactOptional(),
  }),
  createTransport: z.strictObject({ direction: z.enum(['send', 'recv']) }),
  connectTransport: z.strictObject({ transportId: mediaId, dtlsParameters }),
  restartIce: z.strictObject({ transportId: mediaId }),
  produce: z.strictObject({ transportId: mediaId, kind, rtpParameters, source: z.enum(['microphone', 'camera']) }),
  closeProducer: z.strictObject({ producerId: mediaId }),
  pauseProducer: z.strictObject({ producerId: mediaId }),
  resumeProducer: z.strictObject({ producerId: mediaId }),
  consume: z.strictObject({ transportId: mediaId, producerId: mediaId, rtpCapabilities }),
  resumeConsumer: z.strictObject({ consumerId: mediaId }),
  setConsent: z.strictObject({ consent: z.enum(['granted', 'withdrawn']) }),
  leave: z.strictObject({}),
} as const;

/** Name of a request. */
export type SignalMethod = keyof typeof requestSchemas;

/** One request, checked. */
export type SignalRequest = {
  [M in SignalMethod]: { readonly id: number; readonly method: M; readonly data: z.infer<(typeof requestSchemas)[M]> };
}[SignalMethod];

/** A request, or why a message is not one; `id` is null where it could not be read. */
export type ParsedRequest =
  { readonly ok: true; readonly request: SignalRequest } | { readonly ok: false; readonly id: number | null; readonly message: string };

const requestId = z.int().min(0);
const envelope = z.strictObject({
  id: requestId,
  method: z.enum(Object.keys(requestSchemas) as [SignalMethod, ...SignalMethod[]]),
  data: z.unknown(),
});

/** Checks one text frame. Never throws. */
export function parseRequest(text: string): ParsedRequest {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    return { ok: false, id: null, message: `Expected JSON, got a message that does not parse: ${messageOf(error).slice(0, 100)}` };
  }
  const outer = envelope.safeParse(json);
  if (!outer.success) return { ok: false, id: readId(json), message: describe(outer.error, []) };
  const { id, method } = outer.data;
  const inner = requestSchemas[method].safeParse(outer.data.data);
  if (!inner.success) return { ok: false, id, message: describe(inner.error, ['data']) };
  // TypeScript cannot see that `inner` came from the schema of just this method.
  return { ok: true, request: { id, method, data: inner.data } as SignalRequest };
}

const maxIssues = 3;
const maxMessageLength = 500;

function describe(error: z.ZodError, prefix: readonly string[]): string {
  const issues = error.issues.slice(0, maxIssues).map((issue) => {
    const path = [...prefix, ...issue.path.map(String)].join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  return issues.join('; ').slice(0, maxMessageLength);
}

function readId(json: unknown): number | null {
  if (typeof json !== 'object' || json === null || !('id' in json)) return null;
  const id = requestId.safeParse(json.id);
  return id.success ? id.data : null;
}
