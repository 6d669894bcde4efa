// An hour of a call over a bad network: where each packet is placed, against when it was said.
import { describe, expect, it } from 'vitest';
import { JitterBuffer } from '../../../src/pipeline/jitter-buffer.ts';
import { MediaClock } from '../../../src/pipeline/media-clock.ts';
import type { PlayoutItem, RtpPacket } from '../../../src/pipeline/types.ts';
import { createRandom } from '../../../tools/callers/random.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const hourMs = 3_600_000;
const openedMs = 1_700_000_000_000;
/** The least time that a packet is under way; no one can tell it from the packets. */
const transitMs = 15;

interface Sent {
  readonly packet: RtpPacket;
  /** When its first sample was said: by the sender's media clock, samples, and by the wall, ms after the call opened. */
  readonly saidSample: number;
  readonly saidMs: number;
}

/**
 * Packets of 20 ms in order of arrival: 10 % lost in bursts of 2, delays of 10 ms on average and 3 % of packets that are overtaken by
 * up to 60 ms more, the sender's clock off by `ppm`, pauses of DTX, and a new SSRC with other counters twice.
 */
function badHour(seed: number, ppm: number): Sent[] {
  const random = createRandom(seed);
  const sent: Sent[] = [];
  const rate = 1 + ppm / 1e6;
  let [sequence, ssrc, timestampAt0] = [65_000, 1, 4_294_000_000];
  let losing = false;
  let speakUntil = 0;
  for (let sample = 0, n = 0; ; sample += 320, n += 1) {
    // Ten seconds of speech, then up to ten of silence in which nothing is sent.
    if (sample >= speakUntil) {
      sample += Math.floor(random() * 500) * 320;
      speakUntil = sample + 500 * 320;
    }
    const saidMs = sample / 16 / rate;
    if (saidMs >= hourMs) break;
    if (ssrc < 1 + Math.floor(saidMs / (hourMs / 3))) {
      ssrc += 1;
      sequence = Math.floor(random() * 65_536);
      timestampAt0 = Math.floor(random() * 2 ** 32);
    }
    sequence = (sequence + 1) % 65_536;
    losing = losing ? random() < 0.5 : random() < 0.055;
    if (losing && n > 0) continue;
    // Queues make most packets a little late and a few of them much.
    const delayMs = transitMs - 10 * Math.log(1 - random()) + (random() < 0.03 ? 60 * random() : 0);
    const packet = {
      ...{ sequenceNumber: sequence, timestamp: (timestampAt0 + sample * 3) % 2 ** 32, ssrc, payloadType: 100, marker: false },
      // Its first byte says 20 ms, the others which packet it is.
      payload: Uint8Array.of(9 << 3, n >> 16, (n >> 8) & 255, n & 255),
      arrivalMs: openedMs + saidMs + delayMs,
    };
    sent.push({ packet, saidSample: sample, saidMs });
  }
  return sent.sort((a, b) => a.packet.arrivalMs - b.packet.arrivalMs);
}

const numberOf = ([, high = 0, middle = 0, low = 0]: Uint8Array): number => (high << 16) | (middle << 8) | low;

describe('an hour of 10 % loss, reordering, DTX, clock drift and two changes of SSRC', () => {
  it.each([
    [1, 100],
    [2, -100],
    [3, 0],
    [4, 100],
  ])('moves nothing by more than a frame of 10 ms (seed %i, %i ppm)', (seed, ppm) => {
    const sent = badHour(seed, ppm);
    const byNumber = new Map(sent.map((one) => [numberOf(one.packet.payload), one]));
    const clock = new MediaClock();
    const buffer = new JitterBuffer({ codec, clock });
    const first = sent[0];
    let nextSample = 0;
    let [worstSamples, worstMs, lostSamples] = [0, 0, 0];
    const take = (item: PlayoutItem): void => {
      expect(item.startSample).toBe(nextSample);
      nextSample += item.sampleCount;
      if (item.kind === 'lost') lostSamples += item.sampleCount;
      if (item.kind !== 'packet') return;
      const truth = byNumber.get(numberOf(item.payload));
      if (truth === undefined || first === undefined) throw new Error('Expected a packet that was sent');
      worstSamples = Math.max(worstSamples, Math.abs(item.startSample - (truth.saidSample - first.saidSample)));
      // As the timeline does: from the first event on, events lie where the clock says at their time.
      worstMs = Math.max(worstMs, Math.abs(clock.wallMsOf(item.startSample) - (openedMs + transitMs + truth.saidMs)));
    };
    // The first event comes no sooner than the first words are heard.
    const deaf = 50;
    sent.slice(0, deaf).forEach(({ packet }) => {
      buffer.process(packet, (item) => (nextSample = item.startSample + item.sampleCount));
    });
    for (const { packet } of sent.slice(deaf)) buffer.process(packet, take);
    buffer.flush(take);

    const { counts } = buffer;
    expect(counts.received).toBe(sent.length);
    expect(counts.received).toBe(counts.played + counts.late + counts.duplicate + counts.ignored);
    // Hardly any came too late, after the first of them had been learned from.
    expect(counts.late).toBeLessThan(0.01 * sent.length);
    expect(counts.lost).toBeGreaterThan(0.08 * sent.length);
    expect(lostSamples).toBeGreaterThan(0.08 * 320 * sent.length);
    expect(worstSamples).toBeLessThanOrEqual(160);
    expect(worstMs).toBeLessThanOrEqual(10);
    const last = sent.reduce((latest, one) => (one.saidSample > latest.saidSample ? one : latest));
    expect(Math.abs(nextSample - (last.saidSample + 320 - (first?.saidSample ?? 0)))).toBeLessThanOrEqual(160);
  });
});
