// Plain RTP from an exchange, sent by ffmpeg: from `POST /v1/ingest` to the events of the call's timeline.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { speechSamples } from '../../../tools/bench/speech.ts';
import { createPcmuEncoder } from '../../../tools/evaluate/encoders.ts';
import { FfmpegSender, writeSpeech, type FfmpegRtp } from '../../support/ffmpeg.ts';
import { startApp, type TestApp } from '../../support/server.ts';

interface Opened {
  readonly ingestId: string;
  readonly ip: string;
  readonly port: number;
  readonly rtcpPort?: number;
  readonly payloadType: number;
  readonly ssrc: number | null;
  readonly srtp?: { readonly cryptoSuite: string; readonly keyBase64: string };
}
interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { readonly error?: { readonly code: string; readonly message: string } };
}

const keyBase64 = Buffer.from(Array.from({ length: 30 }, (_, index) => index * 7)).toString('base64');
let folder: string;
let speech: string;
let server: TestApp;
const senders: FfmpegSender[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'ingest-'));
  speech = writeSpeech(folder, ['1020_WSI_ANG_XX', '1030_TSI_ANG_XX']);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(async () => {
  await Promise.all(senders.splice(0).map((sender) => sender.close()));
  await server.close();
});

function bodyFor(id: string, changes: Record<string, unknown> = {}): Record<string, unknown> {
  return { callId: 'pbx', participant: { id, role: 'customer', consent: 'granted' }, codec: 'pcmu', ...changes };
}

async function ask(method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
  const authorization = `Bearer ${token ?? (await server.token('*', 'ingest'))}`;
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${server.url}/v1/ingest${path}`, {
    method,
    headers: { authorization, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: text }),
  });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

async function open(id: string, changes: Record<string, unknown> = {}): Promise<Opened> {
  const { status, body } = await ask('POST', '', bodyFor(id, changes));
  expect(body).not.toHaveProperty('error');
  expect(status).toBe(201);
  return body as unknown as Opened;
}

async function list(): Promise<readonly Record<string, unknown>[]> {
  return (await ask('GET', '')).body['ingests'] as Record<string, unknown>[];
}

/** The media worker is asked for the packets once the tap is open: what comes before its answer is not heard. */
async function untilHeard(): Promise<void> {
  await vi.waitFor(async () => expect(await server.metric('undertone_taps')).toBe(1));
  await sleep(300);
}

function send(opened: Opened, changes: Partial<FfmpegRtp> = {}): FfmpegSender {
  const { port, payloadType } = opened;
  const sender = new FfmpegSender(speech, { codec: 'pcmu', ptimeMs: 20, payloadType, ssrc: opened.ssrc ?? 4321, port, ...changes });
  senders.push(sender);
  return sender;
}

/** Rejects where another program has the port. */
async function bind(port: number): Promise<() => Promise<void>> {
  const socket = createSocket('udp4').bind({ port, address: '127.0.0.1', exclusive: true });
  await once(socket, 'listening');
  return () => new Promise((resolve) => socket.close(() => resolve()));
}

describe('ffmpeg as the sender', () => {
  beforeEach(async () => {
    server = await startApp();
  });

  it('is heard in every codec, with and without SRTP, as one participant a stream', async () => {
    const srtp = { cryptoSuite: 'AES_CM_128_HMAC_SHA1_80', keyBase64 };
    const people: { id: string; codec: FfmpegRtp['codec']; ptimeMs: number; ssrc?: number; payloadType?: number; srtp?: typeof srtp }[] = [
      { id: 'opus', codec: 'opus', ptimeMs: 20, ssrc: 1001, payloadType: 96 },
      { id: 'opus-60-unknown-ssrc', codec: 'opus', ptimeMs: 60 },
      { id: 'pcmu', codec: 'pcmu', ptimeMs: 20, ssrc: 1003 },
      { id: 'pcma-unknown-ssrc', codec: 'pcma', ptimeMs: 20 },
      { id: 'pcmu-srtp', codec: 'pcmu', ptimeMs: 20, ssrc: 1005, srtp },
      { id: 'pcma-srtp-unknown-ssrc', codec: 'pcma', ptimeMs: 20, srtp },
    ];
    for (const [index, { id, codec, ptimeMs, ...order }] of people.entries()) {
      const opened = await open(id, { codec, ...order });
      expect(opened).toMatchObject({ ip: '127.0.0.1', ssrc: order.ssrc ?? null });
      expect(opened.payloadType).toBe(order.payloadType ?? { opus: 107, pcmu: 0, pcma: 8 }[codec]);
      expect(opened.port % 2).toBe(0);
      if (order.srtp !== undefined && order.ssrc !== undefined) expect(opened.srtp).toMatchObject({ cryptoSuite: srtp.cryptoSuite });
      const key = order.srtp === undefined ? {} : { keyBase64: srtp.keyBase64 };
      send(opened, { codec, ptimeMs, ssrc: order.ssrc ?? 2000 + index, ...key });
    }
    const reader = await server.read('pbx');
    for (const { id } of people) {
      await reader.first('point', ({ participantId }) => participantId === id);
      await reader.first('segment', ({ participantId }) => participantId === id);
    }
    const roles = reader.all('participant').map(({ participantId, action, role }) => ({ participantId, action, role }));
    expect(roles).toEqual(people.map(({ id }) => ({ participantId: id, action: 'joined', role: 'customer' })));
    expect(reader.all('consent')).toMatchObject(people.map(({ id }) => ({ participantId: id, measured: true, reason: 'consented' })));
    const ssrcs = (await list()).map(({ ssrc }) => ssrc);
    expect(ssrcs).toEqual(people.map(({ ssrc }, index) => ssrc ?? 2000 + index));
    expect(await server.metric('undertone_participants')).toBe(people.length);
    expect(await server.metric('undertone_decode_errors_total')).toBe(0);
    expect(await server.metric('undertone_rtp_packets_total', { fate: 'malformed' })).toBe(0);
  });

  it.each([10, 30, 40, 60])('is heard in packets of %i ms, and nothing of them is concealed', async (ptimeMs) => {
    send(await open('caller', { codec: 'pcma', ssrc: 7 }), { codec: 'pcma', ptimeMs });
    const reader = await server.read('pbx');
    expect(await reader.first('point')).toMatchObject({ concealedRatio: 0 });
    expect(await server.metric('undertone_decode_errors_total')).toBe(0);
  });

  it('is not heard with another SSRC, another payload type or another key than was agreed', async () => {
    const srtp = { cryptoSuite: 'AES_CM_128_HMAC_SHA1_80', keyBase64 };
    send(await open('ssrc', { ssrc: 11 }), { ssrc: 12 });
    send(await open('type', { ssrc: 13 }), { payloadType: 100 });
    send(await open('key', { ssrc: 14, srtp }), { keyBase64: Buffer.alloc(30, 1).toString('base64') });
    send(await open('clear', { ssrc: 15, srtp }));
    // The payload type is all that tells a stream whose SSRC is not known.
    send(await open('type-unknown-ssrc'), { payloadType: 100 });
    send(await open('right', { ssrc: 16 }));
    const reader = await server.read('pbx');
    await reader.first('segment');
    const heard = [...reader.all('speech'), ...reader.all('point'), ...reader.all('segment')].map(({ participantId }) => participantId);
    expect(new Set(heard)).toEqual(new Set(['right']));
  });

  it('goes on as the same participant when the exchange begins another stream, where its SSRC was learned', async () => {
    const opened = await open('caller');
    const first = send(opened, { ssrc: 71 });
    const reader = await server.read('pbx');
    const { seq } = await reader.first('point');
    await first.close();
    // From another port of the same host, as after a transfer.
    send(opened, { ssrc: 72 });
    await reader.first('point', (point) => point.seq > seq && point.participantId === 'caller');
    await vi.waitFor(async () => expect(await list()).toMatchObject([{ participantId: 'caller', ssrc: 72 }]), { timeout: 15_000 });
    await reader.first('segment', (segment) => segment.seq > seq + 20);
    expect(reader.all('participant')).toMatchObject([{ action: 'joined', participantId: 'caller' }]);
  });

  it('stops being measured when consent is withdrawn, and is measured again when it is granted', async () => {
    const { ingestId, ...opened } = await open('caller');
    send({ ingestId, ...opened });
    const reader = await server.read('pbx');
    await reader.first('point');
    expect(await ask('PATCH', `/${ingestId}`, { consent: 'withdrawn' })).toEqual({
      status: 200,
      body: { measured: false, reason: 'consent-withdrawn' },
    });
    const withdrawn = await reader.first('consent', ({ measured }) => !measured);
    expect((await ask('PATCH', `/${ingestId}`, { consent: 'granted' })).body).toEqual({ measured: true, reason: 'consented' });
    const again = await reader.first('consent', ({ measured, seq }) => measured && seq > withdrawn.seq);
    await reader.first('point', ({ seq }) => seq > again.seq);
    expect(reader.events.items.filter(({ seq }) => seq > withdrawn.seq && seq < again.seq)).toEqual([]);
  });

  it('leaves with DELETE, which may be said twice, and the port is free', async () => {
    const opened = await open('caller', { ssrc: 3 });
    await open('other');
    send(opened);
    const reader = await server.read('pbx');
    await reader.first('speech');
    expect(await ask('DELETE', `/${opened.ingestId}`)).toEqual({ status: 200, body: { closed: true } });
    expect(await reader.first('participant', ({ action }) => action === 'left')).toMatchObject({ participantId: 'caller' });
    expect(await ask('DELETE', `/${opened.ingestId}`)).toEqual({ status: 200, body: { closed: false } });
    expect(await list()).toMatchObject([{ participantId: 'other' }]);
    const release = await bind(opened.port);
    await release();
  });
});

describe('an exchange that suppresses silence', () => {
  it('is heard without a loss: comfort noise and keys between its words leave no gap', async () => {
    server = await startApp();
    const ssrc = 9;
    const { port } = await open('caller', { ssrc });
    const words = createPcmuEncoder().encode(await speechSamples(2));
    await untilHeard();
    const socket = createSocket('udp4');
    const began = performance.now();
    let sequence = 65_530;
    const sendAt = async (slot: number, payloadType: number, payload: Uint8Array): Promise<void> => {
      await sleep(Math.max(0, began + slot * 20 - performance.now()));
      const data = writeRtp({ sequenceNumber: sequence, timestamp: slot * 160, ssrc, payloadType, payload });
      sequence += 1;
      socket.send(data, port, '127.0.0.1');
    };
    // Words for 2 s; a comfort noise update, then nothing for half a second; a key; words again.
    for (const [i, payload] of words.entries()) await sendAt(i, 0, payload);
    await sendAt(100, 13, Uint8Array.of(70));
    for (let i = 0; i < 3; i += 1) await sendAt(120 + i, 101, Uint8Array.of(5, 10, 0, 160));
    for (const [i, payload] of words.entries()) await sendAt(125 + i, 0, payload);
    const reader = await server.read('pbx');
    await reader.first('segment', (segment) => segment.startMs > 2400);
    socket.close();
    expect(await server.metric('undertone_rtp_packets_total', { fate: 'played' })).toBeGreaterThan(190);
    expect(await server.metric('undertone_rtp_packets_total', { fate: 'lost' })).toBe(0);
    expect(await server.metric('undertone_concealed_samples_total')).toBe(0);
    for (const { concealedRatio } of reader.all('point')) expect(concealedRatio).toBe(0);
  });
});

describe('a gateway that says how loud its packets are', () => {
  it.each([true, false])('has its silence skipped by that, if it was told of the extension (%s)', async (told) => {
    server = await startApp();
    const { port } = await open('caller', { ssrc: 9, codec: 'opus', ...(told ? { audioLevelExtensionId: 4 } : {}) });
    await untilHeard();
    const socket = createSocket('udp4');
    const began = performance.now();
    for (let n = 0; n < 100; n += 1) {
      await sleep(Math.max(0, began + n * 20 - performance.now()));
      // CELT that holds sound says nothing of its level by itself.
      const payload = Uint8Array.of(0xf8, 0x7b, 0x42, 0x11);
      const extensions = [{ id: 4, value: Uint8Array.of(80) }];
      socket.send(writeRtp({ sequenceNumber: n, timestamp: n * 960, ssrc: 9, payloadType: 107, payload, extensions }), port, '127.0.0.1');
    }
    await vi.waitFor(async () => expect(await server.metric('undertone_rtp_packets_total', { fate: 'played' })).toBe(100), 5000);
    socket.close();
    const skipped = await server.metric('undertone_skipped_samples_total');
    if (told) expect(skipped).toBeGreaterThanOrEqual(60 * 320);
    else expect(skipped).toBe(0);
  });
});

describe('the door', () => {
  beforeEach(async () => {
    server = await startApp();
  });

  it.each([
    ['denied', 'consent-denied'],
    ['unknown', 'no-consent'],
  ])('stays shut for a participant whose consent is %s', async (consent, reason) => {
    const { status, body } = await ask('POST', '', bodyFor('caller', { participant: { id: 'caller', role: 'customer', consent } }));
    expect({ status, code: body.error?.code }).toEqual({ status: 403, code: 'UT_POLICY_DENIED' });
    expect(body.error?.message).toContain(`\`${reason}\``);
    expect(await list()).toEqual([]);
    expect(server.app.sfu.calls).toEqual([]);
  });

  it.each([
    ['no JSON', 'PCMU', 'Expected a JSON body'],
    ['no call', bodyFor('a', { callId: undefined }), '`callId`: Invalid input: expected string, received undefined; got none'],
    ['no participant', bodyFor('a', { participant: undefined }), '`participant`'],
    ['another codec', bodyFor('a', { codec: 'g729' }), '"opus"|"pcmu"|"pcma"; got `"g729"`'],
    ['an SSRC that is none', bodyFor('a', { ssrc: -1 }), 'got `-1`'],
    ['a payload type of RTCP', bodyFor('a', { payloadType: 72 }), 'expected none of 64 to 95, which RTCP has; got `72`'],
    ['an id that no extension has', bodyFor('a', { audioLevelExtensionId: 15 }), 'got `15`'],
    ['an unknown key', bodyFor('a', { port: 1 }), '"port"'],
    ['a consent that is none', bodyFor('a', { participant: { id: 'a', role: 'customer', consent: 'yes' } }), '`participant.consent`'],
    ['RTCP of its own without an SSRC', bodyFor('a', { rtcpMux: false }), 'expected one where `rtcpMux` is false'],
    [
      'a short key',
      bodyFor('a', { srtp: { cryptoSuite: 'AES_CM_128_HMAC_SHA1_80', keyBase64: 'AAAA' } }),
      '30 bytes of key and salt; got another',
    ],
  ])('answers a body of %s with 400, what was expected and what came', async (_what, body, text) => {
    const answer = await ask('POST', '', body);
    expect(answer).toMatchObject({ status: 400, body: { error: { code: 'UT_MESSAGE_INVALID' } } });
    expect(answer.body.error?.message).toContain(text);
    expect(await list()).toEqual([]);
  });

  it('opens to operators alone', async () => {
    const { tokens } = server.app;
    const refused = async (token: string, method = 'POST', path = ''): Promise<unknown> => {
      const { status, body } = await ask(method, path, method === 'POST' ? bodyFor('a') : undefined, token);
      return [status, body.error?.code];
    };
    expect(await refused('nonsense')).toEqual([401, 'UT_AUTH_TOKEN']);
    expect(await refused(await server.token('*', 'join read list'))).toEqual([403, 'UT_AUTH_SCOPE']);
    expect(await refused(await server.token('another', 'ingest'))).toEqual([403, 'UT_AUTH_SCOPE']);
    const participant = await tokens.issue({ call: 'pbx', scope: 'join ingest', sub: 'ann', ttlSeconds: 60 });
    expect(await refused(participant)).toEqual([403, 'UT_AUTH_SCOPE']);
    const { ingestId } = await open('caller');
    expect(await refused(await server.token('another', 'ingest'), 'DELETE', `/${ingestId}`)).toEqual([403, 'UT_AUTH_SCOPE']);
    expect((await ask('GET', '', undefined, await server.token('another', 'ingest'))).body).toEqual({ ingests: [] });
    expect((await ask('DELETE', `/${ingestId}`, undefined, await server.token('pbx', 'ingest'))).status).toBe(200);
  });

  it('takes a participant of a call once, and refuses a consent for an ingest that is not', async () => {
    await open('caller');
    expect(await ask('POST', '', bodyFor('caller'))).toMatchObject({ status: 400, body: { error: { code: 'UT_REQUEST_INVALID' } } });
    expect(await list()).toHaveLength(1);
    expect((await ask('PATCH', '/none', { consent: 'granted' })).status).toBe(400);
    expect((await ask('PUT', '')).status).toBe(405);
  });

  it('opens a port of its own for RTCP where that is asked for', async () => {
    const { port, rtcpPort } = await open('caller', { ssrc: 5, rtcpMux: false });
    expect(rtcpPort).toBe(port + 1);
    await expect(bind(port + 1)).rejects.toThrow('EADDRINUSE');
  });

  it('frees all ports when the call ends', async () => {
    const ports = [(await open('known', { ssrc: 5 })).port, (await open('unknown')).port];
    const reader = await server.read('pbx');
    server.app.sfu.endCall('pbx');
    await reader.first('end');
    expect(await list()).toEqual([]);
    for (const port of ports) await (await bind(port))();
  });
});

describe('bounds', () => {
  it('takes so many ingests and no more, and frees their ports when the server closes', async () => {
    server = await startApp({ ingest: { maxIngests: 2 } });
    const ports = [(await open('a', { ssrc: 5 })).port, (await open('b')).port];
    const refused = await ask('POST', '', bodyFor('c'));
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'UT_SERVER_OVERLOADED' } } });
    expect(refused.body.error?.message).toContain('`ingest.maxIngests`');
    await server.close();
    for (const port of ports) await (await bind(port))();
  });

  it('passes over ports that another program has, and says so where none is left', async () => {
    const release = await bind(62_000);
    try {
      server = await startApp({ ingest: { portMin: 62_000, portMax: 62_005 } });
      const ports = [(await open('a', { ssrc: 5 })).port, (await open('b')).port];
      expect(ports.sort()).toEqual([62_002, 62_004]);
      for (const changes of [{}, { ssrc: 6 }]) {
        const refused = await ask('POST', '', bodyFor('c', changes));
        expect(refused).toMatchObject({ status: 503, body: { error: { code: 'UT_SERVER_OVERLOADED' } } });
        expect(refused.body.error?.message).toContain('`ingest.portMin`');
      }
      const { ingestId } = (await list())[0] as { ingestId: string };
      await ask('DELETE', `/${ingestId}`);
      await open('c');
    } finally {
      await release();
    }
  });

  it('lets those leave who send nothing, or nothing any more, and nobody else', async () => {
    server = await startApp({ ingest: { idleTimeoutMs: 4000 } });
    const silent = [await open('never'), await open('never-known', { ssrc: 21 })];
    const wrong = await open('wrong', { ssrc: 22 });
    send(wrong, { ssrc: 23 });
    const stops = send(await open('stops', { ssrc: 24 }));
    send(await open('stays'));
    const unheard = await open('unheard', { ssrc: 25 });
    send(unheard, { ssrc: 25 });
    await ask('PATCH', `/${unheard.ingestId}`, { consent: 'withdrawn' });
    const reader = await server.read('pbx');
    const left = (id: string) => reader.first('participant', ({ participantId, action }) => action === 'left' && participantId === id);
    await Promise.all([
      left('never'),
      left('never-known'),
      left('wrong'),
      reader.first('speech', ({ participantId }) => participantId === 'stops'),
    ]);
    for (const { ingestId } of silent) expect((await ask('DELETE', `/${ingestId}`)).body).toEqual({ closed: false });
    await stops.close();
    await left('stops');
    expect(await list()).toMatchObject([
      { participantId: 'stays', ssrc: 4321 },
      { participantId: 'unheard', ssrc: 25 },
    ]);
  });
});
