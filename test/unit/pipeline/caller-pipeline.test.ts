// One caller's whole front end, given good packets, bad ones, and none at all in time.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { Subject } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { callerPipeline } from '../../../src/pipeline/caller-pipeline.ts';
import type { AudioDecoder } from '../../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import type { PipelineOutput } from '../../../src/pipeline/types.ts';
import type { RawRtp, TrackCodec } from '../../../src/sfu/types.ts';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { createPcmuEncoder } from '../../../tools/evaluate/encoders.ts';
import { broken, fated, faults, featureCount, fieldsOf, goodPackets, opus, packetMs, pcmu, raw, silence, spec, speech } from './packets.ts';

/** A pipeline at work, and all that came of it. */
function open(options: { codec?: TrackCodec; decoder?: AudioDecoder } = {}) {
  const codec = options.codec ?? opus;
  const inner = options.decoder ?? createDecoder(codec);
  let closings = 0;
  const decoder: AudioDecoder = {
    ready: inner.ready,
    decode: (payload) => inner.decode(payload),
    fecSamples: (next) => inner.fecSamples(next),
    recover: (next) => inner.recover(next),
    conceal: (sampleCount) => inner.conceal(sampleCount),
    reset: () => inner.reset(),
    close: () => {
      closings += 1;
      inner.close();
    },
  };
  const counts = createMediaCounts();
  const outputs: PipelineOutput[] = [];
  const state: { error: unknown; completed: boolean } = { error: null, completed: false };
  const packets = new Subject<RawRtp>();
  const track = { callId: 'call', participantId: 'person', trackId: 'track', codec };
  const subscription = packets.pipe(callerPipeline({ track, spec, decoder, counts })).subscribe({
    next: (output) => outputs.push(output),
    error: (error: unknown) => {
      state.error = error;
    },
    complete: () => {
      state.completed = true;
    },
  });
  return { packets, counts, outputs, state, subscription, ready: decoder.ready, closings: () => closings };
}

/** Runs packets through a pipeline to their end. */
async function run(packets: readonly RawRtp[], codec = opus) {
  const pipeline = open({ codec });
  await pipeline.ready;
  for (const packet of packets) pipeline.packets.next(packet);
  pipeline.packets.complete();
  return pipeline;
}

/** What must hold of anything that a pipeline emits, whatever it was fed. */
function expectSound(outputs: readonly PipelineOutput[]): void {
  let endSample = -1;
  let speaking = false;
  let changeSample = -1;
  for (const output of outputs) {
    if (output.kind === 'window') {
      const { window } = output;
      expect(window.endSample).toBeGreaterThan(endSample);
      const heard = window.blocks.filter((block) => block !== null);
      expect(window.blocks).toHaveLength((spec.windowFrames + spec.contextFrames) / spec.hopFrames);
      for (const { features } of heard) {
        expect(features).toHaveLength(spec.hopFrames * featureCount);
        expect(features.every(Number.isFinite)).toBe(true);
      }
      expect(window.speechRatio).toBeGreaterThan(0);
      expect(window.concealedRatio).toBeLessThanOrEqual(1);
      endSample = window.endSample;
    } else {
      const { state, atSample } = output.change;
      expect(state).toBe(speaking ? 'end' : 'start');
      expect(atSample).toBeGreaterThanOrEqual(changeSample);
      speaking = state === 'start';
      changeSample = atSample;
    }
  }
  expect(speaking).toBe(false);
}

describe('a caller who sends what they should', () => {
  it('is heard to speak, in windows, until they stop', async () => {
    const { outputs, counts, state, closings } = await run(goodPackets);
    expect(state).toEqual({ error: null, completed: true });
    // Of the two silences all but the first packet.
    const skippedSamples = (24 + 49) * 320;
    expect(counts).toEqual({ ...createMediaCounts(), received: speech.length, played: speech.length, skippedSamples });
    expectSound(outputs);
    expect(outputs[0]).toMatchObject({ kind: 'speech', change: { state: 'start' } });
    const windows = outputs.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
    expect(windows.length).toBeGreaterThan(5);
    for (const window of windows) {
      expect(window.concealedRatio).toBe(0);
      // Scored as soon as its last packet is there: within the detector's look-ahead of 60 ms and a packet.
      const lastSampleMs = 1000 + window.endSample / 16;
      expect(window.arrivalMs - lastSampleMs).toBeGreaterThan(-packetMs);
      expect(window.arrivalMs - lastSampleMs).toBeLessThanOrEqual(60 + packetMs);
    }
    expect(closings()).toBeGreaterThan(0);
  });

  it('is heard the same as G.711', async () => {
    const samples = await decodeOggOpus(readFileSync('assets/demo/1050_IWL_FEA_XX.opus'));
    const payloads = createPcmuEncoder().encode(samples.slice(0, samples.length - (samples.length % 320)));
    const packets = payloads.map((payload, index) =>
      raw(writeRtp({ sequenceNumber: index, timestamp: index * 160, ssrc: 1, payloadType: 0, payload }), index),
    );
    const { outputs, counts, state } = await run(packets, pcmu);
    expect(state).toEqual({ error: null, completed: true });
    expect(counts).toMatchObject({ received: packets.length, played: packets.length });
    expectSound(outputs);
    expect(outputs.length).toBeGreaterThan(0);
  });
});

describe('a caller who sends anything at all', () => {
  it('never makes the pipeline fail, and each packet meets one fate', async () => {
    await fc.assert(
      fc.asyncProperty(faults, async (list) => {
        const packets = broken(list);
        const { outputs, counts, state, closings } = await run(packets);
        expect(state).toEqual({ error: null, completed: true });
        expect(counts.received).toBe(packets.length);
        expect(fated(counts)).toBe(packets.length);
        expectSound(outputs);
        expect(closings()).toBeGreaterThan(0);
      }),
      { numRuns: 60 },
    );
  });

  it('of nothing but noise yields nothing', async () => {
    const noise = fc.array(
      fc.oneof(
        fc.uint8Array({ maxLength: 11 }),
        fc.uint8Array({ maxLength: 300 }).filter((data) => (data[0] ?? 0) >> 6 !== 2),
      ),
      {
        minLength: 1,
        maxLength: 300,
      },
    );
    await fc.assert(
      fc.asyncProperty(noise, async (list) => {
        const { outputs, counts, state } = await run(list.map(raw));
        expect(state.error).toBeNull();
        expect(outputs).toEqual([]);
        expect(counts).toEqual({ ...createMediaCounts(), received: list.length, malformed: list.length });
      }),
      { numRuns: 30 },
    );
  });

  it('does not change what is heard of another', async () => {
    const alone = await run(goodPackets);
    await fc.assert(
      fc.asyncProperty(faults, async (list) => {
        const [good, bad] = [open(), open()];
        await Promise.all([good.ready, bad.ready]);
        const badPackets = broken(list);
        for (let index = 0; index < Math.max(goodPackets.length, badPackets.length); index += 1) {
          for (const [pipeline, packet] of [
            [bad, badPackets[index]],
            [good, goodPackets[index]],
          ] as const) {
            if (packet !== undefined) pipeline.packets.next(packet);
          }
        }
        bad.packets.complete();
        good.packets.complete();
        expect(good.counts).toEqual(alone.counts);
        expect(good.outputs).toEqual(alone.outputs);
      }),
      { numRuns: 12 },
    );
  });

  it.each([
    [
      'garbage',
      broken([10, 20, 30].map((at) => ({ at, fault: { kind: 'garbage', bytes: Uint8Array.of(1, 2, 3) } }))),
      { malformed: 3, lost: 3 },
    ],
    ['truncated packets', broken([10, 40].map((at) => ({ at, fault: { kind: 'cut', bytes: 9 } }))), { malformed: 2, lost: 2 }],
    ['another payload type', broken([30, 31, 32].map((at) => ({ at, fault: { kind: 'wrong-type' } }))), { ignored: 3, lost: 0 }],
    ['empty packets', broken([30, 31].map((at) => ({ at, fault: { kind: 'empty' } }))), { ignored: 2, lost: 0 }],
    ['packets twice', broken([30, 31].map((at) => ({ at, fault: { kind: 'twice' } }))), { duplicate: 2, lost: 0 }],
    ['packets that never come', broken([30, 60].map((at) => ({ at, fault: { kind: 'drop' } }))), { lost: 2 }],
    ['a new source', broken([{ at: 60, fault: { kind: 'new-ssrc', by: 99 } }]), { lost: 0, ignored: 0 }],
    ['a jump of the sequence', broken([{ at: 60, fault: { kind: 'sequence-jump', by: 20_000 } }]), { lost: 0, ignored: 0 }],
  ] as const)('is counted: %s', async (_what, packets, expected) => {
    const { counts, outputs } = await run(packets);
    expect(counts).toMatchObject({ received: packets.length, ...expected });
    expect(fated(counts)).toBe(packets.length);
    // They are heard all the same.
    expect(outputs.filter(({ kind }) => kind === 'window').length).toBeGreaterThan(5);
    expectSound(outputs);
  });

  it('is concealed where payloads are corrupt, and counted', async () => {
    // Code 3 with no frame in it breaks RFC 6716; what follows cannot be a packet.
    const packets = goodPackets.map((packet, index) =>
      index >= 80 && index < 85 ? raw(writeRtp({ ...fieldsOf(index), payload: Uint8Array.of(0xfb, 0, 1, 2) }), index) : packet,
    );
    const { counts, outputs } = await run(packets);
    expect(counts).toMatchObject({ received: packets.length, played: packets.length, decodeErrors: 5, concealedSamples: 5 * 320 });
    expectSound(outputs);
    const windows = outputs.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
    expect(windows.some(({ concealedRatio }) => concealedRatio > 0)).toBe(true);
  });

  it('may be silent for ten seconds (DTX), and goes on where the clock says', async () => {
    const gapPackets = 500;
    const turnPackets = speech.length + gapPackets;
    const turns = [0, 1, 2].flatMap((turn) =>
      speech.map((_, index) => {
        const { sequenceNumber, timestamp, ...fields } = fieldsOf(index);
        const at = { sequenceNumber: sequenceNumber + turn * speech.length, timestamp: timestamp + turn * turnPackets * 960 };
        return raw(writeRtp({ ...fields, ...at }), index + turn * turnPackets);
      }),
    );
    const { counts, outputs } = await run(turns);
    const skippedSamples = (24 + 2 * 74 + 49) * 320;
    expect(counts).toEqual({ ...createMediaCounts(), received: turns.length, played: turns.length, skippedSamples });
    expectSound(outputs);
    const starts = outputs.flatMap((output) =>
      output.kind === 'speech' && output.change.state === 'start' ? [output.change.atSample] : [],
    );
    const onsets = [1, 2].map((turn) => {
      const turnSample = turn * turnPackets * 320;
      return (starts.find((sample) => sample >= turnSample) ?? NaN) - turnSample;
    });
    // The same words, so the same onset, to a frame of 25 ms. In the first turn the room is not known yet.
    expect(Math.abs((onsets[0] ?? NaN) - (onsets[1] ?? NaN))).toBeLessThanOrEqual(400);
  });
});

describe('the decoder', () => {
  it('is closed when the caller is given up in the middle, and nothing is said afterwards', async () => {
    const { packets, outputs, subscription, ready, closings } = open();
    await ready;
    for (const packet of goodPackets.slice(0, 100)) packets.next(packet);
    const said = outputs.length;
    expect(said).toBeGreaterThan(0);
    subscription.unsubscribe();
    expect(closings()).toBeGreaterThan(0);
    for (const packet of goodPackets.slice(100)) packets.next(packet);
    expect(outputs).toHaveLength(said);
    expect(packets.observed).toBe(false);
  });

  it('is closed when it cannot be made, and the caller fails with its reason', async () => {
    const failure = new Error('no decoder');
    const decoder = { ...createDecoder(pcmu), ready: Promise.reject(failure) };
    const { packets, state, closings } = open({ decoder });
    packets.next(goodPackets[0] ?? raw(silence, 0));
    await expect(decoder.ready).rejects.toBe(failure);
    expect(state).toEqual({ error: failure, completed: false });
    expect(closings()).toBeGreaterThan(0);
    expect(packets.observed).toBe(false);
  });
});

describe('packets that come before the decoder is ready', () => {
  const pcmuPacket = (index: number): RawRtp =>
    raw(
      writeRtp({ sequenceNumber: index, timestamp: index * 160, ssrc: 1, payloadType: 0, payload: new Uint8Array(160).fill(0x10) }),
      index,
    );

  /** A pipeline whose decoder becomes ready when it is told. */
  function openLate() {
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const decoded: number[] = [];
    const inner = createDecoder(pcmu);
    const decoder: AudioDecoder = {
      ...inner,
      ready: promise,
      decode: (payload) => {
        decoded.push(payload.length);
        return inner.decode(payload);
      },
    };
    return { ...open({ codec: pcmu, decoder }), decoded, makeReady: () => resolve(undefined) };
  }

  it('wait, and are then decoded before those that come later', async () => {
    const { packets, counts, decoded, ready, makeReady } = openLate();
    for (let index = 0; index < 10; index += 1) packets.next(pcmuPacket(index));
    expect(decoded).toEqual([]);
    makeReady();
    await ready;
    expect(decoded).toHaveLength(10);
    packets.next(pcmuPacket(10));
    expect(counts).toEqual({ ...createMediaCounts(), received: 11, played: 11 });
  });

  it('are held to a bound: the newest 32, and the rest is counted', async () => {
    const { packets, counts, decoded, ready, makeReady } = openLate();
    for (let index = 0; index < 100; index += 1) packets.next(pcmuPacket(index));
    expect(counts).toMatchObject({ received: 68, overflow: 68 });
    makeReady();
    await ready;
    expect(decoded).toHaveLength(32);
    expect(counts).toEqual({ ...createMediaCounts(), received: 100, overflow: 68, played: 32 });
  });

  it('are still decoded where the caller is gone by then', async () => {
    const { packets, counts, state, ready, makeReady, closings } = openLate();
    for (let index = 0; index < 5; index += 1) packets.next(pcmuPacket(index));
    packets.complete();
    expect(state.completed).toBe(false);
    makeReady();
    await ready;
    expect(counts).toMatchObject({ received: 5, played: 5 });
    expect(state).toEqual({ error: null, completed: true });
    expect(closings()).toBeGreaterThan(0);
  });

  it('are forgotten where consent ended meanwhile', async () => {
    const { packets, decoded, subscription, ready, makeReady, closings } = openLate();
    packets.next(pcmuPacket(0));
    subscription.unsubscribe();
    expect(closings()).toBeGreaterThan(0);
    makeReady();
    await ready;
    expect(decoded).toEqual([]);
  });
});
