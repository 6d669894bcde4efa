import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JitterBuffer, type JitterBufferOptions } from '../../../src/pipeline/jitter-buffer.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import type { MediaCounts, PlayoutItem, RtpPacket } from '../../../src/pipeline/types.ts';

const opus = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const pcmu = { mimeType: 'audio/PCMU', clockRateHz: 8000, channels: 1, payloadType: 0 };
const packetSamples = 320;
const firstSequence = 65_530;
const firstTimestamp = 2 ** 32 - 2000;

/** The n-th packet of a sender of 20 ms packets whose counters wrap soon; its payload holds n. */
function packet(n: number, fields: Partial<RtpPacket> = {}): RtpPacket {
  return {
    sequenceNumber: (firstSequence + n) % 2 ** 16,
    timestamp: (firstTimestamp + n * 960) % 2 ** 32,
    ssrc: 1,
    payloadType: 100,
    marker: false,
    payload: Uint8Array.of(9 << 3, n >> 8, n & 255),
    arrivalMs: 1_000_000 + n * 20,
    ...fields,
  };
}

/** A delay that does not adapt. */
const fixed = (delayMs: number) => ({ minDelayMs: delayMs, maxDelayMs: delayMs });

/** Runs packets through a buffer. Items are written as `kind[start,length)`, packets with their n: `3[960,320)`. */
function play(packets: readonly RtpPacket[], options: Partial<JitterBufferOptions> = {}, flush = true) {
  const buffer = new JitterBuffer({ codec: opus, playoutDelay: fixed(60), ...options });
  const items: PlayoutItem[] = [];
  const emittedAt: number[] = [];
  for (const one of packets) {
    buffer.process(one, (item) => items.push(item));
    emittedAt.push(items.length);
  }
  if (flush) buffer.flush((item) => items.push(item));
  expectContiguous(items);
  expectConserved(buffer);
  return { items, emittedAt, counts: buffer.counts, buffer, text: items.map(describeItem).join(' ') };
}

function describeItem(item: PlayoutItem): string {
  const name = item.kind === 'packet' ? String(numberOf(item.payload)) : item.kind;
  return `${name}[${String(item.startSample)},${String(item.sampleCount)})`;
}

function numberOf(payload: Uint8Array): number {
  return ((payload[1] ?? 0) << 8) | (payload[2] ?? 0);
}

function expectContiguous(items: readonly PlayoutItem[]): void {
  let at = 0;
  for (const item of items) {
    expect(item.startSample).toBe(at);
    expect(item.sampleCount).toBeGreaterThan(0);
    expect(Number.isSafeInteger(item.sampleCount)).toBe(true);
    at += item.sampleCount;
  }
}

function expectConserved({ counts, heldPackets }: JitterBuffer): void {
  expect(counts.received).toBe(counts.played + counts.late + counts.duplicate + counts.ignored + counts.overflow + heldPackets);
}

const some = (counts: Partial<MediaCounts>): MediaCounts => ({ ...createMediaCounts(), ...counts });

describe('JitterBuffer', () => {
  it('passes packets in order on at once, through the wrap of both counters', () => {
    const { items, emittedAt, counts } = play(Array.from({ length: 20 }, (_, n) => packet(n)));
    expect(emittedAt).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(items[10]).toEqual({ kind: 'packet', startSample: 3200, sampleCount: 320, arrivalMs: 1_000_200, payload: packet(10).payload });
    expect(counts).toEqual(some({ received: 20, played: 20 }));
  });

  it('puts packets in order that overtook each other', () => {
    const { text, counts } = play([packet(0), packet(2, { arrivalMs: 1_000_021 }), packet(1, { arrivalMs: 1_000_022 }), packet(3)]);
    expect(text).toBe('0[0,320) 1[320,320) 2[640,320) 3[960,320)');
    expect(counts).toEqual(some({ received: 4, played: 4 }));
  });

  it('holds packets behind a gap and gives it up after the playout delay, as later packets tell', () => {
    const { emittedAt, text, counts } = play([packet(0), packet(2), packet(3), packet(4), packet(5)]);
    // Packet 2 came at 40 ms; packet 5, at 100 ms, is the first to come 60 ms later.
    expect(emittedAt).toEqual([1, 1, 1, 1, 6]);
    expect(text).toBe('0[0,320) lost[320,320) 2[640,320) 3[960,320) 4[1280,320) 5[1600,320)');
    expect(counts).toEqual(some({ received: 5, played: 5, lost: 1 }));
  });

  it('waits as long as it is told to', () => {
    expect(play([packet(0), packet(2), packet(3)], { playoutDelay: fixed(20) }).emittedAt).toEqual([1, 1, 4]);
    expect(play([packet(0), packet(2), packet(3)], { playoutDelay: fixed(0) }).emittedAt).toEqual([1, 3, 4]);
  });

  it('gives a gap up when it holds maxPackets, or media of the longest delay, however fast they come', () => {
    const burst = [packet(0), ...Array.from({ length: 12 }, (_, n) => packet(n + 2, { arrivalMs: 1_000_040 }))];
    expect(play(burst, { maxPackets: 4 }).emittedAt.slice(0, 6)).toEqual([1, 1, 1, 1, 6, 7]);
    // 200 ms lie between packets 2 and 12, the eleventh of those held.
    expect(play(burst, { playoutDelay: fixed(200) }).emittedAt.slice(9, 13)).toEqual([1, 1, 13, 14]);
  });

  it('emits at the end what it holds, with the losses between', () => {
    const { text, counts } = play([packet(0), packet(2), packet(4)]);
    expect(text).toBe('0[0,320) lost[320,320) 2[640,320) lost[960,320) 4[1280,320)');
    expect(counts).toEqual(some({ received: 3, played: 3, lost: 2 }));
  });

  it('counts duplicates, played or held, and packets that come after their gap was given up', () => {
    const { text, counts, buffer } = play([packet(0), packet(0), packet(2), packet(2), packet(6), packet(1, { arrivalMs: 1_000_200 })]);
    expect(text).toBe('0[0,320) lost[320,320) 2[640,320) lost[960,960) 6[1920,320)');
    expect(counts).toEqual(some({ received: 6, played: 3, duplicate: 2, late: 1, lost: 3 }));
    expect(buffer.heldPackets).toBe(0);
  });

  it('holds no packet after close', () => {
    const { buffer } = play([packet(0), packet(2)], {}, false);
    expect(buffer.heldPackets).toBe(1);
    buffer.close();
    buffer.close();
    expect(buffer.heldPackets).toBe(0);
  });

  it('takes a timestamp that runs on without a gap in the sequence for silence that was not sent', () => {
    const later = (n: number, byMs: number): RtpPacket =>
      packet(n, { timestamp: (firstTimestamp + n * 960 + byMs * 48) % 2 ** 32, arrivalMs: 1_000_000 + n * 20 + byMs });
    expect(play([packet(0), later(1, 400), later(2, 400)]).text).toBe('0[0,320) dtx[320,6400) 1[6720,320) 2[7040,320)');
    const hour = play([packet(0), later(1, 3_600_000)]);
    expect(hour.text).toBe('0[0,320) dtx[320,57600000) 1[57600320,320)');
    expect(hour.counts).toEqual(some({ received: 2, played: 2 }));
  });

  it('takes for lost no more than the missing packets can have held', () => {
    const late = packet(3, { timestamp: (firstTimestamp + 100 * 960) % 2 ** 32, arrivalMs: 1_002_000 });
    expect(play([packet(0), late]).text).toBe('0[0,320) lost[320,640) dtx[960,31040) 3[32000,320)');
  });

  it('lets other payload types and empty payloads keep their place in the sequence, and no more', () => {
    const { text, counts } = play([
      packet(0),
      packet(1, { payloadType: 13 }),
      packet(2, { payload: new Uint8Array() }),
      packet(2, { payloadType: 13 }),
      packet(3),
    ]);
    expect(text).toBe('0[0,320) dtx[320,640) 3[960,320)');
    expect(counts).toEqual(some({ received: 5, played: 2, ignored: 3 }));
  });

  it('begins with the first packet that is audio', () => {
    expect(play([packet(0, { payloadType: 13 }), packet(1), packet(0)]).text).toBe('1[0,320)');
  });

  it('keeps a packet of damaged framing as long as the one before it, for the decoder to conceal', () => {
    const { text } = play([packet(0), packet(1, { payload: Uint8Array.of(3, 0, 1) }), packet(2)]);
    expect(text).toBe('0[0,320) 1[320,320) 2[640,320)');
  });

  it('moves nothing when a packet claims to be longer than it was: the next one keeps its place in time', () => {
    // 60 ms by its first byte, 20 ms by the timestamps around it.
    const { text, counts } = play([packet(0), packet(1, { payload: Uint8Array.of(11 << 3, 0, 1) }), packet(2), packet(3), packet(4)]);
    expect(text).toBe('0[0,320) 1[320,960) 4[1280,320)');
    expect(counts).toEqual(some({ received: 5, played: 3, late: 2 }));
  });

  it('plays the end of a packet that overlaps the one before', () => {
    const overlapping = packet(1, { timestamp: (firstTimestamp + 480) % 2 ** 32 });
    expect(play([packet(0), overlapping]).text).toBe('0[0,320) 1[320,160)');
  });

  it('reckons G.711 by the length of its payload, at its own clock rate', () => {
    const g711 = (n: number): RtpPacket =>
      packet(n, { payloadType: 0, timestamp: 1000 + n * 160, payload: Uint8Array.of(0, 0, n, ...new Uint8Array(157)) });
    expect(play([g711(0), g711(1), g711(3)], { codec: pcmu }).text).toBe('0[0,320) 1[320,320) lost[640,320) 3[960,320)');
  });

  describe('when the stream changes', () => {
    const other = (n: number, arrivalMs: number): RtpPacket =>
      packet(n, { ssrc: 2, sequenceNumber: 20_000 + n, timestamp: 777_777 + n * 960, arrivalMs });

    it('follows another SSRC without a gap where it goes straight on', () => {
      const { text, counts } = play([packet(0), packet(1), other(2, 1_000_045), other(3, 1_000_065), other(4, 1_000_085)]);
      expect(text).toBe('0[0,320) 1[320,320) 2[640,320) 3[960,320) 4[1280,320)');
      expect(counts).toEqual(some({ received: 5, played: 5 }));
    });

    it('goes on by the time between arrivals where it comes later', () => {
      const { text } = play([packet(0), packet(1), other(2, 1_005_020), other(3, 1_005_040)]);
      expect(text).toBe('0[0,320) 1[320,320) dtx[640,79680) 2[80320,320) 3[80640,320)');
    });

    it('starts the new stream in order if its first two packets overtook each other', () => {
      expect(play([packet(0), other(2, 1_000_020), other(1, 1_000_021), other(3, 1_000_040)]).text).toBe(
        '0[0,320) 1[320,320) 2[640,320) 3[960,320)',
      );
    });

    it('ignores strays of another SSRC', () => {
      const stray = (ssrc: number) => packet(500, { ssrc, arrivalMs: 1_000_010 });
      const { text, counts } = play([packet(0), stray(7), packet(1), stray(8), packet(2), stray(8)]);
      expect(text).toBe('0[0,320) 1[320,320) 2[640,320)');
      expect(counts).toEqual(some({ received: 6, played: 3, ignored: 2, duplicate: 1 }));
    });

    it('emits what the old stream held before the new one begins', () => {
      expect(play([packet(0), packet(2), other(3, 1_000_060), other(4, 1_000_080)]).text).toBe(
        '0[0,320) lost[320,320) 2[640,320) 3[960,320) 4[1280,320)',
      );
    });

    it('follows a sequence that jumps, by its timestamps if they agree with the arrivals', () => {
      const jumped = (n: number, ticks: number): RtpPacket =>
        packet(n, { sequenceNumber: 20_000 + n, timestamp: (firstTimestamp + n * 960 + ticks) % 2 ** 32, arrivalMs: 1_000_005 + n * 20 });
      expect(play([packet(0), jumped(100, 0), jumped(101, 0)]).text).toBe('0[0,320) dtx[320,31680) 100[32000,320) 101[32320,320)');
      // Another clock too: 100 packets' time, and the 5 ms by which the arrival was later.
      expect(play([packet(0), jumped(100, 1e9), jumped(101, 1e9)]).text).toBe('0[0,320) dtx[320,31760) 100[32080,320) 101[32400,320)');
    });

    it('ignores one packet whose sequence number is far off', () => {
      const { text, counts } = play([packet(0), packet(1, { sequenceNumber: 30_000 }), packet(1), packet(2)]);
      expect(text).toBe('0[0,320) 1[320,320) 2[640,320)');
      expect(counts).toEqual(some({ received: 4, played: 3, ignored: 1 }));
    });

    it.each([
      ['back', -48_000],
      ['forward far beyond the time that passed', 48_000 * 60],
    ])('does not follow a timestamp that jumps %s', (_name, ticks) => {
      const jumped = (n: number): RtpPacket => packet(n, { timestamp: (firstTimestamp + 2 ** 32 + n * 960 + ticks) % 2 ** 32 });
      expect(play([packet(0), packet(1), jumped(2), jumped(3), jumped(4)]).text).toBe(
        '0[0,320) 1[320,320) 2[640,320) 3[960,320) 4[1280,320)',
      );
    });
  });

  describe('whatever the network does', () => {
    const fate = fc.record({
      lost: fc.boolean(),
      copies: fc.integer({ min: 1, max: 3 }),
      delayMs: fc.nat(400),
      pauseMs: fc.constantFrom(0, 0, 0, 0, 400, 3000),
    });

    /** Packets with pauses of the sender, lost, repeated and delayed as given, in order of arrival. */
    function send(fates: readonly { lost: boolean; copies: number; delayMs: number; pauseMs: number }[]) {
      let mediaMs = 0;
      const sent = fates.flatMap(({ lost, copies, delayMs, pauseMs }, n) => {
        mediaMs += pauseMs + 20;
        const made = packet(n, { timestamp: (firstTimestamp + mediaMs * 48) % 2 ** 32, arrivalMs: 1_000_000 + mediaMs + delayMs });
        return lost ? [] : Array.from({ length: copies }, (_, copy) => ({ ...made, arrivalMs: made.arrivalMs + copy * delayMs }));
      });
      return sent.sort((a, b) => a.arrivalMs - b.arrivalMs);
    }

    it('emits rising, contiguous spans, each packet once at its own time, and accounts for every packet', () => {
      fc.assert(
        fc.property(fc.array(fate, { maxLength: 150 }), fc.integer({ min: 1, max: 64 }), fc.nat(200), (fates, maxPackets, delayMs) => {
          const packets = send(fates);
          const { items, counts, buffer } = play(packets, { maxPackets, playoutDelay: fixed(delayMs) });
          expect(buffer.heldPackets).toBe(0);
          const played = items.flatMap((item) => (item.kind === 'packet' ? [{ n: numberOf(item.payload), item }] : []));
          expect(played.map(({ n }) => n)).toEqual([...new Set(played.map(({ n }) => n))].sort((a, b) => a - b));
          expect(counts.played).toBe(played.length);
          // Lost are the sequence numbers that never came, in time or late, between the first and the last that did.
          const came = new Set(packets.map(({ payload }) => numberOf(payload)));
          const from = numberOf(packets[0]?.payload ?? new Uint8Array());
          const missing = fates.filter((_, n) => n > from && n < Math.max(...came) && !came.has(n));
          expect(counts.lost).toBe(missing.length);
          const first = packets[0];
          for (const { n, item } of played) {
            const sent = packets.find(({ payload }) => numberOf(payload) === n);
            const ticks = ((sent?.timestamp ?? 0) - (first?.timestamp ?? 0) + 2 ** 32) % 2 ** 32;
            expect(item.startSample).toBe(ticks / 3);
            expect(item.sampleCount).toBe(packetSamples);
          }
        }),
        { numRuns: 200 },
      );
    });

    it('loses nothing that comes within the playout delay, and says of everything else that it is lost', () => {
      const timely = fate.map(({ lost, copies, delayMs, pauseMs }) => ({ lost, copies, delayMs: delayMs % 50, pauseMs }));
      fc.assert(
        fc.property(fc.array(timely, { maxLength: 150 }), (fates) => {
          const packets = send(fates);
          const { counts, items } = play(packets);
          const sent = new Set(packets.map(({ payload }) => numberOf(payload)));
          const firstSent = packets.length === 0 ? 0 : numberOf(packets[0]?.payload ?? new Uint8Array());
          const expected = [...sent].filter((n) => n >= firstSent);
          expect(counts.played).toBe(expected.length);
          expect(counts.lost).toBe(expected.length === 0 ? 0 : Math.max(...expected) - firstSent + 1 - expected.length);
          const lostSamples = items.filter(({ kind }) => kind === 'lost').reduce((sum, { sampleCount }) => sum + sampleCount, 0);
          expect(lostSamples).toBeLessThanOrEqual(counts.lost * packetSamples);
        }),
        { numRuns: 200 },
      );
    });

    it('survives packets that make no sense together', () => {
      const wild = fc.record({
        sequenceNumber: fc.oneof(fc.integer({ min: 0, max: 65_535 }), fc.integer({ min: 100, max: 110 })),
        timestamp: fc.oneof(
          fc.integer({ min: 0, max: 2 ** 32 - 1 }),
          fc.integer({ min: 0, max: 20 }).map((n) => n * 960),
        ),
        ssrc: fc.constantFrom(1, 1, 1, 2, 3),
        payloadType: fc.constantFrom(100, 100, 100, 13),
        payload: fc.uint8Array({ maxLength: 6 }),
        arrivalMs: fc.integer({ min: 0, max: 20_000 }),
        marker: fc.boolean(),
      });
      fc.assert(
        fc.property(fc.array(wild, { maxLength: 100 }), (packets) => {
          const { buffer } = play(packets);
          expect(buffer.heldPackets).toBe(0);
        }),
        { numRuns: 300 },
      );
    });
  });
});
