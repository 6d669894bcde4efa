// Simulated callers through real mediasoup, taps and the packet side of the pipeline: what they said is heard, where they said it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { Decoder } from '../../../src/pipeline/decoder.ts';
import { JitterBuffer } from '../../../src/pipeline/jitter-buffer.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import { parseRtp } from '../../../src/pipeline/rtp.ts';
import type { AudioTap } from '../../../src/sfu/types.ts';
import { readOggOpus } from '../../../tools/audio/ogg-opus.ts';
import { startCallers, type Callers, type Said } from '../../../tools/callers/callers.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { Log, plainParticipant, startServer } from '../sfu/support.ts';

const opus = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** A tap's audio so far, at 16 kHz from the track's first packet. */
async function listenTo(tap: AudioTap) {
  const counts = createMediaCounts();
  const audioDecoder = createDecoder(tap.track.codec);
  const samples: number[] = [];
  const grown = new Log<number>();
  await audioDecoder.ready;
  const buffer = new JitterBuffer({ codec: tap.track.codec, counts });
  const decoder = new Decoder({ decoder: audioDecoder, counts });
  tap.rtp$.subscribe({
    next: (raw) => {
      const packet = parseRtp(raw);
      if (typeof packet === 'string') throw new Error(`Expected RTP, got ${packet}`);
      buffer.process(packet, (item) => {
        decoder.process(item, (chunk) => samples.push(...chunk.samples));
      });
      grown.add(samples.length);
    },
    complete: () => {
      decoder.close();
    },
  });
  return { counts, samples, grown };
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
});
