// The plugin on a host's own mediasoup: no server of ours, only a Router that the host made.
import { createWorker, type types } from 'mediasoup';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createLogger,
  createMetrics,
  createPolicy,
  createTokens,
  EmotionService,
  Gateway,
  MemoryTimelineStore,
  Undertone,
  type TimelineEvent,
} from '../../../src/index.ts';
import { findWorkerBin } from '../../../src/sfu/worker-bin.ts';
import { startCallers, type Callers } from '../../../tools/callers/callers.ts';
import { demoCast, readDemoManifest } from '../../../tools/callers/demo.ts';

const modelDir = new URL('../../../assets/models/emonet/', import.meta.url).pathname;
const opus = { kind: 'audio' as const, mimeType: 'audio/opus', clockRate: 48_000, channels: 2, preferredPayloadType: 100 };
const callId = 'host-call';

let worker: types.Worker;
let router: types.Router;
let store: MemoryTimelineStore;
let emotion: EmotionService;
let gateway: Gateway;
let plugin: Undertone;
let callers: Callers | undefined;

beforeEach(async () => {
  const workerBin = findWorkerBin(process.env);
  worker = await createWorker({ logLevel: 'none', ...(workerBin === undefined ? {} : { workerBin }) });
  router = await worker.createRouter({ mediaCodecs: [opus] });
  const logger = createLogger('silent');
  const metrics = createMetrics();
  store = new MemoryTimelineStore();
  emotion = await EmotionService.open({ modelDir, logger, metrics });
  const tokens = createTokens({ secret: 'a secret of the host, thirty-two bytes or more' });
  gateway = Gateway.create({ store, tokens, metrics, logger, nodeId: 'host' });
  plugin = new Undertone({ emotion, gateway, decide: createPolicy({ profile: 'personal' }), metrics, pipelineWorkers: 1 });
});

afterEach(async () => {
  await callers?.stop();
  callers = undefined;
  await plugin.close();
  await gateway.close();
  await emotion.close();
  await store.close();
  worker.close();
});

/** Makes producers that the host would have, and lets people speak into them. */
async function speak(count: number): Promise<{ participantId: string; producer: types.Producer }[]> {
  const people = [];
  const specs = [];
  for (const [index, { participantId, clips }] of demoCast(readDemoManifest(), count).entries()) {
    const transport = await router.createPlainTransport({ listenInfo: { protocol: 'udp', ip: '127.0.0.1' }, comedia: true, rtcpMux: true });
    const ssrc = 1000 + index;
    const codec = { mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 100 };
    const producer = await transport.produce({ kind: 'audio', rtpParameters: { codecs: [codec], encodings: [{ ssrc }] } });
    people.push({ participantId, producer });
    const remote = { ip: '127.0.0.1', port: transport.tuple.localPort };
    specs.push({ participantId, remote, ssrc, payloadType: 100, clips, seed: index });
  }
  callers = await startCallers({ callers: specs });
  return people;
}

/** Resolves with the first event that fits, replayed or live. */
async function eventWhere(fits: (event: TimelineEvent) => boolean): Promise<TimelineEvent> {
  const { promise, resolve } = Promise.withResolvers<TimelineEvent>();
  const unsubscribe = await store.subscribe(callId, (event) => {
    if (fits(event)) resolve(event);
  });
  const page = await store.read(callId, 0, 10_000);
  const found = page?.events.find(fits);
  if (found !== undefined) resolve(found);
  try {
    return await promise;
  } finally {
    unsubscribe();
  }
}

describe('Undertone on a host’s router', () => {
  it('measures those who agreed, from the host’s own producers, and no one else', async () => {
    const call = plugin.openCall({ callId, purpose: 'conversation', region: 'EU' }, router);
    const [speaker, other] = await speak(2);
    expect(call.addParticipant({ participantId: speaker!.participantId, role: 'guest', consent: 'granted' })).toMatchObject({
      allow: true,
    });
    expect(call.addParticipant({ participantId: other!.participantId, role: 'guest', consent: 'denied' })).toMatchObject({ allow: false });
    call.addProducer(speaker!.participantId, speaker!.producer.id);
    call.addProducer(other!.participantId, other!.producer.id);

    const point = await eventWhere((event) => event.type === 'point');
    expect(point).toMatchObject({ participantId: speaker!.participantId });
    const segment = await eventWhere((event) => event.type === 'segment');
    expect(segment).toMatchObject({ participantId: speaker!.participantId });
    const { events } = (await store.read(callId, 0, 10_000))!;
    expect(events.map((event) => event.seq)).toEqual(events.map((_, i) => i + 1));
    const ofOther = events.filter((event) => 'participantId' in event && event.participantId === other!.participantId);
    expect(ofOther.map((event) => event.type)).toEqual(['participant', 'consent']);
  });

  it('stops at once when consent is withdrawn, and goes on when it is given again', async () => {
    const call = plugin.openCall({ callId, purpose: 'conversation', region: 'EU' }, router);
    const [speaker] = await speak(1);
    const { participantId, producer } = speaker!;
    call.addParticipant({ participantId, role: 'guest', consent: 'granted' });
    call.addProducer(participantId, producer.id);
    await eventWhere((event) => event.type === 'point');
    expect(call.updateParticipant(participantId, { consent: 'withdrawn' })).toEqual({ allow: false, reason: 'consent-withdrawn' });
    const withdrawn = await eventWhere((event) => event.type === 'consent' && !event.measured);
    call.updateParticipant(participantId, { consent: 'granted' });
    const again = await eventWhere((event) => event.type === 'consent' && event.measured && event.seq > withdrawn.seq);
    await eventWhere((event) => event.type === 'point' && event.seq > again.seq);
    const { events } = (await store.read(callId, 0, 10_000))!;
    const between = events.filter((event) => event.seq > withdrawn.seq && event.seq < again.seq);
    expect(between).toEqual([]);
  });

  it('ends timelines on close and leaves the host’s router alone', async () => {
    const call = plugin.openCall({ callId, purpose: 'conversation', region: 'EU' }, router);
    const [speaker] = await speak(1);
    call.addParticipant({ participantId: speaker!.participantId, role: 'guest', consent: 'granted' });
    call.addProducer(speaker!.participantId, speaker!.producer.id);
    await eventWhere((event) => event.type === 'speech');
    await plugin.close();
    await expect(eventWhere((event) => event.type === 'end')).resolves.toMatchObject({ reason: 'shutdown' });
    expect(router.closed).toBe(false);
    expect(speaker!.producer.closed).toBe(false);
    expect(() => plugin.openCall({ callId: 'late', purpose: 'conversation', region: 'EU' }, router)).toThrow('closed');
  });

  it('refuses to know someone twice, or not at all', () => {
    const call = plugin.openCall({ callId, purpose: 'conversation', region: 'EU' }, router);
    call.addParticipant({ participantId: 'p', role: 'guest', consent: 'unknown' });
    expect(() => call.addParticipant({ participantId: 'p', role: 'guest', consent: 'unknown' })).toThrow('is in the call already');
    expect(() => call.updateParticipant('q', { consent: 'granted' })).toThrow('got `q`');
    call.removeParticipant('q');
  });
});
