import { mkdtempSync, rmSync, writeFileSync, copyFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontEndSpec, loadManifest } from '../../../src/models/manifest.ts';
import { opusVoiceActivity } from '../../../src/pipeline/opus-packet.ts';
import { parseRtp } from '../../../src/pipeline/rtp.ts';
import type { RtpPacket } from '../../../src/pipeline/types.ts';
import { shippedModelDir } from '../../../tools/analyse/play.ts';
import { readRecording, samplesOf } from '../../../tools/audio/recording.ts';
import { writeWav } from '../../../tools/audio/wav.ts';
import { demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { audioLevelExtensionId, Casting, type Arriving, type CallerId, type Cast } from '../../../tools/load/caller-stream.ts';
import { expectPoints } from '../../../tools/load/expectation.ts';
import { loadVoices, type Voices } from '../../../tools/load/voices.ts';

const folder = mkdtempSync(join(tmpdir(), 'load-voices-'));
const plain = { audioDir: null, codec: 'opus', bitrateKbps: null, dtx: false, roomDbov: null, seed: 1 } as const;
const caller: CallerId = { participantId: 'a', call: 0, seat: 0, startFrame: 0, ssrc: 77, payloadType: 107 };
let demo: Voices;

beforeAll(async () => {
  demo = await loadVoices(plain);
});

afterAll(() => rmSync(folder, { recursive: true }));

function castOf(changes: Partial<Cast> = {}): Cast {
  return {
    voices: demo,
    talkRatio: 0.4,
    listenerShare: 0,
    stretchSeconds: null,
    mute: false,
    lossPercent: 0,
    jitterMs: 0,
    audioLevel: false,
    seed: 1,
    seatsByCall: [4],
    ...changes,
  };
}

function packetsOf(cast: Cast, count: number, who = caller): (Arriving & { readonly packet: RtpPacket })[] {
  const stream = new Casting(cast).streamOf(who);
  return Array.from({ length: count }, () => {
    const arriving = stream.next();
    const packet = parseRtp({ data: arriving.rtp, arrivalMs: arriving.atMs }, audioLevelExtensionId);
    if (typeof packet === 'string') throw new Error(`Expected RTP, got ${packet}`);
    return { ...arriving, packet };
  });
}

const step = (from: number, to: number, modulus: number): number => (to - from + modulus) % modulus;

describe('what callers say', () => {
  it('is the demo, by speaker and as it is, unless another bit rate is asked for', async () => {
    expect(demo.voices.length).toBe(new Set(readDemoManifest().clips.map(({ actor }) => actor)).size);
    expect(demo.description).toMatch(/recordings, \d+ s, Opus as it is$/);
    expect(demo.silence).toEqual({ lead: [], loop: [{ payload: Uint8Array.of(0xf8, 0xff, 0xfe), levelDbov: -127 }] });
    mkdirSync(join(folder, 'one'));
    const [clip] = readDemoManifest().clips;
    copyFileSync(join(demoDirectory, clip!.file), join(folder, 'one', 'a.opus'));
    const slim = await loadVoices({ ...plain, audioDir: join(folder, 'one'), bitrateKbps: 8 });
    const bytes = (voices: Voices, name: string): number => {
      const frames = voices.voices.flat().find((one) => one.name === name)!.frames;
      return frames.reduce((sum, frame) => sum + (frame?.payload.length ?? 0), 0);
    };
    expect(bytes(slim, 'a.opus')).toBeLessThan(0.6 * bytes(demo, clip!.file));
    expect(bytes(slim, 'a.opus')).toBeGreaterThan(500);
  });

  it('is any folder of recordings, a voice for each folder in it, long ones cut', async () => {
    const dir = join(folder, 'two');
    for (const name of ['x', 'y']) mkdirSync(join(dir, name), { recursive: true });
    const samples = await samplesOf(await readRecording(join(demoDirectory, readDemoManifest().clips[0]!.file)));
    const long = new Float32Array(13 * 16_000);
    for (let at = 0; at < long.length; at += samples.length) long.set(samples.subarray(0, long.length - at), at);
    writeFileSync(join(dir, 'x', 'long.wav'), writeWav({ sampleRateHz: 16_000, channels: [long] }));
    writeFileSync(join(dir, 'y', 'short.wav'), writeWav({ sampleRateHz: 16_000, channels: [samples] }));
    const voices = await loadVoices({ ...plain, audioDir: dir, codec: 'pcmu' });
    const [longFrames = [], shortFrames = []] = voices.voices
      .map((clips) => clips.map(({ frames }) => frames.length))
      .toSorted((a, b) => b.length - a.length);
    // Cut where a turn is long enough, and to what is spoken.
    expect(longFrames).toEqual([500, expect.any(Number)]);
    expect(longFrames[1]).toBeGreaterThan(20);
    expect(longFrames[1]).toBeLessThanOrEqual(150);
    expect(shortFrames[0]).toBeGreaterThan(20);
    expect(shortFrames[0]).toBeLessThan(Math.ceil(samples.length / 320));
    expect(voices.voices.flat().every(({ frames }) => frames.every((frame) => frame?.payload.length === 160))).toBe(true);
    await expect(loadVoices({ ...plain, audioDir: mkdtempSync(join(folder, 'empty-')) })).rejects.toThrow('got none in');
    const mute = mkdtempSync(join(folder, 'mute-'));
    writeFileSync(join(mute, 'mute.wav'), writeWav({ sampleRateHz: 16_000, channels: [new Float32Array(16_000)] }));
    await expect(loadVoices({ ...plain, audioDir: mute })).rejects.toThrow('in which somebody speaks, got 1 in which nobody does');
    writeFileSync(join(dir, 'y', 'bad.flac'), 'no flac');
    await expect(loadVoices({ ...plain, audioDir: dir })).rejects.toThrow('bad.flac');
  });
});

describe('a caller of a load test', () => {
  it('sends one unbroken stream, 20 ms a packet, clips and silence', () => {
    const sent = packetsOf(castOf(), 3000);
    for (const [i, { packet, atMs }] of sent.entries()) {
      expect(atMs).toBe(i * 20);
      if (i === 0) continue;
      const before = sent[i - 1]!.packet;
      expect(step(before.sequenceNumber, packet.sequenceNumber, 2 ** 16)).toBe(1);
      expect(step(before.timestamp, packet.timestamp, 2 ** 32)).toBe(960);
      expect(packet).toMatchObject({ ssrc: 77, payloadType: 107, marker: false });
    }
    const spoken = sent.filter(({ packet }) => packet.payload.length > 3).length / sent.length;
    expect(spoken).toBeGreaterThan(0.3);
    expect(spoken).toBeLessThan(0.5);
  });

  it('leaves silence out with DTX, but for what a real encoder sends', async () => {
    const voices = await loadVoices({ ...plain, dtx: true });
    const sent = packetsOf(castOf({ voices, talkRatio: 0.1 }), 1000);
    const pauses = sent.slice(1).map(({ atMs }, i) => atMs - sent[i]!.atMs);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(420);
    expect(pauses.filter((ms) => ms === 400).length).toBeGreaterThan(50);
    for (const [i, { packet, atMs }] of sent.entries()) {
      if (i === 0) continue;
      const before = sent[i - 1]!;
      expect(step(before.packet.sequenceNumber, packet.sequenceNumber, 2 ** 16)).toBe(1);
      expect(step(before.packet.timestamp, packet.timestamp, 2 ** 32)).toBe((atMs - before.atMs) * 48);
      expect(packet.marker).toBe(atMs - before.atMs > 20);
    }
  });

  it('never speaks where it is one of those who listen, so many of each few', () => {
    const seatsByCall = [3, 3, 2];
    const speaks = (listenerShare: number): boolean[] =>
      seatsByCall.flatMap((seats, call) =>
        Array.from({ length: seats }, (_, seat) => {
          const sent = packetsOf(castOf({ talkRatio: 1, listenerShare, seatsByCall }), 300, { ...caller, call, seat });
          return sent.some(({ packet }) => packet.payload.length > 3);
        }),
      );
    expect(speaks(0.5)).toEqual([true, false, true, false, true, false, true, false]);
    expect(speaks(0.25).filter((one) => !one)).toHaveLength(2);
    expect(speaks(0)).not.toContain(false);
    expect(speaks(1)).not.toContain(true);
  });

  it('talks and listens in turns where that is asked for, in stretches that are spread as the starts are; others talk on', () => {
    const cast = castOf({ talkRatio: 1, listenerShare: 0.5, stretchSeconds: 12, seatsByCall: [2] });
    const speech = (seat: number, startFrame: number): boolean[] => {
      const sent = packetsOf(cast, 60 * 50, { ...caller, seat, startFrame });
      const seconds = Array.from({ length: 60 }, () => 0);
      for (const { packet, atMs } of sent) if (packet.payload.length > 3) seconds[Math.floor((startFrame * 20 + atMs) / 1000)]! += 1;
      // Everybody begins with a pause.
      return seconds.slice(4, 59).map((packets) => packets > 25);
    };
    const listensFrom = (...starts: number[]): boolean[] =>
      Array.from({ length: 55 }, (_, i) => !starts.some((start) => i + 4 >= start && i + 4 < start + 12));
    expect(speech(1, 0)).toEqual(listensFrom(12, 36));
    // Begun most of a second later: so are its stretches.
    expect(speech(1, 47)).toEqual(listensFrom(13, 37));
    expect(speech(0, 0)).not.toContain(false);
  });

  it('sends nothing while it listens in turns where it is muted then, and goes on with the next number, later', () => {
    const cast = castOf({ talkRatio: 1, listenerShare: 0.5, stretchSeconds: 12, seatsByCall: [2], mute: true });
    const sent = packetsOf(cast, 40 * 50, { ...caller, seat: 1, startFrame: 0 }).filter(({ atMs }) => atMs < 36_000);
    expect(sent.some(({ atMs }) => atMs >= 12_000 && atMs < 24_000)).toBe(false);
    expect(sent.filter(({ atMs }) => atMs < 12_000)).toHaveLength(600);
    const back = sent.findIndex(({ atMs }) => atMs >= 24_000);
    const [last, first] = [sent[back - 1]!, sent[back]!];
    expect(step(last.packet.sequenceNumber, first.packet.sequenceNumber, 2 ** 16)).toBe(1);
    expect(step(last.packet.timestamp, first.packet.timestamp, 2 ** 32)).toBe((first.atMs - last.atMs) * 48);
    expect(first.packet.marker).toBe(true);
    expect(sent.slice(back).length).toBeGreaterThan(590);
  });

  it('says its level where that is asked for: that of the sound, and of a room between turns', async () => {
    expect(packetsOf(castOf(), 10).every(({ packet }) => packet.audioLevelDbov === undefined)).toBe(true);
    const plainSent = packetsOf(castOf({ audioLevel: true }), 2000);
    const levels = (sent: typeof plainSent, spoken: boolean): number[] =>
      sent.flatMap(({ packet }) => (packet.payload.length > 3 === spoken ? [packet.audioLevelDbov ?? NaN] : []));
    expect(new Set(levels(plainSent, false))).toEqual(new Set([-127]));
    const speech = levels(plainSent, true).toSorted((a, b) => a - b);
    expect(speech[speech.length >> 1]).toBeGreaterThan(-45);
    expect(speech[speech.length >> 1]).toBeLessThan(-10);
    const room = await loadVoices({ ...plain, roomDbov: -66 });
    const loop = room.silence.loop.map((frame) => frame!.levelDbov);
    expect(loop).toHaveLength(150);
    expect(loop.every((level) => Math.abs(level + 66) <= 2)).toBe(true);
    // SILK, which says of all but a few packets that nobody speaks.
    const voiced = room.silence.loop.filter((frame) => opusVoiceActivity(frame!.payload) !== false);
    expect(voiced.length).toBeLessThan(20);
  });

  it('sends comfort noise where G.711 is silent', async () => {
    const voices = await loadVoices({ ...plain, codec: 'pcmu', dtx: true });
    const sent = packetsOf(castOf({ voices, talkRatio: 0.1 }), 500, { ...caller, payloadType: 0 });
    const noise = sent.filter(({ comfortNoise }) => comfortNoise);
    expect(noise.length).toBeGreaterThan(20);
    expect(noise.every(({ packet }) => packet.payloadType === 13 && packet.payload.length === 1)).toBe(true);
    expect(sent.filter(({ comfortNoise }) => !comfortNoise).every(({ packet }) => packet.payload.length === 160)).toBe(true);
  });

  it('loses packets in bursts, never the first', () => {
    const stream = new Casting(castOf({ lossPercent: 20 })).streamOf(caller);
    const count = 8000;
    const sequences = Array.from(
      { length: count },
      () => (parseRtp({ data: stream.next().rtp, arrivalMs: 0 }) as RtpPacket).sequenceNumber,
    );
    const holes = sequences.slice(1).flatMap((sequence, i) => {
      const missing = step(sequences[i]!, sequence, 2 ** 16) - 1;
      return missing > 0 ? [missing] : [];
    });
    const lost = holes.reduce((sum, missing) => sum + missing, 0);
    expect(lost).toBe(stream.lost);
    expect(lost / (lost + count)).toBeCloseTo(0.2, 1);
    expect(lost / holes.length).toBeGreaterThan(2.5);
    expect(lost / holes.length).toBeLessThan(3.5);
  });

  it('has packets held up, in order, by so long at most', () => {
    const sent = packetsOf(castOf({ jitterMs: 50 }), 2000);
    const lateMs = sent.map(({ atMs }, i) => atMs - i * 20);
    expect(Math.min(...lateMs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...lateMs)).toBeLessThanOrEqual(50);
    expect(Math.max(...lateMs)).toBeGreaterThan(45);
    expect(sent.every(({ atMs }, i) => i === 0 || atMs >= sent[i - 1]!.atMs)).toBe(true);
  });

  it('who takes a seat later takes the turns that come to it', () => {
    const from = 1000;
    const all = packetsOf(castOf(), 3000).map(({ packet }) => packet.payload);
    const late = packetsOf(castOf(), 2000, { ...caller, ssrc: 78, startFrame: from }).map(({ packet }) => packet.payload);
    const firstTurn = late.findIndex((payload) => payload.length > 3);
    expect(late.slice(firstTurn)).toEqual(all.slice(from + firstTurn));
  });
});

describe('what must be heard of a caller', async () => {
  const { manifest } = await loadManifest(shippedModelDir);
  const spec = frontEndSpec(manifest);
  const expected = (cast: Cast, packets: number, heldUp: readonly number[] = []) =>
    expectPoints(new Casting(cast), { caller, packets, heldUp }, cast.voices.codec, spec);

  it('is one number where only the packets decide, and the same each time', async () => {
    const first = await expected(castOf({ talkRatio: 1 }), 1000);
    // 20 s of speech, a window each 240 ms, less the pauses within and between the clips.
    expect(first.least).toBe(first.most);
    expect(first.least).toBeGreaterThan(50);
    expect(first.least).toBeLessThanOrEqual(83);
    expect(await expected(castOf({ talkRatio: 1 }), 1000)).toEqual(first);
    const quiet = await expected(castOf({ talkRatio: 0.2 }), 1000);
    expect(quiet.most).toBeLessThan(first.least / 2);
  });

  it('is little less where packets are late or lost', async () => {
    const clean = (await expected(castOf({ talkRatio: 1 }), 1000)).least;
    expect(await expected(castOf({ talkRatio: 1, jitterMs: 100 }), 1000)).toMatchObject({ least: clean, most: clean });
    const lossy = await expected(castOf({ talkRatio: 1, lossPercent: 10 }), 900);
    expect(lossy.least).toBeGreaterThan(0.8 * clean);
  });

  it('is a range where the clock of the server decides', async () => {
    const held = Array.from({ length: 15 }, (_, i) => 200 + 50 * i);
    const { least, most } = await expected(castOf({ talkRatio: 1 }), 1000, held);
    expect(most).toBe((await expected(castOf({ talkRatio: 1 }), 1000)).most);
    expect(least).toBeLessThan(most);
  });
});
