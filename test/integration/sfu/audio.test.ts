// The audio of one participant out of a host's mediasoup, through mute, and the counts that go with it.
import { createSocket, type Socket } from 'node:dgram';
import { setTimeout as sleep } from 'node:timers/promises';
import { createWorker, type types } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { audioPipeline, createDecoder, createMediaCounts, openTap } from '../../../src/index.ts';
import { routerMediaCodecs } from '../../../src/sfu/media-codecs.ts';
import { speechPackets } from '../../../tools/bench/speech.ts';
import { audioLevel, microphone, rtpPacket, workerBin } from './support.ts';

const ssrc = 777;
let worker: types.Worker;
let router: types.Router;
let socket: Socket;

beforeEach(async () => {
  worker = await createWorker(workerBin === undefined ? {} : { workerBin });
  router = await worker.createRouter({ mediaCodecs: routerMediaCodecs });
  socket = createSocket('udp4');
});

afterEach(() => {
  socket.close();
  worker.close();
});

describe('the audio of a participant', () => {
  it('lasts as long as they were there: muted meanwhile, and again, it is silent and not shorter', async () => {
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, comedia: true });
    const producer = await transport.produce({ kind: 'audio', rtpParameters: microphone(ssrc) });
    const tap = await openTap(router, producer.id, { callId: 'call', participantId: 'ann' });
    const counts = createMediaCounts();
    const samples: number[] = [];
    let concealed = 0;
    const decoder = createDecoder(tap.track.codec);
    await decoder.ready;
    tap.rtp$.pipe(audioPipeline({ track: tap.track, decoder, counts })).subscribe((piece) => {
      expect(piece.startSample).toBe(samples.length);
      samples.push(...piece.samples);
      if (piece.concealed) concealed += piece.samples.length;
    });
    // A browser goes on sending while it is muted by the server; its packets end at the producer.
    const packets = speechPackets(5).map((rtp) => rtp.subarray(12));
    const muted: [number, number][] = [
      [60, 120],
      [160, 190],
    ];
    const began = performance.now();
    for (const [n, payload] of packets.entries()) {
      await sleep(Math.max(0, began + n * 20 - performance.now()));
      for (const [from, to] of muted) {
        if (n === from) await producer.pause();
        if (n === to) await producer.resume();
      }
      const { localPort, localAddress } = transport.tuple;
      socket.send(rtpPacket(65_500 + n, 2 ** 32 - 40_000 + n * 960, ssrc, 111, payload, audioLevel(1, 30)), localPort, localAddress);
    }
    await expect.poll(() => samples.length, { timeout: 5000 }).toBeGreaterThanOrEqual((packets.length - 2) * 320);
    expect(samples.length).toBeLessThanOrEqual(packets.length * 320);
    expect(concealed).toBeLessThan(10 * 320);
    expect(counts.received).toBe(counts.played);
    expect(counts.received).toBeLessThan(packets.length - 80);
    const power = (from: number, to: number): number => {
      const part = samples.slice(from * 320, to * 320);
      return part.reduce((sum, sample) => sum + sample * sample, 0) / part.length;
    };
    for (const [from, to] of muted) expect(power(from + 8, to - 4)).toBeLessThan(1e-9);
    expect(power(10, 55)).toBeGreaterThan(1e-5);
    expect(power(125, 155)).toBeGreaterThan(1e-5);
    tap.close();
  });
});
