import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { parseOpusPacket } from '../../../src/pipeline/opus-packet.ts';
import { parseRtp } from '../../../src/pipeline/rtp.ts';
import type { RtpPacket } from '../../../src/pipeline/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { Caller, type LoadedClip } from '../../../tools/callers/caller.ts';
import { startCallers, type Callers, type CallerSpec, type Said } from '../../../tools/callers/callers.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { createOwnFloor, createSharedFloor, type Floor } from '../../../tools/callers/floor.ts';
import { createRandom } from '../../../tools/callers/random.ts';

const manifest = readDemoManifest();
const load = (path: string): LoadedClip => ({ name: path, audio: readOggOpus(readFileSync(path)) });
const clips = manifest.clips.slice(0, 3).map(({ file }) => load(`${demoDirectory}/${file}`));

function parsed(data: Uint8Array): RtpPacket {
  const packet = parseRtp({ data: Uint8Array.from(data), arrivalMs: 0 });
  if (typeof packet === 'string') throw new Error(`Expected RTP, got ${packet}`);
  return packet;
}

function caller(seed: number, floor?: Floor, spoken = clips): Caller {
  const random = createRandom(seed);
  return new Caller({
    participantId: `p${String(seed)}`,
    ssrc: 77,
    payloadType: 100,
    clips: spoken,
    random,
    floor: floor ?? createOwnFloor(random),
  });
}

describe('a simulated caller', () => {
  it('sends one unbroken stream: sequence and timestamps go on through clips and silence', () => {
    const speaker = caller(1);
    let [previous, position] = [parsed(speaker.next().rtp), 320];
    expect(previous).toMatchObject({ ssrc: 77, payloadType: 100, marker: true });
    for (let n = 1; n < 2000; n++) {
      expect(speaker.positionSamples).toBe(position);
      const packet = parsed(speaker.next().rtp);
      expect(packet.sequenceNumber).toBe((previous.sequenceNumber + 1) % 2 ** 16);
      const ticks = (parseOpusPacket(previous.payload)?.sampleCount ?? 0) * 3;
      expect(packet.timestamp).toBe((previous.timestamp + ticks) % 2 ** 32);
      position += parseOpusPacket(packet.payload)?.sampleCount ?? 0;
      previous = packet;
    }
    expect(speaker.packets).toBe(2000);
  });

  it("sends its clips' own packets where it says so, and silence between for 0.6 to 3 s", () => {
    const speaker = caller(2);
    const stream: { payload: Uint8Array; at: number }[] = [];
    const said: { clip: string; startSample: number; durationSamples: number }[] = [];
    while (said.length < 7) {
      const at = speaker.positionSamples;
      const { rtp, began } = speaker.next();
      stream.push({ payload: parsed(rtp).payload, at });
      if (began !== null) said.push(began);
    }
    const complete = said.slice(0, -1);
    let silentFrom = 0;
    for (const { clip, startSample, durationSamples } of complete) {
      const audio = clips.find(({ name }) => name === clip)?.audio;
      const at = startSample - 104;
      const first = stream.findIndex((sent) => sent.at === at);
      expect(stream.slice(first, first + (audio?.packets.length ?? 0)).map(({ payload }) => payload)).toEqual(audio?.packets);
      expect(durationSamples).toBe(Math.round(((audio?.granuleEnd48k ?? 0) - 312) / 3));
      for (const { payload } of stream.slice(silentFrom, first)) expect([...payload]).toEqual([0xf8, 0xff, 0xfe]);
      const pauseMs = (first - silentFrom) * 20;
      expect(pauseMs).toBeGreaterThanOrEqual(600);
      expect(pauseMs).toBeLessThanOrEqual(3020);
      silentFrom = first + (audio?.packets.length ?? 0);
    }
    // Each clip once before any is heard again.
    expect(new Set(complete.slice(0, 3).map(({ clip }) => clip)).size).toBe(3);
    expect(new Set(complete.slice(3).map(({ clip }) => clip)).size).toBe(3);
  });

  it('does the same again for the same seed, and other things for another', () => {
    const packets = (seed: number) => {
      const speaker = caller(seed);
      return createHash('sha256')
        .update(Buffer.concat(Array.from({ length: 400 }, () => speaker.next().rtp)))
        .digest('hex');
    };
    expect(packets(5)).toBe(packets(5));
    expect(packets(5)).not.toBe(packets(6));
  });

  it('is as long as its packets say, where they are not of 20 ms', () => {
    const clip = load('test/fixtures/opus/mono-60ms.opus');
    const speaker = caller(3, { join: () => undefined, mayBegin: () => true, ended: () => undefined }, [clip]);
    const timestamps = Array.from({ length: 3 }, () => parsed(speaker.next().rtp).timestamp);
    expect(timestamps.map((timestamp) => (timestamp - (timestamps[0] ?? 0) + 2 ** 32) % 2 ** 32)).toEqual([0, 2880, 5760]);
    expect(speaker.positionSamples).toBe(3 * 960);
  });

  it('must have something to say', () => {
    expect(() => caller(1, undefined, [])).toThrow('one clip or more');
  });
});

describe('callers who share a floor', () => {
  it.each([0.4, 0.9])('speak one at a time, all of them, for a share of %d of the time', (talkRatio) => {
    const floor = createSharedFloor(talkRatio, createRandom(4));
    const speakers = [1, 2, 3].map((seed) => caller(seed, floor));
    const turns: { who: number; from: number; to: number }[] = [];
    while ((speakers[0]?.positionSamples ?? 0) < 16_000 * 900) {
      speakers.forEach((speaker, who) => {
        const { began } = speaker.next();
        if (began !== null) turns.push({ who, from: began.startSample, to: began.startSample + began.durationSamples });
      });
    }
    for (const [i, turn] of turns.entries()) {
      const before = turns[i - 1];
      if (before === undefined) continue;
      expect(turn.from).toBeGreaterThanOrEqual(before.to);
      expect(turn.who).not.toBe(before.who);
    }
    expect(new Set(turns.map(({ who }) => who))).toEqual(new Set([0, 1, 2]));
    const spoken = turns.reduce((sum, { from, to }) => sum + to - from, 0);
    expect(spoken / (16_000 * 900)).toBeCloseTo(talkRatio, 1);
  });

  it.each([0, -1, 1.1, NaN])('refuse a talk ratio of %d', (talkRatio) => {
    expect(() => createSharedFloor(talkRatio, createRandom(1))).toThrow('talkRatio');
  });
});

describe('startCallers', () => {
  const running: Callers[] = [];
  const sockets: ReturnType<typeof createSocket>[] = [];

  afterEach(async () => {
    await Promise.all(running.splice(0).map((callers) => callers.stop()));
    for (const socket of sockets.splice(0)) socket.close();
  });

  async function listen() {
    const socket = createSocket('udp4');
    sockets.push(socket);
    socket.bind(0, '127.0.0.1');
    await once(socket, 'listening');
    return { socket, remote: { ip: '127.0.0.1', port: socket.address().port } };
  }

  const specs = (remote: CallerSpec['remote'], count: number): CallerSpec[] =>
    demoCast(manifest, count).map(({ participantId, clips: spoken }, index) => ({
      participantId,
      remote,
      ssrc: 100 + index,
      payloadType: 100,
      clips: spoken,
      seed: index,
    }));

  it('sends what all callers say from one socket, and tells of each clip when it begins', async () => {
    const { socket, remote } = await listen();
    const received = new Map<number, RtpPacket[]>();
    socket.on('message', (data) => {
      const packet = parsed(data);
      received.set(packet.ssrc, [...(received.get(packet.ssrc) ?? []), packet]);
    });
    const said: Said[] = [];
    const callers = await startCallers({ callers: specs(remote, 3), onSaid: (one) => said.push(one) });
    running.push(callers);
    // Silence frames have three bytes. Packets go on coming, so each is an occasion to look again.
    const spokenBy = (participantId: string | undefined) =>
      (received.get(99 + Number(participantId?.slice(5))) ?? []).filter(({ payload }) => payload.length > 3);
    while (spokenBy(said[0]?.participantId).length < 5) await once(socket, 'message');
    const [begun] = said;
    if (begun === undefined) throw new Error('Expected a clip to have begun');
    const totals = await callers.stop();
    expect(await callers.stop()).toEqual(totals);
    expect(totals.map(({ participantId }) => participantId)).toEqual(['demo-1', 'demo-2', 'demo-3']);
    const clip = readOggOpus(readFileSync(`${demoDirectory}/${begun.clip}`));
    const spoken = spokenBy(begun.participantId);
    expect(spoken.slice(0, 5).map(({ payload }) => payload)).toEqual(clip.packets.slice(0, 5));
    const [start, began] = [received.get(spoken[0]?.ssrc ?? 0)?.[0], spoken[0]];
    expect(((began?.timestamp ?? 0) - (start?.timestamp ?? 0) + 2 ** 32) % 2 ** 32).toBe((begun.startSample - 104) * 3);
    expect([...received.keys()].sort()).toEqual([100, 101, 102]);
  });

  it('keeps to its schedule: it is never ahead of it', async () => {
    const { socket, remote } = await listen();
    const beforeMs = performance.now();
    const callers = await startCallers({ callers: specs(remote, 2) });
    running.push(callers);
    for (let count = 0; count < 100; count++) await once(socket, 'message');
    const totals = await callers.stop();
    const stoppedMs = performance.now();
    const packets = totals.reduce((sum, total) => sum + total.packets, 0);
    // Two callers, a packet each for every 20 ms begun since a start after `beforeMs`.
    expect(packets).toBeLessThanOrEqual(2 * (Math.floor((stoppedMs - beforeMs) / 20) + 1));
    expect(packets).toBeGreaterThanOrEqual(100);
  });

  it('rejects where a clip cannot be read or an option is wrong', async () => {
    const { remote } = await listen();
    const [spec] = specs(remote, 1);
    if (spec === undefined) throw new Error('Expected a caller');
    await expect(startCallers({ callers: [{ ...spec, clips: [{ name: 'x', path: 'no-such.opus' }] }] })).rejects.toThrow('no-such.opus');
    await expect(startCallers({ callers: [{ ...spec, clips: [{ name: 'x', path: 'package.json' }] }] })).rejects.toThrow('Ogg Opus');
    await expect(startCallers({ callers: [spec], talkRatio: 2 })).rejects.toThrow('talkRatio');
    await expect(startCallers({ callers: [{ ...spec, clips: [] }] })).rejects.toThrow('one clip or more');
  });
});

describe('the demo', () => {
  it('has clips that are what its manifest says', () => {
    for (const { file, sha256, durationMs } of manifest.clips) {
      const bytes = readFileSync(`${demoDirectory}/${file}`);
      expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
      const { granuleEnd48k, preSkipSamples48k } = readOggOpus(bytes);
      expect(Math.abs((granuleEnd48k - preSkipSamples48k) / 48 - durationMs)).toBeLessThanOrEqual(1);
    }
    expect(manifest.clips.length).toBe(54);
  });

  it('casts any number of people under names of their own, with one voice each', () => {
    for (const count of [1, 2, 9, 50]) {
      const cast = demoCast(manifest, count);
      expect(cast.length).toBe(count);
      expect(new Set(cast.map(({ displayName }) => displayName)).size).toBe(count);
      expect(new Set(cast.map(({ participantId }) => participantId)).size).toBe(count);
      expect(new Set(cast.map(({ actor }) => actor)).size).toBe(Math.min(9, count));
      for (const { actor, clips: spoken } of cast) {
        expect(spoken.length).toBe(6);
        expect(spoken.every(({ name }) => name.startsWith(actor))).toBe(true);
      }
    }
    const [a, b] = demoCast(manifest, 2);
    expect(a?.sex).not.toBe(b?.sex);
    expect([a?.role, b?.role]).toEqual(['customer', 'guest']);
  });
});
