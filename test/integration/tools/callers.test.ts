// Simulated callers through real mediasoup, taps and the packet side of the pipeline: what they said is heard, where they said it.
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { audioPipeline, type TimedAudio } from '../../../src/pipeline/audio-pipeline.ts';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import type { AudioTap } from '../../../src/sfu/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { startCallers, type Callers, type Said } from '../../../tools/callers/callers.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { Log, plainParticipant, rtpPacket, startServer } from '../sfu/support.ts';

const opus = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** A tap's audio so far, at 16 kHz from the track's first packet, and which of it was made up. */
async function listenTo(tap: AudioTap) {
  const counts = createMediaCounts();
  const decoder = createDecoder(tap.track.codec);
  const samples: number[] = [];
  const concealed: boolean[] = [];
  const pieces: TimedAudio[] = [];
  const grown = new Log<number>();
  await decoder.ready;
  // Every sample is compared, so the room before the first word must not pass for silence.
  tap.rtp$.pipe(audioPipeline({ track: tap.track, decoder, counts, skipSilence: false })).subscribe((piece) => {
    expect(piece.startSample).toBe(samples.length);
    samples.push(...piece.samples);
    concealed.push(...Array<boolean>(piece.samples.length).fill(piece.concealed));
    pieces.push(piece);
    grown.add(samples.length);
  });
  return { counts, samples, concealed, pieces, grown };
}

async function decodeClip(name: string): Promise<Float32Array> {
  const ogg = readOggOpus(readFileSync(join(demoDirectory, name)));
  const decoder = createDecoder(opus);
  await decoder.ready;
  const audio = ogg.packets.flatMap((packet) => [...decoder.decode(packet).samples]);
  decoder.close();
  return Float32Array.from(audio.slice(Math.round(ogg.preSkipSamples48k / 3), Math.round(ogg.granuleEnd48k / 3)));
}

/** Correlation of `clip` with what was heard from `start` on, -1 to 1. */
function likeness(clip: Float32Array, heard: readonly number[], start: number): number {
  let [product, clipEnergy, heardEnergy] = [0, 0, 0];
  clip.forEach((sample, i) => {
    const other = heard[start + i] ?? 0;
    product += sample * other;
    clipEnergy += sample * sample;
    heardEnergy += other * other;
  });
  return product / Math.sqrt(clipEnergy * heardEnergy);
}

describe('simulated callers in a call', () => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let callers: Callers | undefined;

  beforeEach(async () => {
    server = await startServer();
  });

  afterEach(async () => {
    await callers?.stop();
    await server.close();
  });

  it('are heard sample for sample where their log says', async () => {
    const cast = demoCast(readDemoManifest(), 2);
    const specs = await Promise.all(
      cast.map(async ({ participantId, clips }, seed) => {
        const plain = plainParticipant('call', participantId);
        const remote = await server.sfu.addPlainParticipant(plain);
        return { participantId, remote, ssrc: plain.ssrc, payloadType: plain.payloadType, clips, seed };
      }),
    );
    const ears = new Map(
      await Promise.all(
        cast.map(async ({ participantId }) => [participantId, await listenTo((await server.tapOf(participantId)).tap)] as const),
      ),
    );
    const said = new Log<Said>();
    callers = await startCallers({
      callers: specs,
      onSaid: (one) => {
        said.add(one);
      },
    });
    await said.count(3);
    for (const { participantId, clip, startSample, durationSamples } of said.items.slice(0, 3)) {
      const ear = ears.get(participantId);
      if (ear === undefined) throw new Error('Expected an ear');
      await ear.grown.first((length) => length >= startSample + durationSamples);
      const spoken = await decodeClip(clip);
      expect(spoken.length).toBe(durationSamples);
      const likenesses = [-2, -1, 0, 1, 2].map((shift) => likeness(spoken, ear.samples, startSample + shift));
      expect(likenesses[2]).toBeGreaterThan(0.99);
      expect(Math.max(...likenesses)).toBe(likenesses[2]);
    }
    for (const { counts } of ears.values()) {
      expect(counts).toMatchObject({ played: counts.received, lost: 0, decodeErrors: 0, concealedSamples: 0 });
    }
  });

  it('are heard in full time over a bad network: lost, late and unsent media moves nothing, and is marked', async () => {
    const plain = plainParticipant('call', 'ann');
    const remote = await server.sfu.addPlainParticipant(plain);
    const ear = await listenTo((await server.tapOf('ann')).tap);
    const clip = '1050_IWL_FEA_XX.opus';
    const { packets, preSkipSamples48k } = readOggOpus(readFileSync(join(demoDirectory, clip)));
    const spoken = await decodeClip(clip);
    const socket = createSocket('udp4');
    const pauseMs = 700;
    const startedAtMs = Date.now();
    /** Sends the clip once, in real time: every tenth packet is lost, and every seventh overtaken by the next two. */
    const say = async (firstIndex: number, firstTimestamp: number): Promise<void> => {
      const beganMs = Date.now();
      const slots = packets
        .map((payload, i) => ({ payload, i, atMs: i * 20 + (i % 7 === 3 ? 45 : 0) }))
        .filter(({ i }) => i % 10 !== 6)
        .sort((a, b) => a.atMs - b.atMs);
      for (const { payload, i, atMs } of slots) {
        await sleep(Math.max(0, beganMs + atMs - Date.now()));
        const data = rtpPacket(65_500 + firstIndex + i, firstTimestamp + i * 960, plain.ssrc, plain.payloadType, payload);
        socket.send(data, remote.port, remote.ip);
      }
    };
    await say(0, 4_294_000_000);
    await sleep(pauseMs);
    // The sender sent nothing meanwhile: its timestamp goes on, its sequence has no gap.
    await say(packets.length, 4_294_000_000 + packets.length * 960 + pauseMs * 48);
    const secondStart = packets.length * 320 + pauseMs * 16;
    await ear.grown.first((length) => length >= secondStart + (packets.length - 4) * 320);
    socket.close();

    // None, where nothing holds this machine up.
    expect(ear.counts.late).toBeLessThan(packets.length / 100);
    expect(ear.counts.lost).toBeGreaterThan(packets.length / 10);
    // Some may still wait behind the last gap.
    expect(ear.counts.received - ear.counts.played).toBeLessThan(5);
    for (const start of [0, secondStart]) {
      const at = start + Math.round(preSkipSamples48k / 3);
      const likenesses = [-160, 0, 160].map((shift) => likeness(spoken, ear.samples, at + shift));
      expect(likenesses[1]).toBeGreaterThan(0.8);
      expect(Math.max(...likenesses)).toBe(likenesses[1]);
    }
    const share = ear.concealed.slice(0, packets.length * 320).filter(Boolean).length / (packets.length * 320);
    expect(share).toBeGreaterThan(0.03);
    expect(share).toBeLessThan(0.12);
    // The pause is the sender's own silence.
    expect(ear.samples.slice(packets.length * 320 + 1600, secondStart).every((sample) => sample === 0)).toBe(true);
    expect(ear.concealed.slice(packets.length * 320 + 320, secondStart).includes(true)).toBe(false);
    expect(Math.abs((ear.pieces[0]?.startedAtUnixMs ?? 0) - startedAtMs)).toBeLessThan(1000);
  });
});
