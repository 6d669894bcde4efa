// `/v1/ingest`: opens, lists, changes and closes ports for plain RTP, for operators alone.
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { UndertoneError } from '../errors.ts';
import { authorize, coversCall, type Claims } from './auth.ts';
import type { Route } from './http.ts';
import { readJsonBody, sendJson } from './http-answer.ts';

/** An open ingest, as far as the routes look at it. */
interface KnownIngest {
  readonly ingestId: string;
  readonly callId: string;
}

/** What takes plain RTP: `Sfu.ingests`, or a host's own. */
export interface IngestHost {
  readonly list: readonly KnownIngest[];
  get(ingestId: string): KnownIngest | undefined;
  open(request: IngestOrder): Promise<KnownIngest>;
  setConsent(ingestId: string, consent: 'granted' | 'denied' | 'withdrawn'): { readonly allow: boolean; readonly reason: string };
  delete(ingestId: string): boolean;
}

const maxBodyBytes = 4096;
/** Bytes of master key and salt, RFC 3711 and RFC 7714. */
const keyBytes = { AES_CM_128_HMAC_SHA1_80: 30, AES_CM_128_HMAC_SHA1_32: 30, AEAD_AES_128_GCM: 28, AEAD_AES_256_GCM: 44 } as const;
const cryptoSuites = Object.keys(keyBytes) as [keyof typeof keyBytes, ...(keyof typeof keyBytes)[]];

const externalId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/, 'expected 1 to 128 letters, digits or `._~-`, first a letter or digit');

const bodySchema = z
  .strictObject({
    callId: externalId,
    participant: z.strictObject({
      id: externalId,
      role: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or `-`, first a letter'),
      consent: z.enum(['granted', 'denied', 'withdrawn', 'unknown']),
      displayName: z
        .string()
        .trim()
        .min(1)
        .max(64)
        .regex(/^[^\p{Cc}\p{Zl}\p{Zp}]*$/u, 'expected no control characters')
        .exactOptional(),
    }),
    codec: z.enum(['opus', 'pcmu', 'pcma']),
    ssrc: z.int().min(1).max(0xffffffff).exactOptional(),
    payloadType: z
      .int()
      .min(0)
      .max(127)
      .refine((type) => type < 64 || type > 95, 'expected none of 64 to 95, which RTCP has')
      .exactOptional(),
    audioLevelExtensionId: z.int().min(1).max(14).exactOptional(),
    rtcpMux: z.boolean().exactOptional(),
    srtp: z
      .strictObject({ cryptoSuite: z.enum(cryptoSuites), keyBase64: z.base64() })
      .refine(({ cryptoSuite, keyBase64 }) => Buffer.from(keyBase64, 'base64').byteLength === keyBytes[cryptoSuite], {
        path: ['keyBase64'],
        error: ({ input }) => `expected ${keyBytes[(input as { cryptoSuite: keyof typeof keyBytes }).cryptoSuite]} bytes of key and salt`,
      })
      .exactOptional(),
  })
  .refine(({ rtcpMux, ssrc }) => rtcpMux !== false || ssrc !== undefined, {
    path: ['ssrc'],
    error: 'expected one where `rtcpMux` is false, because a port for RTCP cannot wait for the first packet',
  });

const consentSchema = z.strictObject({ consent: z.enum(['granted', 'denied', 'withdrawn']) });

/** An order for an ingest, checked. */
export type IngestOrder = Omit<z.infer<typeof bodySchema>, 'participant'> & {
  readonly participantId: string;
  readonly displayName: string;
  readonly role: string;
  readonly consent: 'granted' | 'denied' | 'withdrawn' | 'unknown';
};

/** @param claimsOf the claims of a request's token; rejects with UT_AUTH_TOKEN */
export function createIngestRoutes(ingests: IngestHost, claimsOf: (request: IncomingMessage) => Promise<Claims>): Route[] {
  const operator = async (request: IncomingMessage): Promise<Claims> => {
    const claims = await claimsOf(request);
    authorize(claims, 'ingest');
    // A participant's own token names them, and nobody speaks for others in it.
    if (claims.participantId !== undefined) {
      throw new UndertoneError('UT_AUTH_SCOPE', 'Expected an operator, got a token with the claim `sub`');
    }
    return claims;
  };

  const collection: Route = {
    path: /^\/v1\/ingest$/,
    methods: ['GET', 'POST'],
    handle: async (request, response) => {
      const claims = await operator(request);
      if (request.method === 'GET') {
        sendJson(response, 200, { ingests: ingests.list.filter(({ callId }) => coversCall(claims, callId)) });
        return;
      }
      const { participant, ...order } = await bodyOf(request, bodySchema);
      authorize(claims, 'ingest', order.callId);
      const { id: participantId, displayName = 'Caller', role, consent } = participant;
      sendJson(response, 201, await ingests.open({ ...order, participantId, displayName, role, consent }));
    },
  };
  const one: Route = {
    path: /^\/v1\/ingest\/([^/]+)$/,
    methods: ['PATCH', 'DELETE'],
    handle: async (request, response, _url, ingestId) => {
      const claims = await operator(request);
      const known = ingests.get(ingestId);
      if (known !== undefined) authorize(claims, 'ingest', known.callId);
      if (request.method === 'DELETE') {
        sendJson(response, 200, { closed: ingests.delete(ingestId) });
        return;
      }
      const { consent } = await bodyOf(request, consentSchema);
      const { allow, reason } = ingests.setConsent(ingestId, consent);
      sendJson(response, 200, { measured: allow, reason });
    },
  };
  return [collection, one];
}

async function bodyOf<T>(request: IncomingMessage, schema: z.ZodType<T>): Promise<T> {
  const json = await readJsonBody(request, maxBodyBytes);
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const path = issue?.path ?? [];
  const at = path.length === 0 ? 'the body' : `\`${path.join('.')}\``;
  throw new UndertoneError(
    'UT_MESSAGE_INVALID',
    `Expected a valid ${at}: ${issue?.message ?? 'unknown fault'}; got ${valueAt(json, path)}`,
  );
}

const maxEchoChars = 40;

/** What stands at a path of a body: keys are secret, and all else is short. */
function valueAt(json: unknown, path: readonly PropertyKey[]): string {
  if (path.includes('keyBase64')) return 'another';
  let value = json;
  for (const key of path) value = typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  if (value === undefined) return 'none';
  return typeof value === 'object' && value !== null
    ? `an ${Array.isArray(value) ? 'array' : 'object'}`
    : `\`${JSON.stringify(value).slice(0, maxEchoChars)}\``;
}
