// The gate by itself, and what a quiet caller costs and loses behind it, on real speech.
import fc from 'fast-check';
import { Application, createEncoder } from 'libopus-wasm';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../src/pipeline/codec.ts';
import { FrontEnd } from '../../../src/pipeline/front-end.ts';
import { createMediaCounts } from '../../../src/pipeline/media-counts.ts';
import { isOpusDigitalSilence } from '../../../src/pipeline/opus-packet.ts';
import { Pace } from '../../../src/pipeline/pace.ts';
import { SilenceGate } from '../../../src/pipeline/silence-gate.ts';
import type { PlayoutItem, RtpPacket } from '../../../src/pipeline/types.ts';
import type { TrackCodec } from '../../../src/sfu/types.ts';
import { codecs } from '../../../tools/analyse/media.ts';
import { quietCaller, quietSound, silenceSigns, spokenFrames } from '../../../tools/bench/quiet-caller.ts';
import { shippedModel } from '../../../tools/bench/speech.ts';

/** A packet of CELT that holds sound, and its digital silence. */
const celt = Uint8Array.of(0xf8, 0x7b, 0x42);
const zeros = Uint8Array.of(0xf8, 0xff, 0xfe);

type Part =
  | { readonly waiting: boolean }
  | { readonly dbov: number }
  | { readonly payload: Uint8Array }
  | { readonly lost: number }
  | { readonly dtx: number };

/** Runs spans of 20 ms, or as many samples as given, through a gate. */
function run(parts: readonly Part[], codec: (typeof codecs)['opus' | 'pcmu'] = codecs.opus, flush = true, skipSilence = true) {
  const counts = createMediaCounts();
  const pace = new Pace();
  const gate = new SilenceGate({ codec, counts, skipSilence, pace });
  const items: PlayoutItem[] = [];
  const emittedAt: number[] = [];
  let startSample = 0;
  parts.forEach((part, n) => {
    if ('waiting' in part) {
      pace.waiting = part.waiting;
      return;
    }
    const sampleCount = 'lost' in part ? part.lost : 'dtx' in part ? part.dtx : 320;
    const span = { startSample, sampleCount, arrivalMs: n * 20 };
    startSample += sampleCount;
    const item: PlayoutItem =
      'lost' in part
        ? { kind: 'lost', ...span }
        : 'dtx' in part
          ? { kind: 'dtx', ...span }
          : 'payload' in part
            ? { kind: 'packet', ...span, payload: part.payload }
            : { kind: 'packet', ...span, payload: celt, audioLevelDbov: part.dbov };
    gate.process(item, (out) => items.push(out));
    emittedAt.push(inUnits(items).length);
  });
  if (flush) gate.flush((out) => items.push(out));
  let at = 0;
  for (const item of items) {
    expect(item.startSample).toBe(at);
    at += item.sampleCount;
  }
  if (flush) expect(at).toBe(startSample);
  return { items, emittedAt, counts, kinds: inUnits(items).map(({ kind }) => kind) };
}

const times = <T>(count: number, part: T): T[] => Array<T>(count).fill(part);
/** Silence comes in pieces of any length: as many of 20 ms. */
const inUnits = (items: readonly PlayoutItem[]): PlayoutItem[] =>
  items.flatMap((item) => (item.kind === 'dtx' && item.sampleCount % 320 === 0 ? times(item.sampleCount / 320, item) : [item]));
const kindsOf = (items: readonly PlayoutItem[]) =>
  inUnits(items).map((item) => (item.kind === 'packet' && item.warmUp === true ? 'warm' : item.kind));

describe('SilenceGate', () => {
  it.each([true, false])(
    'passes silence on of who waits, whatever they say, and then the last 200 ms of it (silence skipped: %s)',
    (skipSilence) => {
      const loud = { dbov: -20 };
      const parts = [...times(5, loud), { waiting: true }, ...times(60, loud), { lost: 320 }, { dtx: 320 }, ...times(20, loud)];
      const { items, counts } = run([...parts, { waiting: false }, ...times(3, loud)], codecs.opus, true, skipSilence);
      expect(kindsOf(items)).toEqual([...times(5, 'packet'), ...times(72, 'dtx'), ...times(2, 'warm'), ...times(11, 'packet')]);
      expect(counts).toEqual({ ...createMediaCounts(), skippedSamples: 70 * 320 });
    },
  );

  it('sleeps on after a wait where there is silence, unless silence is not skipped', () => {
    const parts = [{ waiting: true }, ...times(20, { dbov: -80 }), { waiting: false }, ...times(20, { dbov: -80 })];
    expect(run(parts).kinds).toEqual(times(40, 'dtx'));
    const { items } = run(parts, codecs.opus, true, false);
    expect(kindsOf(items)).toEqual([...times(10, 'dtx'), ...times(2, 'warm'), ...times(28, 'packet')]);
  });

  it('passes everything on until 0.6 s of silence by level, and silence from then on', () => {
    const { kinds, counts } = run([...times(10, { dbov: -30 }), ...times(100, { dbov: -80 })]);
    expect(kinds).toEqual([...times(40, 'packet'), ...times(70, 'dtx')]);
    expect(counts).toEqual({ ...createMediaCounts(), skippedSamples: 70 * 320 });
  });

  it('decodes the last 200 ms of silence when somebody speaks, the first 40 of them to set the decoder right', () => {
    const { items, emittedAt } = run([...times(100, { dbov: -80 }), { dbov: -40 }, { dbov: -40 }], codecs.opus, false);
    // The last ten are kept until the packet that wakes, and the ten before them were not yet a piece.
    expect(emittedAt.slice(98)).toEqual([80, 80, 101, 102]);
    expect(kindsOf(items).slice(50)).toEqual([...times(40, 'dtx'), 'warm', 'warm', ...times(10, 'packet')]);
  });

  it('counts the room as silence, but nothing that rises above it, and nothing loud', () => {
    const quiet = times(100, { dbov: -70 });
    expect(run([...quiet, ...times(10, { dbov: -65 })]).kinds.slice(-10)).toEqual(times(10, 'dtx'));
    expect(run([...quiet, ...times(10, { dbov: -63 })]).kinds.slice(-10)).toEqual(times(10, 'packet'));
    // A room of -50 dBov is never slept in: who speaks softly in it would not rise above it.
    expect(run(times(200, { dbov: -50 })).kinds).toEqual(times(200, 'packet'));
  });

  it('takes a microphone that is off for silence, and knows the room again when it is on', () => {
    const { kinds } = run([...times(100, { dbov: -70 }), ...times(100, { dbov: -127 }), ...times(100, { dbov: -70 })]);
    expect(kinds.slice(50)).toEqual(times(250, 'dtx'));
  });

  it('never decodes what Opus sends while it transmits nothing', () => {
    const { kinds, counts } = run([{ dbov: -30 }, { payload: Uint8Array.of(0x08) }, { payload: Uint8Array.of(0x08, 0) }, { dbov: -30 }]);
    expect(kinds).toEqual(['packet', 'dtx', 'dtx', 'packet']);
    expect(counts.skippedSamples).toBe(640);
  });

  it('goes by the voice bits of SILK where no level is told, and decodes CELT, which has none', () => {
    const [silent, voiced] = [Uint8Array.of(9 << 3, 0x00, 1, 2), Uint8Array.of(9 << 3, 0x80, 1, 2)];
    const { kinds } = run([...times(100, { payload: silent }), { payload: voiced }]);
    expect(kinds.slice(0, 91)).toEqual([...times(50, 'packet'), ...times(40, 'dtx'), 'packet']);
    expect(run(times(100, { payload: celt })).kinds).toEqual(times(100, 'packet'));
  });

  it('passes digital silence on undecoded and at once but for its first packet, and has the last two decoded, unheard, before what follows', () => {
    const parts = [...times(3, { payload: celt }), ...times(40, { payload: zeros }), ...times(2, { payload: celt })];
    const { items, emittedAt, counts } = run(parts, codecs.opus, false);
    expect(kindsOf(items)).toEqual([...times(4, 'packet'), ...times(39, 'dtx'), 'warm', 'warm', ...times(2, 'packet')]);
    expect(items.filter(({ sampleCount }) => sampleCount === 0)).toHaveLength(2);
    expect(emittedAt.slice(0, 43)).toEqual(Array.from({ length: 43 }, (_, n) => n + 1));
    expect(counts).toEqual({ ...createMediaCounts(), skippedSamples: 39 * 320 });
    // A level that says otherwise changes nothing, and one who does not want silence skipped gets every packet decoded.
    expect(run(parts, codecs.opus, true, false).kinds).toEqual(times(45, 'packet'));
  });

  it('sleeps at once where digital silence comes to one who sleeps, and holds what follows it in quiet', () => {
    const { items } = run([...times(60, { dbov: -80 }), ...times(5, { payload: zeros }), ...times(4, { dbov: -80 }), { dbov: -30 }]);
    expect(kindsOf(items).slice(50)).toEqual([...times(15, 'dtx'), 'warm', 'warm', ...times(5, 'packet')]);
  });

  it('goes by the level of its codes where it is G.711', () => {
    const quiet = new Uint8Array(160).fill(0xff);
    const loud = Uint8Array.from({ length: 160 }, (_, i) => (i % 2 === 0 ? 0x10 : 0x90));
    const { kinds } = run([...times(100, { payload: quiet }), { payload: loud }], codecs.pcmu);
    expect(kinds.slice(0, 90)).toEqual([...times(30, 'packet'), ...times(60, 'dtx')]);
    expect(kinds.at(-1)).toBe('packet');
  });

  it('keeps losses in their place, but makes nothing up from what was said long ago', () => {
    const asleep = times(60, { dbov: -80 });
    expect(run([{ dbov: -30 }, { lost: 320 }, { dbov: -30 }]).kinds).toEqual(['packet', 'lost', 'packet']);
    expect(kindsOf(run([...asleep, { lost: 640 }, { dbov: -30 }]).items).slice(-4)).toEqual(['packet', 'packet', 'lost', 'packet']);
    expect(kindsOf(run([...asleep, { dtx: 1600 }, { lost: 640 }, { dbov: -30 }]).items).slice(-3)).toEqual(['dtx', 'dtx', 'packet']);
  });

  it('holds nothing back once packets stop', () => {
    const counts = createMediaCounts();
    const gate = new SilenceGate({ codec: codecs.opus, counts });
    const items: PlayoutItem[] = [];
    for (let n = 0; n < 60; n += 1) {
      const item = {
        kind: 'packet',
        startSample: n * 320,
        sampleCount: 320,
        arrivalMs: n * 20,
        payload: celt,
        audioLevelDbov: -90,
      } as const;
      gate.process(item, (out) => items.push(out));
    }
    expect(items).toHaveLength(50);
    gate.pause((out) => items.push(out));
    expect(items).toHaveLength(60);
    gate.close();
    gate.close();
  });

  it('passes a long silence on in pieces of 240 ms behind its first second, and the last of it with what follows, or when nothing does', () => {
    const long = run([{ dbov: -30 }, ...times(40 * 50, { payload: zeros }), { dbov: -30 }]);
    const pieces = long.items.filter(({ kind }) => kind === 'dtx').map(({ sampleCount }) => sampleCount);
    // All but the first packet, which is decoded.
    expect(pieces.slice(0, 50)).toEqual(times(50, 320));
    expect(new Set(pieces.slice(50, -1))).toEqual(new Set([3840]));
    expect(pieces.reduce((sum, samples) => sum + samples, 0)).toBe((40 * 50 - 1) * 320);
    expect(long.items.findIndex(({ kind, sampleCount }) => kind === 'packet' && sampleCount === 0)).toBe(2 + pieces.length);
    const { items } = run([{ dbov: -30 }, ...times(60, { payload: zeros })], codecs.opus, false);
    const gate = run([{ dbov: -30 }, ...times(60, { payload: zeros })]);
    expect(kindsOf(gate.items).length - kindsOf(items).length).toBe(9);
  });

  it('loses and adds no time, whatever comes', () => {
    const part = fc.oneof(
      fc.record({ dbov: fc.integer({ min: -127, max: 0 }) }),
      fc.record({ dbov: fc.integer({ min: -90, max: -60 }) }),
      fc.record({ payload: fc.uint8Array({ maxLength: 5 }) }),
      fc.constant({ payload: zeros }),
      fc.record({ lost: fc.integer({ min: 1, max: 5000 }) }),
      fc.record({ dtx: fc.integer({ min: 1, max: 50_000 }) }),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(part, fc.integer({ min: 1, max: 60 })), { maxLength: 30 }), (runs) => {
        const parts = runs.flatMap(([one, count]) => times(count, one));
        const { items, counts } = run(parts);
        const decoded = items.filter(({ kind, sampleCount }) => kind === 'packet' && sampleCount > 0).length;
        expect(counts.skippedSamples).toBe(320 * (parts.filter((one) => 'dbov' in one || 'payload' in one).length - decoded));
      }),
      { numRuns: 100 },
    );
  });
});

/** Frames of digital silence have no more in any band. */
const silentLogMel = Math.log(1.001e-7);

/** Frames marked as speech, the packets that were decoded, and the log-mel, of a caller with or without the gate. */
async function hear(packets: readonly RtpPacket[], codec: TrackCodec, skipSilence: boolean, keepFeatures = false) {
  const { frontEnd: spec } = await shippedModel();
  const inner = createDecoder(codec);
  await inner.ready;
  let decoded = 0;
  const decoder: typeof inner = {
    ...inner,
    decode: (payload) => {
      decoded += 1;
      return inner.decode(payload);
    },
  };
  const speech: boolean[] = [];
  const logMel: Float32Array[] = [];
  const sounding: boolean[] = [];
  let windows = 0;
  const track = { callId: 'a', participantId: 'a', trackId: 'a', codec };
  const frontEnd = new FrontEnd({
    ...{ track, spec, decoder, skipSilence },
    onFrame: (frame) => {
      speech.push(frame.speech);
      sounding.push(frame.logMel.some((value) => value > silentLogMel));
      if (keepFeatures) logMel.push(frame.logMel.slice());
    },
  });
  for (const packet of packets) frontEnd.process(packet, ({ kind }) => (windows += Number(kind === 'window')));
  frontEnd.flush(() => undefined);
  frontEnd.close();
  return { speech, sounding, logMel, decoded, windows };
}

describe('a quiet caller', () => {
  const sound = { seconds: 48, talkSeconds: 4, listenSeconds: 8 };

  it.each(silenceSigns)('whose silence is told by %s is decoded half as often or less, and no speech is lost', async (sign) => {
    const spoken = spokenFrames(await quietSound({ ...sound, roomDbov: -Infinity }));
    const { codec, packets } = await quietCaller(await quietSound({ ...sound, roomDbov: -66 }), sign);
    const before = await hear(packets, codec, false);
    const after = await hear(packets, codec, true);
    expect(before.decoded).toBe(packets.length);
    if (sign !== 'dtx') expect(after.decoded).toBeLessThan(0.5 * before.decoded);
    expect(after.decoded).toBeLessThan(before.decoded);
    // Told by the sound itself, not by the speech detector: nothing of it is left where packets were skipped.
    const heard = before.sounding.flatMap((sounding, frame) => (sounding && spoken[frame] === true ? [frame] : []));
    expect(heard.length).toBeGreaterThan(500);
    const lost = heard.filter((frame) => after.sounding[frame] !== true);
    expect(lost.length).toBeLessThanOrEqual(0.002 * heard.length);
    // Above all not where an utterance begins.
    const beginnings = heard.filter((frame) => !spoken.slice(Math.max(0, frame - 60), Math.max(0, frame - 10)).includes(true));
    expect(beginnings.length).toBeGreaterThan(10);
    expect(lost.filter((frame) => beginnings.includes(frame))).toEqual([]);
    // The detector hears less of the room around the words, and most of the words themselves.
    expect(Math.abs(after.windows - before.windows)).toBeLessThanOrEqual(0.25 * before.windows);
    const words = after.speech.filter((speech, frame) => speech && spoken[frame] === true);
    expect(words.length).toBeGreaterThan(0.65 * spoken.filter(Boolean).length);
  });

  it('wakes without a click: 60 ms after waking the features are those of a decoder that never slept', async () => {
    const { codec, packets } = await quietCaller(await quietSound({ ...sound, roomDbov: -66 }), 'audio level');
    const [before, after] = [await hear(packets, codec, false, true), await hear(packets, codec, true, true)];
    const wakings = after.sounding.flatMap((sounding, frame) => (sounding && after.sounding[frame - 1] === false ? [frame] : []));
    expect(wakings.length).toBeGreaterThanOrEqual(3);
    const dbOff = wakings.flatMap((waking) =>
      Array.from({ length: 40 }, (_, i) => {
        const [a, b] = [before.logMel[waking + 6 + i], after.logMel[waking + 6 + i]];
        return (10 / Math.LN10) * Math.max(...Array.from(a ?? [], (value, band) => Math.abs(value - (b?.[band] ?? NaN))));
      }),
    );
    const mean = dbOff.reduce((sum, value) => sum + value, 0) / dbOff.length;
    expect(mean).toBeLessThan(0.3);
    expect(Math.max(...dbOff)).toBeLessThan(6);
  });

  it('who speaks CELT between digital silence is heard as if nothing had been skipped', async () => {
    const sounds = await quietSound({ ...sound, roomDbov: -Infinity });
    const encoder = await createEncoder({
      channels: 1,
      sampleRate: 16_000,
      frameSize: 320,
      application: Application.RestrictedLowDelay,
      bitrate: 48_000,
    });
    const packets = Array.from({ length: sounds.length / 320 }, (_, n): RtpPacket => ({
      ...{ sequenceNumber: n, timestamp: n * 960, ssrc: 1, payloadType: 100, marker: false, arrivalMs: n * 20 },
      payload: encoder.encodeFloat(sounds.subarray(n * 320, (n + 1) * 320)),
    }));
    encoder.free();
    expect(packets.filter(({ payload }) => isOpusDigitalSilence(payload)).length).toBeGreaterThan(0.5 * packets.length);
    const [before, after] = [await hear(packets, codecs.opus, false, true), await hear(packets, codecs.opus, true, true)];
    expect(after.decoded).toBeLessThan(0.5 * before.decoded);
    expect(after.windows).toBe(before.windows);
    expect(after.speech).toEqual(before.speech);
    const off = before.logMel.map((bands, frame) =>
      Math.max(...bands.map((value, band) => Math.abs(value - (after.logMel[frame]?.[band] ?? NaN)))),
    );
    expect(Math.max(...off)).toBeLessThan(1e-3);
  });

  it('who says nothing for an hour is never decoded nor scored after the first 0.6 s', async () => {
    const packets = Array.from({ length: 180_000 }, (_, n): RtpPacket => ({
      ...{ sequenceNumber: n % 65_536, timestamp: (n * 960) % 2 ** 32, ssrc: 1, payloadType: 100, marker: false, payload: celt },
      ...{ arrivalMs: n * 20, audioLevelDbov: -127 },
    }));
    const { speech, decoded, windows } = await hear(packets, codecs.opus, true);
    expect(decoded).toBe(30);
    expect(windows).toBe(0);
    expect(speech).toHaveLength(359_998);
    expect(speech).not.toContain(true);
  });
});
