// The link: hello, reconnect with back-off, watchdog, tokens, closing.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { connect, exponentialBackoff, UndertoneClientError, type UndertoneClient } from '../../../client-sdk/src/index.ts';
import { call, connectFake, settle } from './support/fake-socket.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const statusesOf = (client: UndertoneClient): string[] => {
  const statuses: string[] = [client.status];
  client.on('status', (status) => statuses.push(status));
  return statuses;
};
const codesOf = (client: UndertoneClient): string[] => {
  const codes: string[] = [];
  client.on('error', (error) => codes.push(error.code));
  return codes;
};

describe('opening', () => {
  it('says hello with the token and is open once welcomed', async () => {
    const { client, last } = connectFake({ url: 'http://server.test' });
    const statuses = statusesOf(client);
    await settle();
    expect([last().url, last().protocol]).toEqual(['ws://server.test/v1/timeline', 'undertone.v1']);
    expect(last().sent).toEqual([]);
    last().open();
    expect(last().sent).toEqual([{ type: 'hello', token: 'token' }]);
    expect(client.status).toBe('connecting');
    last().receive({ type: 'welcome', protocol: 'undertone.v1', heartbeatMs: 1000 });
    expect(statuses).toEqual(['connecting', 'open']);
  });

  it.each([
    ['wss://server.test/path?x=1', 'wss://server.test/path?x=1'],
    ['https://server.test/', 'wss://server.test/v1/timeline'],
  ])('connects %s to %s', async (url, expected) => {
    const { last } = connectFake({ url });
    await settle();
    expect(last().url).toBe(expected);
  });

  it.each([
    [{ url: 'server' }, /Expected `url` to be an absolute URL, got `server`/],
    [{ url: 'ftp://server.test' }, /got `ftp:`/],
    [{ token: '' }, /Expected `token`/],
  ])('refuses the options %o', (options, message) => {
    const attempt = (): unknown => connect({ url: 'ws://server.test', token: 't', ...options });
    expect(attempt).toThrow(UndertoneClientError);
    expect(attempt).toThrow(message);
  });

  it('closes with an error if the server speaks another protocol', async () => {
    const { client, last } = connectFake();
    const codes = codesOf(client);
    await settle();
    last().open();
    last().receive({ type: 'welcome', protocol: 'undertone.v9', heartbeatMs: 1000 });
    expect(codes).toEqual(['UT_CLIENT_PROTOCOL']);
    expect(client.status).toBe('closed');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tries again if there is no welcome in time', async () => {
    const { client, sockets } = connectFake({ connectTimeoutMs: 2000 });
    await settle();
    sockets[0]!.open();
    await vi.advanceTimersByTimeAsync(1999);
    expect(client.status).toBe('connecting');
    await vi.advanceTimersByTimeAsync(1);
    expect(client.status).toBe('reconnecting');
    expect(sockets[0]!.closedWith).not.toBeNull();
    await vi.advanceTimersByTimeAsync(100);
    expect(sockets).toHaveLength(2);
  });
});

describe('reconnecting', () => {
  it('waits as the policy says, counts failures from 0, and starts over after a stable link', async () => {
    const attempts: number[] = [];
    const { sockets, last } = connectFake({
      nextRetryDelayMs: (attempt) => {
        attempts.push(attempt);
        return 1000;
      },
    });
    await settle();
    last().drop();
    await vi.advanceTimersByTimeAsync(999);
    expect(sockets).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(sockets).toHaveLength(2);
    last().drop();
    await vi.advanceTimersByTimeAsync(1000);
    last().welcome(60_000);
    last().drop(1013, 'reader too slow');
    await vi.advanceTimersByTimeAsync(1000);
    last().welcome(60_000);
    await vi.advanceTimersByTimeAsync(5000);
    last().drop();
    expect(attempts).toEqual([0, 1, 2, 0]);
  });

  it('gives up when the policy does', async () => {
    const { client, last } = connectFake({ nextRetryDelayMs: exponentialBackoff({ maxAttempts: 1, random: () => 0.5 }) });
    const codes = codesOf(client);
    await settle();
    last().drop();
    await vi.advanceTimersByTimeAsync(250);
    last().drop(1001, 'server going away');
    expect(codes).toEqual(['UT_CLIENT_GAVE_UP']);
    expect(client.status).toBe('closed');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('tells of each retry', async () => {
    const { client, last } = connectFake();
    const retries: unknown[] = [];
    client.on('retry', (info) => retries.push(info));
    await settle();
    last().drop(1013, 'reader too slow');
    expect(retries).toEqual([{ attempt: 0, delayMs: 100, closeCode: 1013, reason: 'reader too slow' }]);
  });

  it('ignores what an abandoned socket still says', async () => {
    const { client, sockets } = connectFake();
    await settle();
    sockets[0]!.drop();
    await vi.advanceTimersByTimeAsync(100);
    sockets[1]!.welcome();
    sockets[0]!.drop();
    sockets[0]!.receive('garbage');
    expect(client.status).toBe('open');
    expect(sockets).toHaveLength(2);
  });

  it('reconnects on a frame that is no message', async () => {
    const { client, last } = connectFake();
    const codes = codesOf(client);
    await settle();
    last().welcome();
    last().receive('garbage');
    expect(codes).toEqual(['UT_CLIENT_PROTOCOL']);
    expect(client.status).toBe('reconnecting');
  });

  it('ignores types of message that it does not know', async () => {
    const { client, last } = connectFake();
    const codes = codesOf(client);
    await settle();
    last().welcome();
    last().receive({ type: 'constructor' });
    last().receive({ type: 'novelty', of: 'a later version' });
    expect([client.status, codes]).toEqual(['open', []]);
  });
});

describe('watchdog', () => {
  it('takes 2.5 heartbeats of silence for a dead link', async () => {
    const { client, last } = connectFake();
    await settle();
    last().welcome(1000);
    await vi.advanceTimersByTimeAsync(2400);
    last().receive({ type: 'heartbeat' });
    await vi.advanceTimersByTimeAsync(2499);
    expect(client.status).toBe('open');
    await vi.advanceTimersByTimeAsync(1);
    expect(client.status).toBe('reconnecting');
    expect(last().closedWith).toBe(4000);
  });

  it('counts any message as a sign of life', async () => {
    const { client, last } = connectFake();
    await settle();
    last().welcome(1000);
    for (let turn = 0; turn < 5; turn += 1) {
      await vi.advanceTimersByTimeAsync(2000);
      last().subscribed(call(0), 1);
    }
    expect(client.status).toBe('open');
  });
});

describe('tokens', () => {
  it('closes at once if a fixed token is refused, with what the server said', async () => {
    const { client, sockets, last } = connectFake();
    const messages: string[] = [];
    client.on('error', (error) => messages.push(`${error.code}: ${error.message}`));
    await settle();
    last().open();
    last().receive({ type: 'error', code: 'UT_AUTH_TOKEN', message: 'The token is expired' });
    last().drop(4401);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(messages).toEqual(['UT_AUTH_TOKEN: The token is expired']);
    expect(client.status).toBe('closed');
    expect(sockets).toHaveLength(1);
  });

  it('asks a token function before each connection, and bears a limited number of refusals in a row', async () => {
    let asked = 0;
    const { client, sockets, last } = connectFake({
      token: () => Promise.resolve(`token-${String(++asked)}`),
      maxTokenRefusals: 2,
    });
    const codes = codesOf(client);
    await settle();
    last().open();
    expect(last().sent).toEqual([{ type: 'hello', token: 'token-1' }]);
    last().drop(4401);
    await vi.advanceTimersByTimeAsync(100);
    last().welcome();
    expect(last().sent).toEqual([{ type: 'hello', token: 'token-2' }]);
    for (let turn = 0; turn < 3; turn += 1) {
      expect(client.status).not.toBe('closed');
      last().drop(4401);
      await vi.advanceTimersByTimeAsync(100);
    }
    expect(codes).toEqual(['UT_AUTH_TOKEN']);
    expect(client.status).toBe('closed');
    expect(sockets).toHaveLength(4);
  });

  it('tries again if the token function fails', async () => {
    let asked = 0;
    const { client, sockets } = connectFake({
      token: () => {
        asked += 1;
        return asked === 1 ? Promise.reject(new Error('offline')) : asked === 2 ? '' : 'good';
      },
    });
    const codes = codesOf(client);
    await settle();
    expect([codes, client.status, sockets.length]).toEqual([['UT_CLIENT_TOKEN'], 'reconnecting', 0]);
    await vi.advanceTimersByTimeAsync(100);
    expect(codes).toHaveLength(2);
    await vi.advanceTimersByTimeAsync(100);
    sockets[0]!.open();
    expect(sockets[0]!.sent).toEqual([{ type: 'hello', token: 'good' }]);
  });

  it('does not wait for a token function that never answers', async () => {
    const { client } = connectFake({ token: () => new Promise<string>(() => undefined), connectTimeoutMs: 2000 });
    await vi.advanceTimersByTimeAsync(2000);
    expect(client.status).toBe('reconnecting');
  });
});

describe('closing', () => {
  it('resolves once the socket closed, is safe twice, and leaves no timer', async () => {
    const { client, last } = connectFake();
    const statuses = statusesOf(client);
    await settle();
    last().welcome();
    const first = client.close();
    expect(client.close()).toBe(first);
    expect(last().closedWith).toBe(1000);
    last().drop(1000);
    await first;
    expect(statuses).toEqual(['connecting', 'open', 'closed']);
    expect(vi.getTimerCount()).toBe(0);
    expect(() => client.subscribe('call')).toThrow(expect.objectContaining({ code: 'UT_CLIENT_CLOSED' }));
  });

  it('does not wait for ever for the other side', async () => {
    const { client, last } = connectFake();
    await settle();
    last().welcome();
    const closed = client.close();
    await vi.advanceTimersByTimeAsync(1000);
    await closed;
    expect(client.status).toBe('closed');
  });

  it('is possible while waiting to reconnect, and before the token came', async () => {
    const waiting = connectFake();
    await settle();
    waiting.last().drop();
    await waiting.client.close();
    const early = connectFake();
    await early.client.close();
    await vi.advanceTimersByTimeAsync(60_000);
    expect([waiting.sockets.length, early.sockets.length, vi.getTimerCount()]).toEqual([1, 0, 0]);
  });
});

describe('exponentialBackoff', () => {
  it('grows with full jitter within its bounds', () => {
    const top = exponentialBackoff({ baseMs: 100, maxMs: 1000, random: () => 1 });
    expect([0, 1, 2, 3, 4, 100, 5000].map(top)).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
    expect(exponentialBackoff({ random: () => 0 })(7)).toBe(0);
    expect(exponentialBackoff({ maxAttempts: 2 })(2)).toBeNull();
  });
});
