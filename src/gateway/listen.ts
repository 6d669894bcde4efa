// Binds an HTTP server, with a readable error where that cannot be done.
import { once } from 'node:events';
import type { Server } from 'node:http';
import { UndertoneError, messageOf } from '../errors.ts';

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there',
  EACCES: 'this user may not listen there',
  EADDRNOTAVAIL: 'no interface of this machine has that address',
  ENOTFOUND: 'that host name has no address',
};

/** Listens, and resolves with the port that was taken; 0 asks for any free one. Rejects with UT_SERVER_PORT. */
export async function listen(server: Server, { host, port }: { readonly host: string; readonly port: number }): Promise<number> {
  server.listen(port, host);
  try {
    await once(server, 'listening');
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const reason = reasons[code] ?? messageOf(cause);
    throw new UndertoneError('UT_SERVER_PORT', `Expected to listen on \`${host}\` port \`${port}\`, but ${reason}`, { cause });
  }
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}
