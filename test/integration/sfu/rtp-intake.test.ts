// An intake on a real mediasoup worker: packets of taps by UDP, whose they are, when they came, and what nobody else can send.
import { createSocket } from 'node:dgram';
import { createWorker, type types } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/log.ts';
import { routerMediaCodecs } from '../../../src/sfu/media-codecs.ts';
import { RtpIntake } from '../../../src/sfu/rtp-intake.ts';
import type { RtpReader } from '../../../src/sfu/rtp-reader.ts';
import { loadReaders } from '../../../src/sfu/rtp-reader.ts';
import { openTap } from '../../../src/sfu/tap.ts';
import type { RawRtp } from '../../../src/sfu/types.ts';
import { Log, microphone, rtpPacket, RtpSender, sequenceNumberOf, workerBin } from './support.ts';

const readers = loadReaders();

describe.skipIf('reason' in readers)('RtpIntake', () => {
  const logger = createLogger('silent');
  let worker: types.Worker;
  let router: types.Router;
  let intake: RtpIntake;
  const opened: RtpReader[] = [];
  beforeEach(async () => {
    worker = await createWorker(workerBin === undefined ? {} : { workerBin });
    router = await worker.createRouter({ mediaCodecs: routerMediaCodecs });
    opened.length = 0;
    const made = RtpIntake.open({
      logger,
      openReader: (bytes) => {
        if ('reason' in readers) throw new Error(readers.reason);
        const reader = readers.open(bytes);
        opened.push(reader);
        return reader;
      },
    });
    if (!(made instanceof RtpIntake)) throw new Error(made.reason);
    intake = made;
  });
  afterEach(() => {
    intake.close();
    worker.close();
  });

  async function speaker(ssrc: number): Promise<{ producer: types.Producer; sender: RtpSender }> {
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, comedia: true });
    const producer = await transport.produce({ kind: 'audio', rtpParameters: microphone(ssrc) });
    return { producer, sender: new RtpSender({ ip: transport.tuple.localAddress, port: transport.tuple.localPort }, ssrc, 111) };
  }

  it('brings the packets of each tap in order, with the time of their arrival, and of none that is closed', async () => {
    const [ann, bob] = [await speaker(777), await speaker(778)];
    const taps = [];
    const logs = [];
    for (const { producer } of [ann, bob]) {
      const tap = await openTap(router, producer.id, { callId: 'c', participantId: producer.id }, { intake });
      const packets = new Log<RawRtp>();
      tap.rtp$.subscribe(({ data, arrivalMs }) => packets.add({ data: new Uint8Array(data), arrivalMs }));
      taps.push(tap);
      logs.push(packets);
    }
    const beganMs = Date.now();
    await Promise.all(logs.map((log) => log.count(50)));
    for (const { items } of logs) {
      for (const [index, packet] of items.slice(1).entries()) {
        const before = items[index]!;
        expect((sequenceNumberOf(packet) - sequenceNumberOf(before)) & 0xffff).toBe(1);
        expect(packet.arrivalMs).toBeGreaterThanOrEqual(before.arrivalMs);
      }
      expect(items[0]!.arrivalMs).toBeGreaterThan(beganMs - 1000);
      expect(items.at(-1)!.arrivalMs).toBeLessThan(Date.now() + 1000);
    }
    // No DirectTransport: those of the two who speak, and one.
    expect((await router.dump()).transportIds).toHaveLength(3);
    taps[0]!.close();
    const counted = logs[0]!.items.length;
    await logs[1]!.count(logs[1]!.items.length + 25);
    expect(logs[0]!.items).toHaveLength(counted);
    ann.sender.close();
    bob.sender.close();
  });

  it('hears nothing from any port but its transports', async () => {
    const { producer, sender } = await speaker(779);
    const tap = await openTap(router, producer.id, { callId: 'c', participantId: 'p' }, { intake });
    const packets = new Log<RawRtp>();
    tap.rtp$.subscribe(({ data, arrivalMs }) => packets.add({ data: new Uint8Array(data), arrivalMs }));
    await packets.count(5);
    const stranger = createSocket('udp4');
    const ssrc = new DataView(packets.items[0]!.data.buffer).getUint32(8);
    const forged = rtpPacket(1, 1, ssrc, 111, new Uint8Array([0xf8, 0x77]));
    for (let n = 0; n < 20; n += 1) stranger.send(forged, opened[0]!.port, '127.0.0.1');
    await packets.count(packets.items.length + 25);
    expect(packets.items.some(({ data }) => data.at(-1) === 0x77)).toBe(false);
    stranger.close();
    sender.close();
  });

  it('completes a tap when its producer closes, its router does, or the worker dies, and goes on for others', async () => {
    const { producer, sender } = await speaker(780);
    const tap = await openTap(router, producer.id, { callId: 'c', participantId: 'p' }, { intake });
    const reason = new Promise((resolve) => tap.closed$.subscribe(resolve));
    tap.rtp$.subscribe();
    producer.close();
    expect(await reason).toBe('source');
    const other = await speaker(781);
    const next = await openTap(router, other.producer.id, { callId: 'c', participantId: 'q' }, { intake });
    const nextReason = new Promise((resolve) => next.closed$.subscribe(resolve));
    next.rtp$.subscribe();
    router.close();
    expect(await nextReason).toBe('error');
    sender.close();
    other.sender.close();
  });

  it('leaves a router that has no port left to the channel', async () => {
    const refusing = {
      id: router.id,
      closed: false,
      rtpCapabilities: router.rtpCapabilities,
      createDirectTransport: () => router.createDirectTransport(),
      createPlainTransport: () => Promise.reject(new Error('port bind failed')),
    };
    expect(await intake.transportOf(refusing)).toBeNull();
    const { producer, sender } = await speaker(782);
    const tap = await openTap(refusing, producer.id, { callId: 'c', participantId: 'p' }, { intake });
    const packets = new Log<RawRtp>();
    tap.rtp$.subscribe((packet) => packets.add(packet));
    await packets.count(5);
    sender.close();
  });
});

describe.skipIf('reason' in readers)('RtpReader', () => {
  it('counts what the system drops, and leaves out what is too long', async () => {
    if ('reason' in readers) return;
    const reader = readers.open(20_000);
    const sender = createSocket('udp4');
    const send = (bytes: number): Promise<void> =>
      new Promise((resolve) => {
        sender.send(new Uint8Array(bytes), reader.port, '127.0.0.1', () => {
          resolve();
        });
      });
    await send(4000);
    await send(100);
    const lengths: number[] = [];
    reader.read((_, data) => lengths.push(data.length));
    expect(lengths).toEqual([100]);
    for (let n = 0; n < 200; n += 1) await send(100);
    let came = 0;
    reader.read(() => (came += 1));
    // The count comes with the next packet.
    await send(100);
    reader.read(() => (came += 1));
    expect(came).toBeGreaterThan(0);
    expect(came + reader.drops).toBe(201);
    reader.close();
    reader.close();
    reader.read(() => expect.unreachable());
    sender.close();
  });

  it('tells why there is none', () => {
    expect(loadReaders('nowhere.node')).toEqual({ reason: 'nothing was compiled here (npm run build:native)' });
  });
});
