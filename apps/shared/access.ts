// How a page gets its token: from its own address, else from the server's development endpoint.

/** Why a page has no token, in words for the person who looks at it. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
}

/** Gives a token; asks anew each time where tokens can be had. */
export type TokenSource = () => Promise<string>;

/** What a token must allow. */
export interface AccessRequest {
  /** A call's id, or `*` for all. */
  readonly call: string;
  readonly scope: string;
}

/**
 * Takes the token from `#token=…`, which browsers send to no server, or else asks for a development token,
 * which a server gives on a loopback address only. Rejects with {@link AccessError}.
 */
export function createTokenSource(request: AccessRequest): TokenSource {
  const given = new URLSearchParams(location.hash.slice(1)).get('token');
  if (given !== null && given !== '') return () => Promise.resolve(given);
  return async () => {
    let response: Response;
    try {
      response = await fetch('/v1/dev/token', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      });
    } catch (cause) {
      throw new Error('The server cannot be reached.', { cause });
    }
    if (response.status >= 500) throw new Error('The server cannot answer at the moment.');
    const body = (await response.json().catch(() => null)) as { token?: unknown } | null;
    if (response.ok && typeof body?.token === 'string') return body.token;
    throw new AccessError(
      'This server asks for an access token, and this link has none. Open the link that your application or administrator gave you; it ends in “#token=…”.',
    );
  };
}
