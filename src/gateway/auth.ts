// Access tokens (JWT, HS256): the secret, issuing, verifying, and what a verified token allows.
import { randomBytes } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { SignJWT, errors, jwtVerify, type JWTPayload } from 'jose';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';

/** What a token may allow. */
export const tokenScopes = ['join', 'read', 'list', 'ingest'] as const;

export type TokenScope = (typeof tokenScopes)[number];

/** What to put into a token. */
export interface IssueOptions {
  /** The call id that it is good for, or `*` for all. */
  readonly call: string;
  /** Space-separated {@link tokenScopes}. */
  readonly scope: string;
  /** The participant id that it joins as. */
  readonly sub?: string | undefined;
  readonly role?: string | undefined;
  readonly ttlSeconds: number;
}

/** What a verified token says. */
export interface Claims {
  /** The call id that it is good for, or `*`. */
  readonly callId: string;
  readonly scopes: ReadonlySet<string>;
  readonly participantId?: string;
  readonly role?: string;
}

/** Issues and verifies tokens with one secret. */
export interface Tokens {
  issue(options: IssueOptions): Promise<string>;
  /** Rejects with UT_AUTH_TOKEN, never echoing the token. */
  verify(token: string): Promise<Claims>;
}

/** Options of {@link createTokens}. */
export interface TokensOptions {
  /** The HMAC key, at least 32 bytes; a string counts in UTF-8. */
  readonly secret: Uint8Array | string;
  /** @default systemClock */
  readonly clock?: Clock;
}

/** A usable secret, and whether it was made up for this run. */
export interface ResolvedSecret {
  readonly secret: Uint8Array;
  /** True where no secret was configured: development tokens may be handed out. */
  readonly development: boolean;
}

const algorithm = 'HS256';
const audience = 'undertone';
const minSecretBytes = 32;
const maxTokenChars = 4096;
/** What two machines' clocks may differ by. */
const clockToleranceSeconds = 5;

/** Makes the issuer and verifier of tokens. Throws UT_AUTH_SECRET on a secret that is too short. */
export function createTokens(options: TokensOptions): Tokens {
  const secret = checkedSecret(options.secret);
  const clock = options.clock ?? systemClock;

  async function issue({ call, scope, sub, role, ttlSeconds }: IssueOptions): Promise<string> {
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    const token = new SignJWT({ call, scope, ...(role === undefined ? {} : { role }) })
      .setProtectedHeader({ alg: algorithm, typ: 'JWT' })
      .setAudience(audience)
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + ttlSeconds);
    if (sub !== undefined) token.setSubject(sub);
    return await token.sign(secret);
  }

  async function verify(token: string): Promise<Claims> {
    if (token === '') throw new UndertoneError('UT_AUTH_TOKEN', 'Expected a token, got none');
    if (token.length > maxTokenChars) {
      throw new UndertoneError('UT_AUTH_TOKEN', `Expected a token of at most ${maxTokenChars} characters, got ${token.length}`);
    }
    try {
      const { payload } = await jwtVerify(token, secret, {
        algorithms: [algorithm],
        audience,
        requiredClaims: ['exp'],
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.nowMs()),
      });
      return claimsOf(payload);
    } catch (error) {
      if (error instanceof UndertoneError) throw error;
      // The cause is left out on purpose: some of jose's errors carry the token's payload.
      throw new UndertoneError('UT_AUTH_TOKEN', `Expected a valid token, got one ${faultOf(error)}`);
    }
  }

  return { issue, verify };
}

/** Checks that verified claims allow an action on a call; without a call id, on no call in particular. Throws UT_AUTH_SCOPE. */
export function authorize(claims: Claims, scope: TokenScope, callId?: string): void {
  if (!claims.scopes.has(scope)) {
    throw new UndertoneError('UT_AUTH_SCOPE', `Expected a token with scope \`${scope}\`, got \`${[...claims.scopes].join(' ')}\``);
  }
  if (callId !== undefined && !coversCall(claims, callId)) {
    throw new UndertoneError('UT_AUTH_SCOPE', 'Expected a token for this call, got one for another');
  }
}

/** Whether a token is good for a call. */
export function coversCall(claims: Claims, callId: string): boolean {
  return claims.callId === '*' || claims.callId === callId;
}

/**
 * The secret to sign with: the configured one, or on a loopback host one made for this run.
 * Throws UT_AUTH_SECRET where one is required or too short.
 */
export function resolveSecret({ host, secret }: { readonly host: string; readonly secret?: string | undefined }): ResolvedSecret {
  if (secret !== undefined && secret !== '') return { secret: checkedSecret(secret), development: false };
  if (!isLoopbackHost(host)) {
    throw new UndertoneError(
      'UT_AUTH_SECRET',
      `Expected a secret because \`${host}\` is not a loopback address, got none. ` +
        `Set \`auth.secret\` in the configuration, or UNDERTONE_AUTH_SECRET in the environment, to at least ${minSecretBytes} random bytes`,
    );
  }
  return { secret: randomBytes(minSecretBytes), development: true };
}

/** Whether only this machine can reach a host: 127.0.0.0/8, ::1 or localhost. */
export function isLoopbackHost(host: string): boolean {
  const bare = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^::ffff:/, '');
  return bare === 'localhost' || bare === '::1' || (isIPv4(bare) && bare.startsWith('127.'));
}

function checkedSecret(secret: Uint8Array | string): Uint8Array {
  const bytes = typeof secret === 'string' ? new TextEncoder().encode(secret) : secret;
  if (bytes.byteLength < minSecretBytes) {
    throw new UndertoneError('UT_AUTH_SECRET', `Expected a secret of at least ${minSecretBytes} bytes, got ${bytes.byteLength}`);
  }
  return bytes;
}

function claimsOf(payload: JWTPayload): Claims {
  const { call, scope, sub, role } = payload;
  if (typeof call !== 'string' || call === '') throw badClaim('call', 'a call id or `*`');
  if (typeof scope !== 'string') throw badClaim('scope', 'space-separated words');
  if (role !== undefined && typeof role !== 'string') throw badClaim('role', 'a word');
  return {
    callId: call,
    scopes: new Set(scope.split(' ').filter((word) => word !== '')),
    ...(sub === undefined ? {} : { participantId: sub }),
    ...(role === undefined ? {} : { role }),
  };
}

function badClaim(name: string, expected: string): UndertoneError {
  return new UndertoneError('UT_AUTH_TOKEN', `Expected the token's claim \`${name}\` to be ${expected}`);
}

function faultOf(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'that has expired';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'that was signed with another secret';
  if (error instanceof errors.JWTClaimValidationFailed) return `whose claim \`${error.claim}\` is missing or wrong`;
  if (error instanceof errors.JOSEAlgNotAllowed) return 'of another algorithm';
  return 'that is malformed';
}
