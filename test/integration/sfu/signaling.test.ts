// Signalling over real sockets: joining, media, leaving; and that one client's faults stay its own.
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import type { types } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { createPolicy } from '../../../src/policy/policy.ts';
import { signalProtocol } from '../../../src/sfu/signaling-server.ts';
import { microphone, startServer, token, type SignalClient } from './support.ts';

type Server = Awaited<ReturnType<typeof startServer>>;

let server: Server;
beforeEach(async () => {
  server = await startServer();
});
afterEach(async () => {
  await server.close();
});

async function restart(options: Parameters<typeof startServer>[0]): Promise<void> {
  await server.close();
  server = await startServer(options);
}

/** Two clients in one call. */
async function pair(): Promise<{ ann: SignalClient; bob: SignalClient }> {
  const ann = await server.connect();
  const bob = await server.connect();
  await ann.join('call', { token: token({ sub: 'ann' }), displayName: 'Ann' });
  await bob.join('call', { token: token({ sub: 'bob' }), displayName: 'Bob', consent: 'denied' });
  return { ann, bob };
}

async function transport(client: SignalClient, direction: 'send' | 'recv'): Promise<string> {
  const { transportId } = await client.request('createTransport', { direction });
  return transportId as string;
}

async function produce(client: SignalClient, ssrc = 1111): Promise<string> {
  const data = { transportId: await transport(client, 'send'), kind: 'audio', rtpParameters: microphone(ssrc), source: 'microphone' };
  return (await client.request('produce', data))['producerId'] as string;
}

describe('a call', () => {
  it('tells each who else is there, and what of them is measured', async () => {
    const ann = await server.connect();
    const first = await ann.join('call', { token: token({ sub: 'ann' }), displayName: '  Ann  ' });
    expect(first).toMatchObject({ participantId: 'ann', participants: [], measured: true, reason: 'consented' });
    const codecs = (first['routerRtpCapabilities'] as types.RtpCapabilities).codecs?.map((codec) => codec.mimeType);
    expect(codecs).toEqual(expect.arrayContaining(['audio/opus', 'audio/PCMU', 'audio/PCMA', 'video/VP8', 'video/H264']));
    const producerId = await produce(ann);
    await server.tapOf('ann');

    const bob = await server.connect();
    const second = await bob.join('call', { displayName: 'Bob', consent: 'denied', role: 'customer' });
    expect(second).toMatchObject({ measured: false, reason: 'consent-denied' });
    expect(second['participants']).toEqual([
      {
        participantId: 'ann',
        displayName: 'Ann',
        role: 'guest',
        measured: true,
        reason: 'consented',
        producers: [{ producerId, kind: 'audio', source: 'microphone', paused: false }],
      },
    ]);
    expect(await ann.told('participantJoined')).toEqual({
      participantId: second['participantId'],
      displayName: 'Bob',
      role: 'customer',
      measured: false,
      reason: 'consent-denied',
      producers: [],
    });
    // Events for the application carry no names.
    expect(JSON.stringify(server.events.items)).not.toMatch(/Ann|Bob/);
    expect(server.events.items.map(({ type }) => type)).toEqual([
      'callOpened',
      'participantJoined',
      'decision',
      'tapOpened',
      'participantJoined',
      'decision',
    ]);
  });

  it('keeps calls apart', async () => {
    const ann = await server.connect();
    const eve = await server.connect();
    await ann.join('one');
    const producerId = await produce(ann);
    await eve.join('two');
    const data = { transportId: await transport(eve, 'recv'), producerId, rtpCapabilities: server.sfu.router('two')?.rtpCapabilities };
    expect(await eve.refusal('consume', data)).toBe('UT_REQUEST_INVALID');
    expect(eve.notifications.items).toEqual([]);
    expect(ann.notifications.items).toEqual([]);
    expect(server.sfu.calls.map(({ call }) => call.callId)).toEqual(['one', 'two']);
  });

  it('carries media: transports, producers, consumers, and what becomes of them', async () => {
    const { ann, bob } = await pair();
    const sendId = await transport(ann, 'send');
    const created = await bob.request('createTransport', { direction: 'recv' });
    expect(created).toMatchObject({
      iceParameters: { usernameFragment: expect.any(String) as string, iceLite: true },
      iceCandidates: [
        { protocol: 'udp', ip: '127.0.0.1', type: 'host' },
        { protocol: 'tcp', ip: '127.0.0.1', type: 'host' },
      ],
      dtlsParameters: { role: 'auto', fingerprints: expect.any(Array) as unknown[] },
    });
    const fingerprint = { algorithm: 'sha-256', value: Array.from({ length: 32 }, () => 'AB').join(':') };
    const dtlsParameters = { role: 'client', fingerprints: [fingerprint] };
    expect(await ann.request('connectTransport', { transportId: sendId, dtlsParameters })).toEqual({});
    expect(await ann.refusal('connectTransport', { transportId: sendId, dtlsParameters })).toBe('UT_MEDIA_FAILED');
    expect(await ann.request('restartIce', { transportId: sendId })).toMatchObject({ iceParameters: { iceLite: true } });

    const audio = { transportId: sendId, kind: 'audio', rtpParameters: microphone(5), source: 'microphone' };
    const { producerId } = await ann.request('produce', audio);
    expect(await bob.told('newProducer')).toEqual({ participantId: 'ann', producerId, kind: 'audio', source: 'microphone', paused: false });

    const rtpCapabilities = server.sfu.router('call')?.rtpCapabilities;
    const consume = { transportId: created['transportId'], producerId, rtpCapabilities };
    const consumer = await bob.request('consume', consume);
    expect(consumer).toMatchObject({ producerId, participantId: 'ann', kind: 'audio', producerPaused: false });
    expect(consumer['rtpParameters']).toMatchObject({ codecs: [{ mimeType: 'audio/opus' }] });
    expect(await bob.request('resumeConsumer', { consumerId: consumer['consumerId'] })).toEqual({});

    await ann.request('pauseProducer', { producerId });
    expect(await bob.told('producerPaused')).toEqual({ producerId });
    expect(await bob.request('consume', consume)).toMatchObject({ producerPaused: true });
    await ann.request('resumeProducer', { producerId });
    expect(await bob.told('producerResumed')).toEqual({ producerId });

    await ann.request('closeProducer', { producerId });
    expect(await bob.told('producerClosed')).toEqual({ producerId });
    await bob.notifications.first(({ event, data }) => event === 'consumerClosed' && data['consumerId'] === consumer['consumerId']);
    expect(await bob.refusal('resumeConsumer', { consumerId: consumer['consumerId'] })).toBe('UT_REQUEST_INVALID');
    expect(await bob.refusal('consume', consume)).toBe('UT_REQUEST_INVALID');
    expect(ann.notifications.items.map(({ event }) => event)).toEqual(['participantJoined']);
  });

  it('acknowledges a withdrawal only after the tap is closed, and tells everyone', async () => {
    const { ann, bob } = await pair();
    await produce(ann);
    const { tap, completed } = await server.tapOf('ann');
    expect(await ann.request('setConsent', { consent: 'withdrawn' })).toEqual({ measured: false, reason: 'consent-withdrawn' });
    expect(tap.closed).toBe(true);
    await completed;
    const told = { participantId: 'ann', measured: false, reason: 'consent-withdrawn' };
    expect(await bob.told('measurement')).toEqual(told);
    expect(await ann.told('measurement')).toEqual(told);
    const reopened = server.events.next(({ type }) => type === 'tapOpened');
    expect(await ann.request('setConsent', { consent: 'granted' })).toEqual({ measured: true, reason: 'consented' });
    await reopened;
    // The socket's answer order: the withdrawal's own notification came before its answer, and no tap event in between.
    const types = server.events.items.map(({ type }) => type);
    expect(types.slice(types.indexOf('tapOpened'))).toEqual(['tapOpened', 'tapClosed', 'decision', 'decision', 'tapOpened']);
  });

  it('measures the newest microphone, and the one before once that is gone', async () => {
    const ann = await server.connect();
    await ann.join('call', { token: token({ sub: 'ann' }) });
    const sendId = await transport(ann, 'send');
    const mic = (ssrc: number) => ({
      transportId: sendId,
      kind: 'audio',
      rtpParameters: { ...microphone(ssrc), mid: String(ssrc) },
      source: 'microphone',
    });
    await ann.request('produce', mic(1));
    const first = await server.tapOf('ann');
    const second = server.events.next(({ type }) => type === 'tapOpened');
    const { producerId } = await ann.request('produce', mic(2));
    await second;
    await first.completed;
    const third = server.events.next(({ type }) => type === 'tapOpened');
    await ann.request('closeProducer', { producerId });
    await third;
    expect(server.events.items.map(({ type }) => type).filter((type) => type.startsWith('tap'))).toEqual([
      'tapOpened',
      'tapClosed',
      'tapOpened',
      'tapClosed',
      'tapOpened',
    ]);
  });

  it('never measures a camera', async () => {
    const ann = await server.connect();
    await ann.join('call');
    const data = {
      transportId: await transport(ann, 'send'),
      kind: 'video',
      source: 'camera',
      rtpParameters: { codecs: [{ mimeType: 'video/VP8', payloadType: 96, clockRate: 90_000 }], encodings: [{ ssrc: 9 }] },
    };
    await ann.request('produce', data);
    const dump = await server.sfu.router('call')?.dump();
    expect(dump?.mapProducerIdConsumerIds.map(({ values }) => values)).toEqual([[]]);
  });
});

describe('leaving', () => {
  it('removes the participant and their media; the socket may join again', async () => {
    const { ann, bob } = await pair();
    const producerId = await produce(ann);
    await server.tapOf('ann');
    expect(await ann.request('leave')).toEqual({});
    expect(await bob.told('producerClosed')).toEqual({ producerId });
    expect(await bob.told('participantLeft')).toEqual({ participantId: 'ann' });
    expect(await ann.refusal('createTransport', { direction: 'send' })).toBe('UT_REQUEST_INVALID');
    expect((await server.sfu.router('call')?.dump())?.transportIds).toHaveLength(1);
    expect(await ann.join('call', { token: token({ sub: 'ann' }) })).toMatchObject({ participants: [{ participantId: 'bob' }] });
    await bob.notifications.count(4);
    const told = bob.notifications.items.map(({ event }) => event);
    expect(told).toEqual(['newProducer', 'producerClosed', 'participantLeft', 'participantJoined']);
  });

  it.each([
    ['closes', (client: SignalClient) => client.socket.close()],
    ['is cut', (client: SignalClient) => client.socket.terminate()],
  ])('happens when the socket %s', async (_, end) => {
    const { ann, bob } = await pair();
    await produce(ann);
    const { completed } = await server.tapOf('ann');
    end(ann);
    expect(await bob.told('participantLeft')).toEqual({ participantId: 'ann' });
    await completed;
    expect(server.sfu.calls.flatMap(({ participants }) => participants.map(({ participantId }) => participantId))).toEqual(['bob']);
    end(bob);
    await server.event('callClosed', ({ reason }) => reason === 'empty');
    expect(server.sfu.calls).toEqual([]);
  });

  it('happens in the middle of a request', async () => {
    const { ann, bob } = await pair();
    for (let id = 100; id < 120; id += 1) ann.socket.send(JSON.stringify({ id, method: 'createTransport', data: { direction: 'send' } }));
    ann.socket.terminate();
    await bob.told('participantLeft');
    // bob's own answer comes after whatever ann's requests left behind in the media worker.
    await transport(bob, 'recv');
    expect((await server.sfu.router('call')?.dump())?.transportIds).toHaveLength(1);
  });

  it('leaves nobody behind who left before the call was open', async () => {
    const clients = await Promise.all(Array.from({ length: 10 }, () => server.connect()));
    for (const client of clients) {
      client.socket.send(
        JSON.stringify({ id: 1, method: 'join', data: { token: token(), callId: 'brief', displayName: 'A', consent: 'granted' } }),
      );
      client.socket.terminate();
    }
    await Promise.all(clients.map((client) => client.closed));
    const last = await server.connect();
    expect(await last.join('brief')).toMatchObject({ measured: true });
    last.socket.terminate();
    await server.event('callClosed');
    await expect.poll(() => server.sfu.calls).toEqual([]);
    const joined = server.events.items.filter(({ type }) => type === 'participantJoined').length;
    expect(server.events.items.filter(({ type }) => type === 'participantLeft')).toHaveLength(joined);
  });

  it('keeps an empty call for as long as is configured', async () => {
    await restart({ emptyCallLingerMs: 100 });
    const ann = await server.connect();
    await ann.join('call');
    await ann.request('leave');
    expect(server.sfu.calls).toMatchObject([{ call: { callId: 'call' }, participants: [] }]);
    await ann.join('call');
    expect(server.events.items.filter(({ type }) => type === 'callOpened')).toHaveLength(1);
    await ann.request('leave');
    await server.event('callClosed', ({ reason }) => reason === 'empty');
  });

  it('is forced on a client whose participant joins again elsewhere', async () => {
    const { ann, bob } = await pair();
    const again = await server.connect();
    expect(await again.join('call', { token: token({ sub: 'ann' }) })).toMatchObject({ participantId: 'ann' });
    expect(await ann.closed).toBe(4409);
    await bob.notifications.count(2);
    expect(bob.notifications.items.map(({ event }) => event)).toEqual(['participantLeft', 'participantJoined']);
    await server.call('call', 'plain');
    const thief = await server.connect();
    // Only clients replace clients: a simulated or telephone caller keeps its place.
    expect(await thief.refusal('join', { token: token({ sub: 'plain' }), callId: 'call', displayName: 'T', consent: 'granted' })).toBe(
      'UT_REQUEST_INVALID',
    );
  });
});

describe('joining', () => {
  const join = { token: token(), callId: 'call', displayName: 'Ada', consent: 'granted' };

  it.each([
    ['a token that does not verify', { token: 'x' }, 'UT_AUTH_TOKEN'],
    ['a token for someone whose id is none', { token: token({ sub: 'a b' }) }, 'UT_AUTH_TOKEN'],
    ['a token for a role that is none', { token: token({ role: 'Agent ' }) }, 'UT_AUTH_TOKEN'],
    ['a token without the scope', { token: token({ scope: 'read list' }) }, 'UT_AUTH_SCOPE'],
    ['a token for another call', { token: token({ call: 'other' }) }, 'UT_AUTH_SCOPE'],
    ['another role than the token names', { token: token({ role: 'agent' }), role: 'customer' }, 'UT_AUTH_SCOPE'],
    ['no token', { token: undefined }, 'UT_MESSAGE_INVALID'],
    ['consent that is neither given nor denied', { consent: 'unknown' }, 'UT_MESSAGE_INVALID'],
    ['no consent', { consent: undefined }, 'UT_MESSAGE_INVALID'],
    ['an empty name', { displayName: '  ' }, 'UT_MESSAGE_INVALID'],
    ['a name with control characters', { displayName: 'a\u0000b' }, 'UT_MESSAGE_INVALID'],
    ['an id that is no path segment', { callId: '../x' }, 'UT_MESSAGE_INVALID'],
    ['the call of all calls', { callId: '*' }, 'UT_MESSAGE_INVALID'],
    ['an unknown key', { admin: true }, 'UT_MESSAGE_INVALID'],
  ])('is refused with %s', async (_, change, code) => {
    const client = await server.connect();
    expect(await client.refusal('join', { ...join, ...change })).toBe(code);
    expect(server.sfu.calls).toEqual([]);
    expect(await client.join('call')).toMatchObject({ measured: true });
  });

  it('takes the role that the token names', async () => {
    await restart({ decide: createPolicy({ profile: 'eu-workplace' }) });
    const client = await server.connect();
    expect(await client.join('call', { token: token({ role: 'agent' }) })).toMatchObject({ measured: false, reason: 'role-denied' });
  });

  it('is refused twice on one socket, and before it everything else is', async () => {
    const client = await server.connect();
    expect(await client.refusal('createTransport', { direction: 'send' })).toBe('UT_REQUEST_INVALID');
    await client.join('call');
    expect(await client.refusal('join', join)).toBe('UT_REQUEST_INVALID');
  });

  it('ends with the limits on calls, participants, transports, producers and consumers', async () => {
    await restart({
      limits: {
        maxCalls: 1,
        maxParticipantsPerCall: 2,
        maxTransportsPerParticipant: 2,
        maxProducersPerParticipant: 1,
        maxConsumersPerParticipant: 1,
      },
    });
    const { ann, bob } = await pair();
    const cid = await server.connect();
    expect(await cid.refusal('join', join)).toBe('UT_SERVER_OVERLOADED');
    expect(await cid.refusal('join', { ...join, callId: 'second' })).toBe('UT_SERVER_OVERLOADED');

    const sendId = await transport(ann, 'send');
    const audio = { transportId: sendId, kind: 'audio', rtpParameters: microphone(5), source: 'microphone' };
    const { producerId } = await ann.request('produce', audio);
    expect(await ann.refusal('produce', { ...audio, rtpParameters: microphone(6) })).toBe('UT_SERVER_OVERLOADED');
    await transport(ann, 'recv');
    expect(await ann.refusal('createTransport', { direction: 'recv' })).toBe('UT_SERVER_OVERLOADED');

    const consume = {
      transportId: await transport(bob, 'recv'),
      producerId,
      rtpCapabilities: server.sfu.router('call')?.rtpCapabilities,
    };
    await bob.request('consume', consume);
    expect(await bob.refusal('consume', consume)).toBe('UT_SERVER_OVERLOADED');
    await bob.request('leave');
    expect(await cid.join('call')).toMatchObject({ participants: [{ participantId: 'ann' }] });
  });
});

describe('a faulty message', () => {
  const request = (method: unknown, data?: unknown, id: unknown = 7): string => JSON.stringify({ id, method, data });
  const nobody = '00000000-0000-0000-0000-000000000000';
  const opus = { codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 48_000, channels: 2 }] };

  it.each<[string, string | Buffer, string, number | null]>([
    ['not JSON', '{', 'UT_MESSAGE_INVALID', null],
    ['empty', '', 'UT_MESSAGE_INVALID', null],
    ['null', 'null', 'UT_MESSAGE_INVALID', null],
    ['an array', '[]', 'UT_MESSAGE_INVALID', null],
    ['a string', '"join"', 'UT_MESSAGE_INVALID', null],
    ['nested deeply', '['.repeat(30_000), 'UT_MESSAGE_INVALID', null],
    ['binary', Buffer.from('{"id":7}'), 'UT_MESSAGE_INVALID', null],
    ['without id', JSON.stringify({ method: 'leave', data: {} }), 'UT_MESSAGE_INVALID', null],
    ['with an id of text', request('leave', {}, '7'), 'UT_MESSAGE_INVALID', null],
    ['with a negative id', request('leave', {}, -1), 'UT_MESSAGE_INVALID', null],
    ['without method', request(undefined, {}), 'UT_MESSAGE_INVALID', 7],
    ['of an unknown method', request('explode', {}), 'UT_MESSAGE_INVALID', 7],
    ["of an object's own method", request('constructor', {}), 'UT_MESSAGE_INVALID', 7],
    ['without data', request('leave'), 'UT_MESSAGE_INVALID', 7],
    ['with data that is no object', request('leave', []), 'UT_MESSAGE_INVALID', 7],
    ['with an unknown key', JSON.stringify({ id: 7, method: 'leave', data: {}, extra: 1 }), 'UT_MESSAGE_INVALID', 7],
    ['with an unknown key in its data', request('leave', { extra: 1 }), 'UT_MESSAGE_INVALID', 7],
    ['with a prototype', '{"id":7,"method":"leave","data":{"__proto__":{"x":1}}}', 'UT_MESSAGE_INVALID', 7],
    ['with a direction that does not exist', request('createTransport', { direction: 'up' }), 'UT_MESSAGE_INVALID', 7],
    [
      'that connects without fingerprints',
      request('connectTransport', { transportId: 'x', dtlsParameters: { fingerprints: [] } }),
      'UT_MESSAGE_INVALID',
      7,
    ],
    [
      'that connects with a fingerprint of rubbish',
      request('connectTransport', { transportId: 'x', dtlsParameters: { fingerprints: [{ algorithm: 'sha-256', value: 'zz' }] } }),
      'UT_MESSAGE_INVALID',
      7,
    ],
    [
      'that produces without codecs',
      request('produce', { transportId: 'x', kind: 'audio', rtpParameters: { codecs: [] }, source: 'microphone' }),
      'UT_MESSAGE_INVALID',
      7,
    ],
    [
      'that produces smell',
      request('produce', { transportId: 'x', kind: 'smell', rtpParameters: opus, source: 'microphone' }),
      'UT_MESSAGE_INVALID',
      7,
    ],
    ['that consents halfway', request('setConsent', { consent: 'maybe' }), 'UT_MESSAGE_INVALID', 7],
    ['that takes back the deciding', request('setConsent', { consent: 'unknown' }), 'UT_MESSAGE_INVALID', 7],
    ['that names no transport', request('restartIce', { transportId: nobody }), 'UT_REQUEST_INVALID', 7],
    [
      'that produces nowhere',
      request('produce', { transportId: nobody, kind: 'audio', rtpParameters: opus, source: 'microphone' }),
      'UT_REQUEST_INVALID',
      7,
    ],
    ['that closes what is not its own', request('closeProducer', { producerId: nobody }), 'UT_REQUEST_INVALID', 7],
    ['that pauses what is not there', request('pauseProducer', { producerId: nobody }), 'UT_REQUEST_INVALID', 7],
    ['that resumes what is not there', request('resumeConsumer', { consumerId: nobody }), 'UT_REQUEST_INVALID', 7],
  ])('%s gets its error, and both clients go on', async (_, message, code, id) => {
    const { ann, bob } = await pair();
    const answer = await ann.raw(message);
    expect(answer).toMatchObject({ id, ok: false, error: { code, message: expect.stringMatching(/\S/) as string } });
    expect(await ann.request('createTransport', { direction: 'send' })).toHaveProperty('transportId');
    expect(await bob.request('createTransport', { direction: 'send' })).toHaveProperty('transportId');
    expect(bob.notifications.items).toEqual([]);
    const refused = code === 'UT_MESSAGE_INVALID' ? 1 : 0;
    const metric = await server.metrics.registry.getSingleMetricAsString('undertone_invalid_messages_total');
    if (refused === 1) expect(metric).toContain('undertone_invalid_messages_total{channel="signal"} 1');
    else expect(metric).not.toContain('{channel="signal"}');
  });

  it('that mediasoup refuses is told as such', async () => {
    const { ann, bob } = await pair();
    const transportId = await transport(ann, 'send');
    const produceWith = (rtpParameters: object) =>
      ann.refusal('produce', { transportId, kind: 'audio', rtpParameters, source: 'microphone' });
    expect(await produceWith({ codecs: [{ mimeType: 'audio/opus', payloadType: 111, clockRate: 8_000 }], encodings: [{ ssrc: 1 }] })).toBe(
      'UT_MEDIA_FAILED',
    );
    expect(await produceWith({ codecs: [{ mimeType: 'rubbish', payloadType: 1, clockRate: 1 }], encodings: [{ ssrc: 1 }] })).toBe(
      'UT_MEDIA_FAILED',
    );
    expect(await ann.refusal('produce', { transportId, kind: 'audio', rtpParameters: microphone(1), source: 'camera' })).toBe(
      'UT_REQUEST_INVALID',
    );
    const recvId = await transport(ann, 'recv');
    expect(await ann.refusal('produce', { transportId: recvId, kind: 'audio', rtpParameters: microphone(1), source: 'microphone' })).toBe(
      'UT_REQUEST_INVALID',
    );
    const producerId = await produce(bob);
    expect(await ann.refusal('consume', { transportId: recvId, producerId, rtpCapabilities: { codecs: [] } })).toBe('UT_REQUEST_INVALID');
    expect(await ann.refusal('consume', { transportId, producerId, rtpCapabilities: {} })).toBe('UT_REQUEST_INVALID');
  });

  it.each([
    ['too large', 1009, (client: SignalClient) => client.socket.send(JSON.stringify({ id: 1, method: 'x'.repeat(70_000) }))],
    [
      'one of too many',
      1008,
      (client: SignalClient) => {
        for (let count = 0; count < 25; count += 1) client.socket.send('rubbish');
      },
    ],
  ])('that is %s ends its own socket with %i, and nobody else', async (_, code, send) => {
    const { ann, bob } = await pair();
    send(ann);
    expect(await ann.closed).toBe(code);
    expect(await bob.told('participantLeft')).toEqual({ participantId: 'ann' });
    expect(await bob.request('createTransport', { direction: 'send' })).toHaveProperty('transportId');
    expect(ann.answers.items.length).toBeLessThanOrEqual(22);
  });

  it('that breaks the framing ends its own socket, and nobody else', async () => {
    const { ann, bob } = await pair();
    const raw = (ann.socket as unknown as { _socket: { write(data: Buffer): void } })._socket;
    raw.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff]));
    expect(await ann.closed).toBeGreaterThan(1000);
    expect(await bob.told('participantLeft')).toEqual({ participantId: 'ann' });
    expect(await bob.request('createTransport', { direction: 'send' })).toHaveProperty('transportId');
  });

  it('is not the only thing that is bounded: so are requests that wait', async () => {
    await restart({ signaling: { maxPendingRequests: 4 } });
    const ann = await server.connect();
    await ann.join('call');
    const answers = await Promise.all(Array.from({ length: 12 }, () => ann.ask('setConsent', { consent: 'granted' })));
    const refused = answers.filter((answer) => !answer.ok);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) expect(answer).toMatchObject({ error: { code: 'UT_SERVER_OVERLOADED' } });
    expect(await ann.request('createTransport', { direction: 'send' })).toHaveProperty('transportId');
  });
});

describe('a socket', () => {
  it('is answered in the order of its requests', async () => {
    const { ann } = await pair();
    const before = ann.answers.items.length;
    const requests = [
      ann.ask('createTransport', { direction: 'send' }),
      ann.ask('setConsent', { consent: 'withdrawn' }),
      ann.ask('createTransport', { direction: 'recv' }),
      ann.ask('leave'),
    ];
    const ids = (await Promise.all(requests)).map(({ id }) => id);
    expect(ann.answers.items.slice(before).map(({ id }) => id)).toEqual(ids);
  });

  it('must offer the subprotocol', async () => {
    const refused = new WebSocket(server.url, 'something.else');
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(400);
    const accepted = new WebSocket(server.url, ['something.else', signalProtocol]);
    await once(accepted, 'open');
    expect(accepted.protocol).toBe(signalProtocol);
    accepted.terminate();
  });

  it('is refused with 503 beyond the limit', async () => {
    await restart({ signaling: { maxSockets: 1 } });
    await server.connect();
    const refused = new WebSocket(server.url, signalProtocol);
    const [, response] = (await once(refused, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(response.statusCode).toBe(503);
  });

  it('is closed where no join comes in time', async () => {
    await restart({ signaling: { joinTimeoutMs: 50 } });
    const joined = await server.connect();
    await joined.join('call').catch(() => undefined);
    const idle = await server.connect();
    expect(await idle.closed).toBe(1008);
  });

  it('that answers no ping is cut off, and its participant leaves', async () => {
    await restart({ signaling: { heartbeatMs: 100 } });
    const bob = await server.connect();
    await bob.join('call', { token: token({ sub: 'bob' }) });
    // A client by hand, which does not know of pings.
    const port = Number(new URL(server.url).port);
    const socket = connectTcp(port, '127.0.0.1');
    socket.write(
      `GET /v1/signal HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n` +
        `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: ${signalProtocol}\r\n\r\n`,
    );
    await once(socket, 'data');
    socket.resume();
    const text = JSON.stringify({
      id: 1,
      method: 'join',
      data: { token: token({ sub: 'mute' }), callId: 'call', displayName: 'M', consent: 'denied' },
    });
    // A masked text frame (RFC 6455) with a mask of zeros.
    socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | 126, text.length >> 8, text.length & 255, 0, 0, 0, 0]), Buffer.from(text)]));
    expect(await bob.told('participantJoined')).toMatchObject({ participantId: 'mute' });
    expect(await bob.told('participantLeft')).toEqual({ participantId: 'mute' });
    expect(bob.socket.readyState).toBe(WebSocket.OPEN);
    socket.destroy();
  });
});
