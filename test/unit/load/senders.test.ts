import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { Casting, type CallerId, type Cast } from '../../../tools/load/caller-stream.ts';
import { LatencyHistogram } from '../../../tools/load/latency-histogram.ts';
import { Senders } from '../../../tools/load/senders.ts';
import { loadVoices } from '../../../tools/load/voices.ts';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

it('sends what each caller has to say, from one socket, never before it is due', async () => {
  const voices = await loadVoices({ audioDir: null, codec: 'opus', bitrateKbps: null, dtx: false, roomDbov: null, seed: 1 });
  const cast: Cast = {
    voices,
    talkRatio: 0.5,
    listenerShare: 0,
    stretchSeconds: null,
    mute: false,
    lossPercent: 0,
    jitterMs: 10,
    audioLevel: false,
    seed: 3,
    seatsByCall: [3],
  };
  const socket = createSocket('udp4').bind(0, '127.0.0.1');
  ends.push(() => socket.close());
  await once(socket, 'listening');
  const received = new Map<number, { readonly rtp: Buffer; readonly atUnixMs: number }[]>();
  const senderPorts = new Set<number>();
  socket.on('message', (rtp, { port }) => {
    senderPorts.add(port);
    const ssrc = rtp.readUInt32BE(8);
    received.set(ssrc, [...(received.get(ssrc) ?? []), { rtp, atUnixMs: systemClock.nowMs() }]);
  });
  const late = new LatencyHistogram();
  let reported = 0;
  const senders = await Senders.open({ cast, ipv6: false }, (report) => {
    late.merge(report.late);
    reported += report.packets;
  });
  ends.push(() => senders.close());
  const startUnixMs = systemClock.nowMs() + 100;
  const callers: CallerId[] = [0, 1, 2].map((seat) => ({
    ...{ participantId: `p${seat}`, call: 0, seat, startFrame: 0, ssrc: 10 + seat, payloadType: 107 },
  }));
  const remote = { ip: '127.0.0.1', port: socket.address().port };
  for (const caller of callers) senders.start({ caller, startUnixMs: startUnixMs + 5 * caller.seat, remote });
  while (reported < 100) await once(socket, 'message');
  const totals = await senders.stop(callers.map(({ participantId }) => participantId));
  expect(await senders.stop(['p0', 'nobody'])).toEqual([]);
  for (const { ssrc, seat, participantId } of callers) {
    const { packets, lost, comfortNoise } = totals.find((total) => total.participantId === participantId)!;
    expect([lost, comfortNoise]).toEqual([0, 0]);
    while ((received.get(ssrc)?.length ?? 0) < packets) await once(socket, 'message');
    const stream = new Casting(cast).streamOf(callers[seat]!);
    for (const { rtp, atUnixMs } of received.get(ssrc) ?? []) {
      const expected = stream.next();
      expect(rtp.equals(expected.rtp)).toBe(true);
      // Two threads read the clock, each from its own start.
      expect(atUnixMs - (startUnixMs + 5 * seat + expected.atMs)).toBeGreaterThan(-2);
    }
  }
  expect(senderPorts.size).toBe(1);
  expect(late.count).toBeGreaterThanOrEqual(100);
});
