// One caller's bad media in a call with others: counted, concealed, and nobody else's trouble.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { startCallers, type Callers } from '../../../tools/callers/callers.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { getJson, startApp, type EventOf, type Reader, type TestApp } from '../../support/server.ts';
import { Speaker, type Tamper } from './speaker.ts';

const callId = 'call';
const clipPath = join(demoDirectory, '1050_IWL_FEA_XX.opus');
/** Packets that are tampered with. */
const badPackets = 10;
const gapPackets = 500;

let server: TestApp;
let healthy: Callers;
let reader: Reader;
const speakers: Speaker[] = [];
let beforeGap: EventOf<'point'>;
let gapOver: Promise<void>;

beforeAll(async () => {
  server = await startApp();
  const rtp = { ssrc: 1, payloadType: 100 };
  const remote = await server.app.sfu.addPlainParticipant({
    ...rtp,
    callId,
    participantId: 'healthy',
    displayName: 'Someone',
    role: 'guest',
    consent: 'granted',
    mimeType: 'audio/opus',
  });
  const clips = demoCast(readDemoManifest(), 1)[0]?.clips ?? [];
  healthy = await startCallers({ callers: [{ ...rtp, participantId: 'healthy', remote, clips, seed: 1 }], talkRatio: 1 });
  reader = await server.read(callId);
  const silent = await speak('silent');
  beforeGap = await reader.first('point', ({ participantId }) => participantId === 'silent');
  // Ten seconds without a packet, as DTX leaves them: the sequence goes on where it stopped, the timestamp does not.
  gapOver = silent
    .tamperWith(gapPackets, () => [])
    .then(() => {
      silent.tamper = (fields) => [writeRtp({ ...fields, sequenceNumber: fields.sequenceNumber - gapPackets })];
    });
});

afterAll(async () => {
  for (const speaker of speakers) speaker.close();
  await healthy.stop();
  await server.close();
});

async function speak(participantId: string): Promise<Speaker> {
  const speaker = await Speaker.join(server.app.sfu, callId, participantId, 100 + speakers.length, clipPath);
  speakers.push(speaker);
  return speaker;
}

const counterOf = (fate: string): Promise<number> =>
  fate === 'decodeErrors' ? server.metric('undertone_decode_errors_total') : server.metric('undertone_rtp_packets_total', { fate });

describe('beside a healthy caller, one who sends', () => {
  it.each<[string, Tamper, Record<string, number>]>([
    ['garbage', () => [randomBytes(60), Buffer.alloc(0), Buffer.of(1), randomBytes(1400)], { lost: badPackets }],
    ['truncated RTP', (fields) => [writeRtp(fields).subarray(0, 9)], { lost: badPackets }],
    ['a header extension that is none', (fields) => [withBits(writeRtp(fields), 0x10)], { lost: badPackets }],
    ['another payload type', (fields) => [writeRtp({ ...fields, payloadType: 13 })], { lost: badPackets }],
    ['another source’s packets', (fields) => [writeRtp({ ...fields, ssrc: 0xdead })], { lost: badPackets }],
    [
      'Opus that breaks its framing',
      (fields) => [writeRtp({ ...fields, payload: Buffer.of(0xfb, 0, 1, 2) })],
      { decodeErrors: badPackets },
    ],
    ['Opus with every bit pattern changed', (fields) => [writeRtp({ ...fields, payload: fields.payload.map((byte) => byte ^ 0x55) })], {}],
    ['every packet twice', (fields) => [writeRtp(fields), writeRtp(fields)], { duplicate: badPackets }],
  ])('%s is counted, and heard again afterwards', async (name, tamper, expected) => {
    const participantId = `bad-${speakers.length}`;
    const speaker = await speak(participantId);
    // Before anything goes wrong the tap must hear this caller.
    await reader.first('speech', (event) => event.participantId === participantId);
    const before = new Map<string, number>();
    for (const fate of Object.keys(expected)) before.set(fate, await counterOf(fate));
    await speaker.tamperWith(badPackets, tamper);
    for (const [fate, count] of Object.entries(expected)) {
      await vi.waitFor(async () =>
        expect((await counterOf(fate)) - (before.get(fate) ?? 0), `${name}: ${fate}`).toBeGreaterThanOrEqual(count),
      );
    }
    await reader.next('point', (event) => event.participantId === participantId);
    await reader.next('point', (event) => event.participantId === 'healthy');
    server.app.sfu.removeParticipant(callId, participantId);
    speaker.close();
  });

  it('packets numbered anew is heard on', async () => {
    const speaker = await speak('renumbered');
    await reader.first('speech', ({ participantId }) => participantId === 'renumbered');
    const lostBefore = await counterOf('lost');
    speaker.tamper = (fields) => [writeRtp({ ...fields, sequenceNumber: fields.sequenceNumber + 20_000 })];
    await reader.next('point', ({ participantId }) => participantId === 'renumbered');
    // The jump is another numbering, not twenty thousand packets that were lost.
    expect((await counterOf('lost')) - lostBefore).toBeLessThan(100);
  });

  it('nothing for ten seconds is placed where the clock says when they speak again', async () => {
    await gapOver;
    const half = beforeGap.atMs + gapPackets * 10;
    const again = await reader.first('point', ({ participantId, atMs }) => participantId === 'silent' && atMs > half);
    expect(again.atMs - beforeGap.atMs).toBeGreaterThan(gapPackets * 20);
    // A turn of this caller, words and pause, lasts less than six seconds.
    expect(again.atMs - beforeGap.atMs).toBeLessThan(gapPackets * 20 + 6000);
    expect(again.concealedRatio).toBe(0);
  });
});

describe('through all of this', () => {
  it('the healthy caller was measured without a gap or a concealed sample', () => {
    const points = reader.all('point', 'healthy');
    expect(points.length).toBeGreaterThan(10);
    expect(points.filter(({ concealedRatio }) => concealedRatio > 0)).toEqual([]);
    // A machine that is busy with other things may leave some unscored, and says so.
    expect(reader.all('gap', 'healthy').filter(({ reason }) => reason !== 'overload')).toEqual([]);
    expect(reader.events.items.map(({ seq }) => seq)).toEqual(reader.events.items.map((_, index) => index + 1));
  });

  it('the server stayed ready, and no media worker died', async () => {
    expect(await getJson(`${server.url}/readyz`)).toMatchObject({ ready: true, missing: [] });
    expect(await server.metric('undertone_media_worker_deaths_total')).toBe(0);
  });
});

/** A packet with bits of its first byte set. */
function withBits(data: Uint8Array, bits: number): Uint8Array {
  data[0] = (data[0] ?? 0) | bits;
  return data;
}
