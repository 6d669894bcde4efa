// Packets that wait for one another: when they may, and that nothing comes of it but time.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { FrontEnd } from '../../../src/pipeline/front-end.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import { PacketGather } from '../../../src/pipeline/packet-gather.ts';
import { parseRtp } from '../../../src/pipeline/rtp.ts';
import type { MediaCounts, PipelineOutput, RtpPacket } from '../../../src/pipeline/types.ts';
import type { RawRtp } from '../../../src/sfu/types.ts';
import { broken, faults, goodPackets, opus, packetMs, spec } from './packets.ts';

const patience = 4000;

function packet(index: number, changes: Partial<RtpPacket> = {}): RtpPacket {
  // Of 20 ms each, and told apart by their second byte.
  const payload = Uint8Array.of(0x48, index);
  const fields = { sequenceNumber: (65_534 + index) % 65_536, timestamp: 960 * index, ssrc: 1, payloadType: 100 };
  return { ...fields, marker: false, payload, arrivalMs: packetMs * index, ...changes };
}

/** A gather that has seen three packets, and what it hands out. */
function following(mostMs?: number) {
  const gather = new PacketGather(opus, mostMs);
  const keep = (one: RtpPacket, samples = patience): boolean => gather.keep(one, samples);
  const take = (): number[] => {
    const taken: number[] = [];
    gather.take(({ payload }) => taken.push(payload[1] ?? NaN));
    return taken;
  };
  for (const index of [0, 1, 2]) keep(packet(index), 0);
  expect(take()).toEqual([0, 1, 2]);
  return { keep, take, clear: () => gather.clear() };
}

describe('PacketGather', () => {
  it('keeps nothing before it knows how packets follow one another', () => {
    const gather = new PacketGather(opus);
    expect([0, 1, 2].map((index) => gather.keep(packet(index), patience))).toEqual([false, false, true]);
  });

  it('keeps up to 100 ms, and hands them out in order', () => {
    const { keep, take } = following();
    expect([3, 4, 5, 6, 7, 8].map((index) => keep(packet(index)))).toEqual([true, true, true, true, true, false]);
    expect(take()).toEqual([3, 4, 5, 6, 7, 8]);
    expect(take()).toEqual([]);
    expect(keep(packet(9))).toBe(true);
  });

  it('keeps nothing with which something is due', () => {
    const { keep, take } = following();
    expect(keep(packet(3), 641)).toBe(true);
    expect(keep(packet(4), 641)).toBe(true);
    expect(keep(packet(5), 641)).toBe(false);
    expect(take()).toEqual([3, 4, 5]);
    expect(keep(packet(6), 320)).toBe(false);
    expect(keep(packet(7), 0)).toBe(false);
  });

  it.each([
    ['out of order', { sequenceNumber: 0 }],
    ['twice there', { sequenceNumber: 1, timestamp: 960 * 3 }],
    ['of another stream', { ssrc: 2 }],
    ['of another type', { payloadType: 13 }],
    ['later than the last ones were', { timestamp: 960 * 4 + 1 }],
    ['before the last', { timestamp: 0 }],
    ['of 60 ms', { payload: Uint8Array.of(0x58, 4) }],
    ['no Opus', { payload: Uint8Array.of(0x4b, 4) }],
  ])('ends with a packet that is %s', (_, changes) => {
    const { keep, take } = following();
    expect(keep(packet(3))).toBe(true);
    expect(keep(packet(4, changes))).toBe(false);
    expect(take()).toEqual([3, 4]);
  });

  it('keeps none where none may wait, and forgets what it is told to', () => {
    expect(following(0).keep(packet(3))).toBe(false);
    const { keep, take, clear } = following();
    keep(packet(3));
    clear();
    expect(take()).toEqual([]);
  });
});

describe('a front end whose packets gather', () => {
  /** What came of the packets, and with which of them. */
  async function run(packets: readonly RawRtp[], mostGatheredMs?: number) {
    const decoder = createDecoder(opus);
    await decoder.ready;
    const track = { callId: 'call', participantId: 'person', trackId: 'track', codec: opus };
    const counts: MediaCounts = createMediaCounts();
    const frontEnd = new FrontEnd({ track, spec, decoder, counts, mostGatheredMs });
    const outputs: { readonly at: number; readonly output: PipelineOutput }[] = [];
    let most = 0;
    const pass = (at: number, work: (emit: (output: PipelineOutput) => void) => void): void => {
      const before = counts.received;
      work((output) => outputs.push({ at, output }));
      most = Math.max(most, counts.received - before);
    };
    for (const [at, raw] of packets.entries()) {
      const parsed = parseRtp(raw);
      if (typeof parsed !== 'string') pass(at, (emit) => frontEnd.process(parsed, emit));
    }
    pass(packets.length, (emit) => frontEnd.flush(emit));
    frontEnd.close();
    const windows = outputs.filter(({ output }) => output.kind === 'window');
    return { outputs: outputs.map(({ output }) => output), windows: windows.map(({ at }) => at), counts, most };
  }

  it('makes the same of good packets, windows no later, and fetches a caller for several at a time', async () => {
    const [gathered, one] = [await run(goodPackets), await run(goodPackets, 0)];
    expect(gathered.outputs).toEqual(one.outputs);
    expect(gathered.windows).toEqual(one.windows);
    expect(gathered.counts).toEqual(one.counts);
    expect(one.windows.length).toBeGreaterThan(10);
    expect(one.most).toBe(1);
    expect(gathered.most).toBeGreaterThanOrEqual(4);
  });

  it('makes the same of packets with any faults, windows 100 ms later at most', async () => {
    await fc.assert(
      fc.asyncProperty(faults, async (list) => {
        const packets = broken(list);
        const [gathered, one] = [await run(packets), await run(packets, 0)];
        expect(gathered.outputs).toEqual(one.outputs);
        expect(gathered.counts).toEqual(one.counts);
        for (const [index, at] of gathered.windows.entries()) {
          expect(at - one.windows[index]!).toBeGreaterThanOrEqual(0);
          expect(at - one.windows[index]!).toBeLessThanOrEqual(100 / packetMs);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('makes windows no later where packets are lost, late, there twice, or no audio', async () => {
    const usual = new Set(['drop', 'late', 'twice', 'wrong-type', 'empty']);
    await fc.assert(
      fc.asyncProperty(faults, async (list) => {
        const packets = broken(list.filter(({ fault: { kind } }) => usual.has(kind)));
        expect((await run(packets)).windows).toEqual((await run(packets, 0)).windows);
      }),
      { numRuns: 40 },
    );
  });

  it('loses nothing of what waits when the packets stop', async () => {
    const decoder = createDecoder(opus);
    await decoder.ready;
    const track = { callId: 'call', participantId: 'person', trackId: 'track', codec: opus };
    const counts = createMediaCounts();
    const frontEnd = new FrontEnd({ track, spec, decoder, counts });
    let sent = 0;
    // Up to where one waits.
    while (counts.received === sent) {
      const parsed = parseRtp(goodPackets[sent]!);
      if (typeof parsed !== 'string') frontEnd.process(parsed, () => {});
      sent += 1;
    }
    expect(sent).toBeLessThan(goodPackets.length);
    frontEnd.pause(() => {});
    expect(counts.received).toBe(sent);
    frontEnd.close();
  });
});
