// Tokens for development: handed out on loopback, to pages of this server's own origin only.
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { UndertoneError } from '../errors.ts';
import { isLoopbackHost, tokenScopes, type Tokens } from './auth.ts';
import { readJsonBody } from './http-answer.ts';
import { callIdSchema, describeFault } from './protocol.ts';

const maxBodyBytes = 4096;
const ttlSeconds = 12 * 3600;

const bodySchema = z.strictObject({
  call: callIdSchema,
  scope: z.string().refine((scope) => scope !== '' && scope.split(' ').every(isScope), {
    error: `Expected one or more of ${tokenScopes.join(', ')}, separated by a space`,
  }),
  sub: z.string().min(1).max(128).exactOptional(),
  role: z.string().min(1).max(32).exactOptional(),
});

/** Answers `POST /v1/dev/token`. Throws UT_AUTH_SCOPE to who may not have one, UT_MESSAGE_INVALID on a bad body. */
export async function issueDevToken(request: IncomingMessage, tokens: Tokens): Promise<{ readonly token: string }> {
  checkOwnOrigin(request);
  // A form cannot send this type, and a script of another origin must ask first: there is no answer to that question.
  if (request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase() !== 'application/json') {
    throw new UndertoneError('UT_MESSAGE_INVALID', 'Expected the content type `application/json`');
  }
  const body = bodySchema.safeParse(await readJsonBody(request, maxBodyBytes));
  if (!body.success) throw new UndertoneError('UT_MESSAGE_INVALID', `Expected \`{call, scope}\`: ${describeFault(body.error)}`);
  return { token: await tokens.issue({ ...body.data, ttlSeconds }) };
}

/**
 * The Host header must name this machine, or a foreign name that was made to resolve to it could fetch a token (DNS
 * rebinding). Browsers name the page's origin on every POST; a program on this machine that names none is let in.
 */
function checkOwnOrigin({ headers, socket }: IncomingMessage): void {
  const { host, origin } = headers;
  const site = headers['sec-fetch-site'];
  if (!isLoopbackHost(socket.remoteAddress ?? '')) throw refused('from this machine');
  if (host === undefined || !isLoopbackHost(hostnameOf(host))) throw refused('to a loopback address');
  const own = origin === undefined || origin === `http://${host}` || origin === `https://${host}`;
  if (!own || (site !== undefined && site !== 'same-origin')) throw refused("of this server's own pages");
}

function refused(expected: string): UndertoneError {
  return new UndertoneError('UT_AUTH_SCOPE', `Expected a request ${expected}: development tokens are not for others`);
}

function hostnameOf(host: string): string {
  return host.replace(/:\d+$/, '');
}

function isScope(word: string): boolean {
  return (tokenScopes as readonly string[]).includes(word);
}
