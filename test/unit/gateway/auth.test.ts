// Tokens: what is issued is read back, and nothing else is let in.
import { describe, expect, it } from 'vitest';
import { SignJWT, UnsecuredJWT } from 'jose';
import { authorize, createTokens, isLoopbackHost, resolveSecret } from '../../../src/gateway/auth.ts';

const secret = 'a secret of a test, 32 bytes long';
const key = new TextEncoder().encode(secret);

function signed(claims: Record<string, unknown>, { alg = 'HS256', audience = 'undertone' } = {}): SignJWT {
  return new SignJWT(claims).setProtectedHeader({ alg }).setAudience(audience);
}

describe('createTokens', () => {
  const tokens = createTokens({ secret });

  it('reads back what it issued', async () => {
    const token = await tokens.issue({ call: 'c1', scope: 'join read', sub: 'p1', role: 'agent', ttlSeconds: 60 });
    expect(await tokens.verify(token)).toEqual({ callId: 'c1', scopes: new Set(['join', 'read']), participantId: 'p1', role: 'agent' });
  });

  it('leaves out what was not claimed', async () => {
    const claims = await tokens.verify(await tokens.issue({ call: '*', scope: 'list', ttlSeconds: 60 }));
    expect(claims).toEqual({ callId: '*', scopes: new Set(['list']) });
  });

  it('expires by its clock, with a tolerance of 5 s', async () => {
    let nowMs = 1_700_000_000_000;
    const timed = createTokens({ secret, clock: { nowMs: () => nowMs } });
    const token = await timed.issue({ call: 'c1', scope: 'read', ttlSeconds: 60 });
    nowMs += 64_000;
    await expect(timed.verify(token)).resolves.toMatchObject({ callId: 'c1' });
    nowMs += 2_000;
    await expect(timed.verify(token)).rejects.toMatchObject({
      code: 'UT_AUTH_TOKEN',
      message: 'Expected a valid token, got one that has expired',
    });
  });

  it.each<[string, () => Promise<string> | string, RegExp]>([
    ['nothing', () => '', /got none/],
    ['no JWT', () => 'not-a-token', /malformed/],
    ['a huge text', () => 'x'.repeat(10_000), /at most 4096 characters/],
    ['another secret', () => createTokens({ secret: `${secret}!` }).issue({ call: 'c', scope: 'read', ttlSeconds: 60 }), /another secret/],
    ['no expiry', () => signed({ call: 'c', scope: 'read' }).sign(key), /`exp`/],
    ['another audience', () => signed({ call: 'c', scope: 'read' }, { audience: 'other' }).setExpirationTime('1h').sign(key), /`aud`/],
    [
      'another algorithm',
      () => signed({ call: 'c', scope: 'read' }, { alg: 'HS512' }).setExpirationTime('1h').sign(key),
      /another algorithm/,
    ],
    [
      'no signature',
      () => new UnsecuredJWT({ call: 'c', scope: 'read' }).setAudience('undertone').setExpirationTime('1h').encode(),
      /valid token/,
    ],
    ['no call', () => signed({ scope: 'read' }).setExpirationTime('1h').sign(key), /`call`/],
    ['a number as scope', () => signed({ call: 'c', scope: 7 }).setExpirationTime('1h').sign(key), /`scope`/],
    ['a number as role', () => signed({ call: 'c', scope: 'read', role: 7 }).setExpirationTime('1h').sign(key), /`role`/],
  ])('refuses %s, and does not echo it', async (_, make, message) => {
    const token = await make();
    const failure: unknown = await tokens.verify(token).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'UndertoneError', code: 'UT_AUTH_TOKEN', message: expect.stringMatching(message) });
    expect((failure as Error).cause).toBeUndefined();
    if (token !== '') expect(String(failure)).not.toContain(token.slice(0, 40));
  });

  it('refuses a short secret', () => {
    expect(() => createTokens({ secret: 'short' })).toThrow('Expected a secret of at least 32 bytes, got 5');
  });
});

describe('authorize', () => {
  const claims = { callId: 'c1', scopes: new Set(['read']) };

  it('allows the scope on the call, and `*` on every call', () => {
    expect(() => authorize(claims, 'read', 'c1')).not.toThrow();
    expect(() => authorize({ ...claims, callId: '*' }, 'read', 'any')).not.toThrow();
    expect(() => authorize(claims, 'read')).not.toThrow();
  });

  it.each([
    ['another scope', 'join', 'c1'],
    ['another call', 'read', 'c2'],
  ] as const)('refuses %s', (_, scope, callId) => {
    expect(() => authorize(claims, scope, callId)).toThrow(expect.objectContaining({ code: 'UT_AUTH_SCOPE' }));
  });
});

describe('resolveSecret', () => {
  it.each(['127.0.0.1', '127.8.9.1', '::1', '[::1]', 'localhost', 'LOCALHOST', '::ffff:127.0.0.1'])('makes one for %s', (host) => {
    const a = resolveSecret({ host });
    const b = resolveSecret({ host, secret: undefined });
    expect(a.development).toBe(true);
    expect(a.secret).toHaveLength(32);
    expect(a.secret).not.toEqual(b.secret);
  });

  it.each(['0.0.0.0', '::', '192.168.1.4', 'example.org', '127.example.org', 'localhost.example.org', ''])(
    'makes none for `%s`',
    (host) => {
      expect(isLoopbackHost(host)).toBe(false);
      expect(() => resolveSecret({ host })).toThrow(
        expect.objectContaining({ code: 'UT_AUTH_SECRET', message: expect.stringMatching(/auth\.secret.*UNDERTONE_AUTH_SECRET/) }),
      );
      expect(() => resolveSecret({ host, secret: '' })).toThrow(expect.objectContaining({ code: 'UT_AUTH_SECRET' }));
    },
  );

  it('takes the configured one, if it is long enough', () => {
    expect(resolveSecret({ host: '0.0.0.0', secret })).toEqual({ secret: key, development: false });
    expect(resolveSecret({ host: 'localhost', secret })).toMatchObject({ development: false });
    expect(() => resolveSecret({ host: 'localhost', secret: 'x'.repeat(31) })).toThrow('at least 32 bytes, got 31');
  });
});
