// Events lie where the words were: the media clock neither drifts nor jumps, whatever happens to the packets on their way.
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { startCallers, type Callers, type Said } from '../../../tools/callers/callers.ts';
import { demoCast, demoDirectory, readDemoManifest } from '../../../tools/callers/demo.ts';
import { Log } from '../../support/log.ts';
import { startApp, type Reader, type TestApp } from '../../support/server.ts';
import { Speaker, type Tamper } from './speaker.ts';

const callId = 'call';
const analysisFrameMs = 25;
/** How often each caller says their clip. The first time the room's noise is not known yet, which moves the onset. */
const turns = 5;

let server: TestApp;
let callers: Callers;
let rough: Speaker;
let reader: Reader;
const said = new Log<Said>();
const people = demoCast(readDemoManifest(), 2);

beforeAll(async () => {
  server = await startApp();
  const specs = [];
  for (const [index, { participantId, displayName, role, clips }] of people.entries()) {
    const rtp = { ssrc: 100 + index, payloadType: 100 };
    const plain = { callId, participantId, displayName, role, consent: 'granted' as const, ...rtp, mimeType: 'audio/opus' };
    const remote = await server.app.sfu.addPlainParticipant(plain);
    // One clip each, so that they say the same again and again, after pauses of random length.
    specs.push({ participantId, remote, ...rtp, clips: clips.slice(0, 1), seed: 10 + index });
  }
  reader = await server.read(callId);
  callers = await startCallers({ callers: specs, onSaid: (one) => said.add(one) });
  rough = await Speaker.join(server.app.sfu, callId, 'rough', 999, join(demoDirectory, '1050_IWL_FEA_XX.opus'));
  rough.tamper = roughly();
});

afterAll(async () => {
  rough.close();
  await callers.stop();
  await server.close();
});

it('speech begins at the same place of a clip each time that it is said, to one analysis frame', async () => {
  for (const { participantId } of people) {
    const own = (): Said[] => said.items.filter((one) => one.participantId === participantId);
    await said.first(() => own().length >= turns);
    expectSteady(await onsetsOf(participantId, own().slice(0, turns)));
  }
});

it('so it does for one whose packets are swapped, doubled and lost, and whose counters wrap', async () => {
  const repeats = Array.from({ length: turns }, (_, turn) => ({
    startSample: turn * rough.loopPackets * 320,
    durationSamples: rough.loopPackets * 320,
  }));
  expectSteady(await onsetsOf('rough', repeats));
  expect(await server.metric('undertone_rtp_packets_total', { fate: 'duplicate' })).toBeGreaterThan(0);
  expect(await server.metric('undertone_rtp_packets_total', { fate: 'lost' })).toBeGreaterThan(0);
});

/** Where speech began, ms on the call's clock, against where each repeat of the clip began by the caller's own count of samples. */
async function onsetsOf(participantId: string, repeats: readonly Pick<Said, 'startSample' | 'durationSamples'>[]): Promise<number[]> {
  const isStart = (event: { participantId: string; state: string }): boolean =>
    event.participantId === participantId && event.state === 'start';
  const [firstRepeat] = repeats;
  const firstStart = await reader.first('speech', isStart);
  const onsets: number[] = [];
  for (const { startSample, durationSamples } of repeats.slice(1)) {
    const expectedMs = firstStart.atMs + (startSample - (firstRepeat?.startSample ?? 0)) / 16;
    const endMs = expectedMs + durationSamples / 16 - 500;
    const start = await reader.first('speech', (event) => isStart(event) && event.atMs > expectedMs - 300 && event.atMs < endMs);
    onsets.push(start.atMs - startSample / 16);
  }
  return onsets;
}

function expectSteady(onsets: readonly number[]): void {
  expect(onsets).toHaveLength(turns - 1);
  expect(Math.max(...onsets) - Math.min(...onsets), onsets.join(', ')).toBeLessThanOrEqual(analysisFrameMs);
}

/** Swaps two packets of five, sends one of seven twice, loses one of eleven in the pauses, and lets both counters wrap. */
function roughly(): Tamper {
  let waiting: Uint8Array | null = null;
  return (fields, index) => {
    const data = writeRtp({ ...fields, sequenceNumber: fields.sequenceNumber + 65_400, timestamp: fields.timestamp + 2 ** 32 - 300_000 });
    if (index % 11 === 0 && fields.payload.length <= 3) return [];
    const out = index % 7 === 0 ? [data, data] : [data];
    if (index % 5 === 1 && waiting === null) {
      waiting = data;
      return [];
    }
    if (waiting !== null) out.push(waiting);
    waiting = null;
    return out;
  };
}
