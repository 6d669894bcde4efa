// The client against a real WebSocket server, with the `ws` class and with Node's own.
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { WebSocket as WsWebSocket, WebSocketServer, type WebSocket as ServerSocket } from 'ws';
import { connect, type TimelineEvent, type UndertoneClient } from '../../../client-sdk/src/index.ts';
import { call, speech } from './support/fake-socket.ts';

let server: WebSocketServer | undefined;
let client: UndertoneClient | undefined;

afterEach(async () => {
  await client?.close();
  for (const socket of server?.clients ?? []) socket.terminate();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = client = undefined;
});

/** A server of one call of ten events that ends every first connection after the third. */
async function listen(token = 'good'): Promise<{ url: string; resumes: unknown[] }> {
  const resumes: unknown[] = [];
  let dropped = false;
  const made = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'undertone.v1' });
  server = made;
  made.on('connection', (socket: ServerSocket) => {
    socket.on('message', (data: Buffer) => {
      const send = (message: unknown): void => socket.send(JSON.stringify(message));
      const message = JSON.parse(data.toString()) as { type: string; token?: string; resume?: { seq: number } };
      if (message.type === 'hello') {
        if (message.token !== token) socket.close(4401, 'refused');
        else send({ type: 'welcome', protocol: 'undertone.v1', heartbeatMs: 15_000 });
      } else if (message.type === 'subscribe') {
        resumes.push(message.resume);
        const after = message.resume?.seq ?? 10;
        send({ type: 'subscribed', call: call(10), nextSeq: after + 1 });
        for (let seq = after + 1; seq <= 10; seq += 1) {
          send({ type: 'event', event: speech(seq) });
          if (seq === 3 && !dropped) {
            dropped = true;
            socket.close(1013, 'reader too slow');
            return;
          }
        }
      }
    });
  });
  await new Promise((resolve) => made.once('listening', resolve));
  return { url: `ws://127.0.0.1:${String((made.address() as AddressInfo).port)}`, resumes };
}

describe.each([
  ['ws', WsWebSocket],
  ['the global WebSocket', undefined],
])('with %s', (_name, WebSocket) => {
  it('reads each event once over a lost link', async () => {
    const { url, resumes } = await listen();
    client = connect({ url, token: () => 'good', nextRetryDelayMs: () => 0, ...(WebSocket === undefined ? {} : { WebSocket }) });
    const seqs: number[] = [];
    for await (const event of client.subscribe('call', { from: 'start' })) {
      seqs.push(event.seq);
      if (event.seq === 10) break;
    }
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    expect(resumes).toEqual([{ seq: 0 }, { epoch: 'e1', seq: 3 }]);
    await client.close();
    expect(client.status).toBe('closed');
  });

  it('closes when its token is refused', async () => {
    const { url } = await listen();
    const refused = connect({ url, token: 'bad', ...(WebSocket === undefined ? {} : { WebSocket }) });
    client = refused;
    const events: TimelineEvent[] = [];
    const reading = (async () => {
      for await (const event of refused.subscribe('call')) events.push(event);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'UT_AUTH_TOKEN', message: 'refused' });
    expect([refused.status, events]).toEqual(['closed', []]);
  });
});

it('keeps trying while nobody listens', async () => {
  const { url } = await listen();
  await new Promise((resolve) => server?.close(resolve));
  client = connect({ url, token: 'good', WebSocket: WsWebSocket, nextRetryDelayMs: (attempt) => (attempt < 2 ? 0 : null) });
  const attempts: number[] = [];
  client.on('retry', ({ attempt }) => attempts.push(attempt));
  const code = await new Promise((resolve) => client?.on('error', (error) => resolve(error.code)));
  expect([code, attempts]).toEqual(['UT_CLIENT_GAVE_UP', [0, 1]]);
});
