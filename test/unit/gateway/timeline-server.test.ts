// The timeline WebSocket over real sockets: hello, replay, live, resync, faults, slow readers, going away.
import { once } from 'node:events';
import { connect } from 'node:net';
import { WebSocket } from 'ws';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { GatewayOptions } from '../../../src/gateway/gateway.ts';
import { MemoryTimelineStore } from '../../../src/gateway/memory-store.ts';
import type { Timeline } from '../../../src/gateway/timeline.ts';
import type { TimelineEvent } from '../../../src/gateway/types.ts';
import { TestReader, startGateway, type TestGateway } from '../../support/gateway.ts';
import { arrival, callOf, numbered, point, segment, summaryAt } from '../../support/timeline.ts';

let server: TestGateway;

async function restart(options: Partial<GatewayOptions>): Promise<void> {
  await server.close();
  server = await startGateway(options);
}

beforeEach(async () => {
  server = await startGateway();
});

afterEach(async () => {
  await server.close();
});

function openCall(callId = 'c'): Timeline {
  const timeline = server.gateway.openCall({ callId, purpose: 'support', region: 'eu', startedAtUnixMs: Date.now() });
  for (const draft of arrival('p1')) timeline.write(draft);
  return timeline;
}

/** Writes points until the call has `lastSeq` events. */
async function writeTo(timeline: Timeline, lastSeq: number): Promise<void> {
  await timeline.flush();
  for (let seq = timeline.summary.lastSeq + 1; seq <= lastSeq; seq++) timeline.write(point('p1', seq * 250));
  await timeline.flush();
}

const range = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, index) => String(from + index));

describe('hello', () => {
  it('welcomes a valid token with the protocol and the heartbeat', async () => {
    const reader = await TestReader.connect(server.wsUrl);
    expect(reader.socket.protocol).toBe('undertone.v1');
    expect(await reader.hello(await server.token())).toEqual({ type: 'welcome', protocol: 'undertone.v1', heartbeatMs: 15_000 });
    reader.socket.terminate();
  });

  it('refuses a bad token with an error and 4401, without echoing it', async () => {
    const reader = await TestReader.connect(server.wsUrl);
    reader.send({ type: 'hello', token: 'a-bad-token' });
    expect(await reader.closed).toEqual({ code: 4401, reason: 'token refused' });
    expect(reader.received).toEqual([
      { type: 'error', code: 'UT_AUTH_TOKEN', message: 'Expected a valid token, got one that is malformed' },
    ]);
  });

  it('closes 1008 without a hello in time', async () => {
    await restart({ limits: { helloTimeoutMs: 50 } });
    const reader = await TestReader.connect(server.wsUrl);
    expect(await reader.closed).toEqual({ code: 1008, reason: 'no hello in time' });
  });

  it('answers what comes before it with an error, and still takes it', async () => {
    const reader = await TestReader.connect(server.wsUrl);
    reader.send({ type: 'subscribe', callId: 'c' });
    expect(await reader.next('error')).toMatchObject({ code: 'UT_MESSAGE_INVALID', message: 'Expected `hello` first, got `subscribe`' });
    await reader.hello(await server.token());
    reader.send({ type: 'hello', token: await server.token() });
    expect(await reader.next('error')).toMatchObject({ message: 'Expected one `hello`, got another' });
    reader.socket.terminate();
  });

  it('takes messages that did not wait for the welcome, in their order', async () => {
    const timeline = openCall();
    await timeline.flush();
    const reader = await TestReader.connect(server.wsUrl);
    reader.send({ type: 'hello', token: await server.token() });
    reader.send({ type: 'subscribe', callId: 'c', resume: { seq: 0 } });
    await reader.untilSeq(2);
    expect(reader.received.map((message) => message.type)).toEqual(['welcome', 'subscribed', 'event', 'event']);
    reader.socket.terminate();
  });

  it.each([[''], ['Sec-WebSocket-Protocol: other\r\n']])('refuses an upgrade without the subprotocol (%j)', async (header) => {
    const socket = connect(server.port, '127.0.0.1');
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n';
    socket.write(`GET /v1/timeline HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}${header}\r\n`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 400 /);
    socket.destroy();
  });

  it('refuses sockets over the limit with 503, and leaves other paths to others', async () => {
    await restart({ maxSockets: 1 });
    await server.reader();
    const refused = new WebSocket(server.wsUrl, 'undertone.v1');
    const [error] = (await once(refused, 'error')) as [Error];
    expect(error.message).toContain('503');
    const elsewhere = new WebSocket(server.wsUrl.replace('timeline', 'signal'), 'undertone.v1');
    expect(((await once(elsewhere, 'error')) as [Error])[0].message).toContain('socket hang up');
  });
});

describe('subscribe', () => {
  it('without resume: from the next event on', async () => {
    const timeline = openCall();
    await writeTo(timeline, 5);
    const reader = await server.reader();
    const { call, nextSeq } = await reader.subscribe('c');
    expect(nextSeq).toBe(6);
    expect(call).toEqual(timeline.summary);
    await writeTo(timeline, 8);
    await reader.untilSeq(8);
    expect(reader.account).toEqual(range(6, 8));
    expect(reader.events[0]).toMatchObject({
      type: 'point',
      epoch: timeline.epoch,
      callId: 'c',
      atMs: 1500,
      probabilities: { happiness: 0.75 },
    });
  });

  it('from 0: the whole timeline, then live', async () => {
    const timeline = openCall();
    await writeTo(timeline, 1200);
    const reader = await server.reader();
    expect(await reader.subscribe('c', { seq: 0 })).toMatchObject({ nextSeq: 1 });
    await writeTo(timeline, 1210);
    await reader.untilSeq(1210);
    expect(reader.account).toEqual(range(1, 1210));
  });

  it('from a seq on, after a reconnect: what was missed once, then live', async () => {
    const timeline = openCall();
    await writeTo(timeline, 10);
    const first = await server.reader();
    await first.subscribe('c', { seq: 0 });
    await first.untilSeq(10);
    first.socket.terminate();
    await writeTo(timeline, 20);
    const second = await server.reader();
    expect(await second.subscribe('c', { epoch: timeline.epoch, seq: 10 })).toMatchObject({ nextSeq: 11 });
    await writeTo(timeline, 22);
    await second.untilSeq(22);
    expect(second.account).toEqual(range(11, 22));
  });

  it('joins replay and live without gap or duplicate while the call goes on', async () => {
    const timeline = openCall();
    await writeTo(timeline, 700);
    const readers = await Promise.all(Array.from({ length: 4 }, () => server.reader()));
    const subscribed = readers.map((reader, index) => reader.subscribe('c', { seq: index * 150 }));
    for (let seq = 701; seq <= 2000; seq++) {
      timeline.write(point('p1', seq * 250));
      if (seq % 7 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(subscribed);
    await Promise.all(readers.map((reader) => reader.untilSeq(2000)));
    readers.forEach((reader, index) => expect(reader.account).toEqual(range(index * 150 + 1, 2000)));
  });

  it('with another epoch: resync, and the present one from its beginning', async () => {
    const timeline = openCall();
    await writeTo(timeline, 4);
    const reader = await server.reader();
    expect(await reader.subscribe('c', { epoch: 'a-former-one', seq: 90 })).toMatchObject({ nextSeq: 1 });
    await reader.untilSeq(4);
    expect(reader.account).toEqual(['!1', ...range(1, 4)]);
    expect(reader.received.find((message) => message.type === 'resync')).toEqual({
      type: 'resync',
      callId: 'c',
      epoch: timeline.epoch,
      nextSeq: 1,
      reason: 'epoch',
    });
  });

  it('of a call that is opened anew meanwhile: its end, resync, and the new epoch', async () => {
    const first = openCall();
    await writeTo(first, 4);
    const reader = await server.reader();
    await reader.subscribe('c', { seq: 0 });
    await first.end('empty');
    const second = openCall();
    await writeTo(second, 3);
    await reader.until(() => reader.events.some((event) => event.epoch === second.epoch && event.seq === 3));
    expect(reader.account).toEqual([...range(1, 5), '!1', ...range(1, 3)]);
    expect(second.epoch > first.epoch).toBe(true);
  });

  it('past what is kept: resync with the oldest that is', async () => {
    await restart({ store: new MemoryTimelineStore({ maxEvents: 10 }) });
    const timeline = openCall();
    await writeTo(timeline, 100);
    const reader = await server.reader();
    expect(await reader.subscribe('c', { epoch: timeline.epoch, seq: 5 })).toMatchObject({ nextSeq: 91 });
    await reader.untilSeq(100);
    expect(reader.account).toEqual(['!91', ...range(91, 100)]);
    expect(reader.received).toContainEqual({ type: 'resync', callId: 'c', epoch: timeline.epoch, nextSeq: 91, reason: 'trimmed' });
    expect(await reader.subscribe('c', { seq: 0 })).toMatchObject({ nextSeq: 91 });
  });

  it('past the end of what the store knows: resync to where it stands', async () => {
    const timeline = openCall();
    await writeTo(timeline, 3);
    const reader = await server.reader();
    expect(await reader.subscribe('c', { epoch: timeline.epoch, seq: 50 })).toMatchObject({ nextSeq: 4 });
    expect(await reader.next('resync')).toMatchObject({ nextSeq: 4, reason: 'trimmed' });
    await writeTo(timeline, 4);
    await reader.untilSeq(4);
    expect(reader.account).toEqual(['!4', '4']);
  });

  it('anew takes the place of the former, and unsubscribe is always answered', async () => {
    const timeline = openCall();
    await writeTo(timeline, 3);
    const reader = await server.reader();
    await reader.subscribe('c', { seq: 0 });
    await reader.untilSeq(3);
    await reader.subscribe('c', { epoch: timeline.epoch, seq: 2 });
    await writeTo(timeline, 4);
    await reader.untilSeq(4);
    expect(reader.account).toEqual(['1', '2', '3', '3', '4']);
    for (const callId of ['c', 'never-subscribed']) {
      reader.send({ type: 'unsubscribe', callId });
      expect(await reader.next('unsubscribed')).toEqual({ type: 'unsubscribed', callId });
    }
    await writeTo(timeline, 6);
    expect(await reader.subscribe('c')).toMatchObject({ nextSeq: 7 });
    expect(reader.events.at(-1)?.seq).toBe(4);
  });

  it('answers an unknown call, another call and a missing scope, and goes on', async () => {
    const timeline = openCall();
    await timeline.flush();
    const reader = await server.reader({ call: 'c' });
    reader.send({ type: 'subscribe', callId: 'other' });
    expect(await reader.next('error')).toMatchObject({ code: 'UT_AUTH_SCOPE', callId: 'other' });
    expect(await reader.subscribe('c')).toMatchObject({ nextSeq: 3 });
    const all = await server.reader();
    all.send({ type: 'subscribe', callId: 'nobody' });
    expect(await all.next('error')).toEqual({
      type: 'error',
      code: 'UT_CALL_UNKNOWN',
      message: 'Expected a call that is known here, got `nobody`',
      callId: 'nobody',
    });
    expect(await all.subscribe('c')).toMatchObject({ nextSeq: 3 });
    const mute = await server.reader({ scope: 'list' });
    mute.send({ type: 'subscribe', callId: 'c' });
    expect(await mute.next('error')).toMatchObject({ code: 'UT_AUTH_SCOPE', message: 'Expected a token with scope `read`, got `list`' });
  });

  it('bounds the subscriptions of a socket', async () => {
    await restart({ limits: { maxSubscriptions: 2 } });
    await Promise.all(['a', 'b', 'c'].map((callId) => openCall(callId).flush()));
    const reader = await server.reader();
    await reader.subscribe('a');
    await reader.subscribe('b');
    reader.send({ type: 'subscribe', callId: 'c' });
    expect(await reader.next('error')).toMatchObject({ code: 'UT_SERVER_OVERLOADED', callId: 'c' });
    reader.send({ type: 'unsubscribe', callId: 'a' });
    await reader.next('unsubscribed');
    expect(await reader.subscribe('c')).toMatchObject({ nextSeq: 3 });
  });

  it('settles a gap in what a store announces by reading it', async () => {
    /** Announces as a store does that lost its connection for a while. */
    class LossyStore extends MemoryTimelineStore {
      override async subscribe(callId: string, listener: (event: TimelineEvent) => void): Promise<() => void> {
        return await super.subscribe(callId, (event) => {
          if (event.seq < 5 || event.seq > 7) listener(event);
        });
      }
    }
    const store = new LossyStore();
    await restart({ store });
    await store.open(callOf('c', 'e1'));
    const reader = await server.reader();
    await reader.subscribe('c', { seq: 0 });
    await store.append(numbered('c', 'e1', 1, 4), summaryAt('c', 'e1', 4));
    await store.append(numbered('c', 'e1', 5, 9), summaryAt('c', 'e1', 9));
    await reader.untilSeq(9);
    expect(reader.account).toEqual(range(1, 9));
  });
});

describe('faults', () => {
  it.each([
    ['not JSON', '{'],
    ['an unknown type', '{"type":"publish"}'],
    ['a missing field', '{"type":"subscribe"}'],
    ['an unknown field', '{"type":"subscribe","callId":"c","x":1}'],
    ['a negative seq', '{"type":"subscribe","callId":"c","resume":{"seq":-1}}'],
    ['a binary frame', Buffer.from('{"type":"subscribe","callId":"c"}')],
  ])('answers %s with an error; the socket and every other go on', async (_, message) => {
    const timeline = openCall();
    await timeline.flush();
    const [faulty, other] = await Promise.all([server.reader(), server.reader()]);
    await other.subscribe('c');
    faulty.socket.send(message);
    expect(await faulty.next('error')).toMatchObject({ code: 'UT_MESSAGE_INVALID', message: expect.stringContaining('Expected') });
    expect(await faulty.subscribe('c')).toMatchObject({ nextSeq: 3 });
    await writeTo(timeline, 4);
    await Promise.all([faulty.untilSeq(4), other.untilSeq(4)]);
    expect(other.account).toEqual(['3', '4']);
    expect((await server.metrics.invalidMessages.get()).values).toEqual([{ labels: { channel: 'timeline' }, value: 1 }]);
  });

  it('closes 1008 after too many, and nobody else', async () => {
    const [faulty, other] = await Promise.all([server.reader(), server.reader()]);
    for (let count = 0; count < 10; count++) faulty.send('nonsense');
    expect(await faulty.closed).toEqual({ code: 1008, reason: 'too many invalid messages' });
    expect(faulty.received.filter((message) => message.type === 'error')).toHaveLength(10);
    expect(other.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('closes 1009 on a message that is too large, and nobody else', async () => {
    const [faulty, other] = await Promise.all([server.reader(), server.reader()]);
    faulty.send(' '.repeat(64 * 1024 + 1));
    expect(await faulty.closed).toMatchObject({ code: 1009 });
    expect(other.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('answers with UT_STORE_FAILED while the store fails', async () => {
    const store = new MemoryTimelineStore();
    await restart({ store });
    const reader = await server.reader();
    await store.close();
    reader.send({ type: 'subscribe', callId: 'c' });
    expect(await reader.next('error')).toMatchObject({ code: 'UT_STORE_FAILED', callId: 'c' });
  });

  it('survives a client that vanishes in the midst of a replay', async () => {
    const timeline = openCall();
    await writeTo(timeline, 3000);
    const reader = await server.reader();
    reader.send({ type: 'subscribe', callId: 'c', resume: { seq: 0 } });
    await reader.untilSeq(1);
    reader.socket.terminate();
    await vi.waitFor(async () => expect((await server.metrics.timelineSockets.get()).values[0]?.value).toBe(0), { timeout: 10_000 });
    const other = await server.reader();
    await other.subscribe('c', { seq: 2998 });
    await other.untilSeq(3000);
  });
});

describe('slow readers', () => {
  it('get the latest points and every segment, with an account of what was skipped', async () => {
    await restart({
      limits: { softLimitBytes: 16 * 1024, hardLimitBytes: 64 * 1024 * 1024 },
      store: new MemoryTimelineStore({ maxEvents: 200_000 }),
    });
    const timeline = openCall();
    await timeline.flush();
    const [slow, quick] = await Promise.all([server.reader(), server.reader()]);
    await Promise.all([slow.subscribe('c'), quick.subscribe('c')]);
    slow.socket.pause();
    // More than the network's own buffers hold, written as the quick reader takes it in.
    const lastSeq = 40_002;
    for (let seq = 3; seq <= lastSeq; seq++) {
      timeline.write(seq % 100 === 0 || seq === lastSeq ? segment('p1', seq) : point('p1', seq));
      if (seq % 500 === 0) await quick.untilSeq(seq);
    }
    await quick.untilSeq(lastSeq);
    expect(quick.received.some((message) => message.type === 'skipped')).toBe(false);
    slow.socket.resume();
    await slow.untilSeq(lastSeq);
    let nextSeq = 3;
    for (const message of slow.received) {
      if (message.type === 'skipped') {
        expect(message.fromSeq).toBe(nextSeq);
        nextSeq = message.toSeq + 1;
      } else if (message.type === 'event') {
        expect(message.event.seq).toBe(nextSeq);
        nextSeq++;
      }
    }
    expect(nextSeq).toBe(lastSeq + 1);
    expect(slow.received.some((message) => message.type === 'skipped')).toBe(true);
    expect(slow.events.filter((event) => event.type === 'segment')).toHaveLength(401);
  });

  it('are closed with 1013 beyond the hard limit, and resume without loss', async () => {
    await restart({
      limits: { softLimitBytes: 16 * 1024, hardLimitBytes: 64 * 1024, closeGraceMs: 15_000 },
      store: new MemoryTimelineStore({ maxEvents: 200_000 }),
    });
    const timeline = openCall();
    await timeline.flush();
    const slow = await server.reader();
    await slow.subscribe('c');
    slow.socket.pause();
    const closedAsSlow = async (): Promise<boolean> => ((await server.metrics.slowReaders.get()).values[0]?.value ?? 0) > 0;
    while (!(await closedAsSlow())) {
      for (let count = 0; count < 500; count++) timeline.write(segment('p1', timeline.summary.lastSeq));
      await timeline.flush();
    }
    slow.socket.resume();
    expect(await slow.closed).toEqual({ code: 1013, reason: 'reader too slow' });
    const seen = slow.events.at(-1)?.seq ?? 2;
    expect(slow.account).toEqual(range(3, seen));
    const again = await server.reader();
    await again.subscribe('c', { epoch: timeline.epoch, seq: seen });
    const { lastSeq } = timeline.summary;
    await again.untilSeq(lastSeq);
    expect(again.account).toEqual(range(seen + 1, lastSeq));
  });

  it('replay at their own pace, with nothing skipped and nothing piled up', async () => {
    await restart({
      limits: { softLimitBytes: 8 * 1024, hardLimitBytes: 32 * 1024 },
      store: new MemoryTimelineStore({ maxEvents: 200_000 }),
    });
    const timeline = openCall();
    await writeTo(timeline, 4000);
    const reader = await server.reader();
    reader.send({ type: 'subscribe', callId: 'c', resume: { seq: 0 } });
    await reader.untilSeq(1);
    reader.socket.pause();
    const other = await server.reader();
    await other.subscribe('c', { seq: 0 });
    await other.untilSeq(4000);
    reader.socket.resume();
    await reader.untilSeq(4000);
    expect(reader.account).toEqual(range(1, 4000));
  });
});

describe('the life of a socket', () => {
  it('has a heartbeat', async () => {
    await restart({ limits: { heartbeatMs: 20 } });
    const reader = await server.reader();
    for (let count = 0; count < 6; count++) expect(await reader.next('heartbeat')).toEqual({ type: 'heartbeat' });
    reader.socket.terminate();
  });

  it('is cut off once its peer no longer answers', async () => {
    await restart({ limits: { heartbeatMs: 20 } });
    const reader = await server.reader();
    reader.socket.pause();
    await vi.waitFor(async () => expect((await server.metrics.timelineSockets.get()).values[0]?.value).toBe(0), { timeout: 10_000 });
  });

  it('ends with 1001 after the end of every call, when the server goes away', async () => {
    openCall();
    const reader = await server.reader();
    await reader.subscribe('c', { seq: 0 });
    await Promise.all([server.gateway.close(), server.gateway.close()]);
    expect(await reader.closed).toEqual({ code: 1001, reason: 'server going away' });
    expect(reader.events.at(-1)).toMatchObject({ type: 'end', reason: 'shutdown' });
    expect(() => openCall('late')).toThrow('Expected an open gateway');
  });
});
