// Taps on a real mediasoup worker: who is tapped, what arrives, and that it stops when it must.
import { createSocket } from 'node:dgram';
import { createWorker, type types } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createPolicy } from '../../../src/policy/policy.ts';
import { routerMediaCodecs } from '../../../src/sfu/media-codecs.ts';
import { openTap } from '../../../src/sfu/tap.ts';
import type { RawRtp } from '../../../src/sfu/types.ts';
import {
  audioLevel,
  extensionsOf,
  Log,
  microphone,
  opusSilence,
  plainParticipant,
  rtpPacket,
  RtpSender,
  sequenceNumberOf,
  startServer,
  timestampOf,
  workerBin,
} from './support.ts';

type Server = Awaited<ReturnType<typeof startServer>>;

/** The consumers of each producer in a call, as the media worker itself reports them. */
async function consumersIn(server: Server, callId: string): Promise<number[]> {
  const router = server.sfu.router(callId);
  if (router === undefined) throw new Error('Expected a router');
  const dump = await router.dump();
  return dump.mapProducerIdConsumerIds.map((entry) => entry.values.length);
}

describe('taps', () => {
  let server: Server;
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(async () => {
    await server.close();
  });

  it.each([
    ['audio/opus', 100, { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: expect.any(Number) as number }],
    ['audio/PCMU', 0, { mimeType: 'audio/pcmu', clockRateHz: 8_000, channels: 1, payloadType: 0 }],
    ['audio/pcma', 8, { mimeType: 'audio/pcma', clockRateHz: 8_000, channels: 1, payloadType: 8 }],
  ])('delivers the packets of a %s caller in order, with their codec', async (mimeType, payloadType, codec) => {
    await server.call('call', 'ann', { mimeType, payloadType });
    const { tap, packets } = await server.tapOf('ann');
    await packets.count(100);
    expect(tap.track).toMatchObject({ callId: 'call', participantId: 'ann', codec });
    const received = packets.items.slice(0, 100);
    for (const [index, packet] of received.entries()) {
      const previous = received[index - 1];
      expect(packet.data.subarray(-3)).toEqual(new Uint8Array(opusSilence));
      expect((packet.data[1] ?? 0) & 0x7f).toBe(tap.track.codec.payloadType);
      if (previous === undefined) continue;
      const steps = (sequenceNumberOf(packet) - sequenceNumberOf(previous)) & 0xffff;
      expect(steps).toBeGreaterThan(0);
      expect(timestampOf(packet) - timestampOf(previous)).toBe(steps * 960);
      expect(packet.arrivalMs).toBeGreaterThanOrEqual(previous.arrivalMs);
    }
  });

  it('names the id under which an audio level arrives', async () => {
    const plain = plainParticipant('call', 'ann', { audioLevelExtensionId: 5 });
    const sender = new RtpSender(await server.sfu.addPlainParticipant(plain), plain.ssrc, plain.payloadType, audioLevel(5, 0x80 | 30));
    const { tap, packets } = await server.tapOf('ann');
    await packets.count(10);
    sender.close();
    const id = tap.track.audioLevelExtensionId;
    // mediasoup gives extensions ids of its own.
    expect(id).toBeGreaterThan(0);
    for (const packet of packets.items) expect(extensionsOf(packet).get(id ?? 0)).toEqual(new Uint8Array([0x80 | 30]));
  });

  it.each([
    ['denied', 'consent-denied'],
    ['unknown', 'no-consent'],
    ['withdrawn', 'consent-withdrawn'],
  ] as const)('has nothing at all for a participant whose consent is %s', async (consent, reason) => {
    await server.call('call', 'ann', { consent });
    await server.event('decision', ({ decision }) => !decision.allow && decision.reason === reason);
    expect(await consumersIn(server, 'call')).toEqual([0]);
    // Not even the DirectTransport that a tap would use: the plain transport is the router's only one.
    expect((await server.sfu.router('call')?.dump())?.transportIds).toHaveLength(1);
    await server.call('call', 'bob');
    await (await server.tapOf('bob')).packets.count(20);
    expect((await consumersIn(server, 'call')).sort()).toEqual([0, 1]);
    expect(server.events.items.filter((event) => event.type === 'tapOpened')).toHaveLength(1);
  });

  it('stops at once when consent is withdrawn, and starts anew when it is granted again', async () => {
    await server.call('call', 'ann');
    await server.call('call', 'bob');
    const ann = await server.tapOf('ann');
    const bob = await server.tapOf('bob');
    await ann.packets.count(20);

    expect(server.sfu.updateParticipant('call', 'ann', { consent: 'withdrawn' })).toEqual({ allow: false, reason: 'consent-withdrawn' });
    const received = ann.packets.items.length;
    expect(ann.tap.closed).toBe(true);
    await ann.completed;
    expect(server.events.items.slice(-2)).toMatchObject([
      { type: 'tapClosed', track: ann.tap.track, reason: 'owner' },
      { type: 'decision', participant: { participantId: 'ann', consent: 'withdrawn' }, decision: { allow: false } },
    ]);
    // Both go on sending; what bob still gets shows that time has passed.
    await bob.packets.count(bob.packets.items.length + 50);
    expect(ann.packets.items).toHaveLength(received);
    expect((await consumersIn(server, 'call')).sort()).toEqual([0, 1]);

    const reopened = server.events.next((event) => event.type === 'tapOpened');
    server.sfu.updateParticipant('call', 'ann', { consent: 'granted' });
    await reopened;
    const again = await server.tapOf('ann');
    expect(again.tap.track.trackId).not.toBe(ann.tap.track.trackId);
    await again.packets.count(20);
    expect(ann.packets.items).toHaveLength(received);
  });

  it('never opens a tap where consent is withdrawn while it opens', async () => {
    for (let round = 0; round < 20; round += 1) {
      await server.sfu.addPlainParticipant(plainParticipant('call', `p${String(round)}`));
      server.sfu.updateParticipant('call', `p${String(round)}`, { consent: 'withdrawn' });
    }
    // A tap asked for later is open, so those asked for earlier have settled.
    await server.sfu.addPlainParticipant(plainParticipant('call', 'last'));
    await server.tapOf('last');
    expect(server.events.items.filter((event) => event.type === 'tapOpened')).toHaveLength(1);
    expect((await consumersIn(server, 'call')).reduce((sum, count) => sum + count)).toBe(1);
  });

  it('follows a change of role', async () => {
    await server.close();
    server = await startServer({ decide: createPolicy({ profile: 'eu-workplace' }) });
    await server.call('call', 'ann', { role: 'customer' });
    const { completed } = await server.tapOf('ann');
    expect(server.sfu.updateParticipant('call', 'ann', { role: 'agent' })).toEqual({ allow: false, reason: 'role-denied' });
    await completed;
    expect(await consumersIn(server, 'call')).toEqual([0]);
  });

  it('closes with its participant, and leaves others alone', async () => {
    await server.call('call', 'ann');
    await server.call('call', 'bob');
    const ann = await server.tapOf('ann');
    const bob = await server.tapOf('bob');
    server.sfu.removeParticipant('call', 'ann');
    await ann.completed;
    await bob.packets.count(bob.packets.items.length + 20);
    expect(server.events.items.slice(-2)).toMatchObject([{ type: 'tapClosed', reason: 'source' }, { type: 'participantLeft' }]);
    server.sfu.removeParticipant('call', 'bob');
    await server.event('callClosed', ({ reason }) => reason === 'empty');
    expect(await server.metrics.registry.getSingleMetricAsString('undertone_taps')).toContain('undertone_taps 0');
  });

  it('ignores garbage and strangers at the port of a plain participant', async () => {
    const sender = await server.call('call', 'ann');
    await server.call('call', 'bob');
    const ann = await server.tapOf('ann');
    const bob = await server.tapOf('bob');
    await ann.packets.count(10);

    const stranger = createSocket('udp4');
    const garbage = [
      Buffer.alloc(0),
      Buffer.from([0x80]),
      Buffer.alloc(1400, 0xff),
      Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      // RTP by its first byte, with more contributing sources, extension and padding than there are bytes.
      Buffer.from([0xbf, 100, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0xff, 0xff, 0xff]),
      // RTCP that says it is longer than it is.
      Buffer.from([0x80, 200, 0xff, 0xff, 0, 0, 0, 1]),
    ];
    const { ip, port } = sender.target;
    for (const datagram of garbage) {
      sender.send(datagram);
      stranger.send(datagram, port, ip);
    }
    // Real RTP from elsewhere does not get in either: its payload would be seen.
    const forged = Buffer.from([0xf8, 0, 0]);
    for (let count = 0; count < 20; count += 1) stranger.send(rtpPacket(count, 0, 424_242, 100, forged), port, ip);
    await ann.packets.count(ann.packets.items.length + 50);
    await bob.packets.count(bob.packets.items.length + 50);
    stranger.close();
    for (const packet of [...ann.packets.items, ...bob.packets.items]) {
      expect(packet.data.subarray(-3)).toEqual(new Uint8Array(opusSilence));
    }
    expect(server.events.items.some((event) => event.type === 'tapClosed' || event.type === 'workerDied')).toBe(false);
  });
});

describe("openTap on another host's router", () => {
  let worker: types.Worker;
  let router: types.Router;
  beforeEach(async () => {
    worker = await createWorker(workerBin === undefined ? {} : { workerBin });
    router = await worker.createRouter({ mediaCodecs: routerMediaCodecs });
  });
  afterEach(() => {
    worker.close();
  });

  async function producer(): Promise<{ producer: types.Producer; sender: RtpSender }> {
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, comedia: true });
    const made = await transport.produce({ kind: 'audio', rtpParameters: microphone(777) });
    return { producer: made, sender: new RtpSender({ ip: transport.tuple.localAddress, port: transport.tuple.localPort }, 777, 111) };
  }

  it('reads from the first subscription on, through one DirectTransport a router', async () => {
    const first = await producer();
    const taps = await Promise.all([1, 2, 3].map((n) => openTap(router, first.producer.id, { callId: 'c', participantId: String(n) })));
    const packets = new Log<RawRtp>();
    taps[0]?.rtp$.subscribe((packet) => packets.add(packet));
    await packets.count(20);
    first.sender.close();
    // The plain transport and the one DirectTransport.
    expect((await router.dump()).transportIds).toHaveLength(2);
    expect(new Set(taps.map((tap) => tap.track.trackId)).size).toBe(3);
  });

  it.each([
    ['its producer closes', 'source', (made: types.Producer) => made.close()],
    ['the router closes', 'error', () => router.close()],
    ['the worker is killed', 'error', () => process.kill(worker.pid, 'SIGKILL')],
  ] as const)('completes when %s (%s)', async (_, reason, end) => {
    const { producer: made, sender } = await producer();
    const tap = await openTap(router, made.id, { callId: 'c', participantId: 'p' });
    const closed = new Promise((resolve) => tap.closed$.subscribe(resolve));
    const completed = new Promise<void>((resolve) => tap.rtp$.subscribe({ complete: resolve }));
    end(made);
    expect(await closed).toBe(reason);
    await completed;
    sender.close();
    tap.close();
    expect(tap.closed).toBe(true);
  });

  it('refuses video and unknown producers, and leaves no consumer behind', async () => {
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, comedia: true });
    const video = await transport.produce({
      kind: 'video',
      rtpParameters: { codecs: [{ mimeType: 'video/VP8', payloadType: 101, clockRate: 90_000 }], encodings: [{ ssrc: 5 }] },
    });
    await expect(openTap(router, video.id, { callId: 'c', participantId: 'p' })).rejects.toMatchObject({ code: 'UT_CODEC_UNSUPPORTED' });
    await expect(openTap(router, 'nobody', { callId: 'c', participantId: 'p' })).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
    const dump = await router.dump();
    expect(dump.mapProducerIdConsumerIds).toEqual([{ key: video.id, values: [] }]);
    router.close();
    await expect(openTap(router, video.id, { callId: 'c', participantId: 'p' })).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
  });
});
