// The tap manager against a host made by hand, so that each step of opening a tap can be held back.
import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import type { TapEvent } from '../../../src/sfu/events.ts';
import type { HostConsumer, HostTransport, HostRouter, HostRtpParameters } from '../../../src/sfu/host.ts';
import { openTap } from '../../../src/sfu/tap.ts';
import { TapManager } from '../../../src/sfu/tap-manager.ts';
import type { CallInfo, ConsentState, Decide, ParticipantInfo, RawRtp } from '../../../src/sfu/types.ts';

const opus: HostRtpParameters = {
  codecs: [{ mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 100 }],
  headerExtensions: [
    { uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', id: 1 },
    { uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: 10 },
  ],
};

const levelExtension = { kind: 'audio', uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', preferredId: 10 };
const offered = {
  codecs: [{ kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, rtcpFeedback: [{ type: 'nack' }, { type: 'transport-cc' }] }],
  headerExtensions: [{ kind: 'audio', uri: 'urn:ietf:params:rtp-hdrext:sdes:mid', preferredId: 1 }, levelExtension],
};

class FakeConsumer extends EventEmitter implements HostConsumer {
  readonly id = `consumer-${String(Math.random())}`;
  readonly kind = 'audio';
  readonly rtpParameters: HostRtpParameters;
  closed = false;
  resumed = 0;
  resumeFault: Error | undefined;

  constructor(rtpParameters: HostRtpParameters) {
    super();
    this.rtpParameters = rtpParameters;
  }

  async resume(): Promise<void> {
    this.resumed += 1;
    if (this.resumeFault !== undefined) throw this.resumeFault;
  }

  close(): void {
    this.closed = true;
  }
}

/** A router whose consumers appear when the test says so. */
class FakeRouter implements HostRouter {
  readonly id = 'router';
  readonly rtpCapabilities = offered;
  closed = false;
  transports = 0;
  rtpParameters = opus;
  readonly consumers: { producerId: string; consumer: FakeConsumer }[] = [];
  /** Consume requests that wait for `release`. */
  readonly held: (() => void)[] = [];
  hold = false;
  transportFault: Error | undefined;
  transport: (HostTransport & { closed: boolean }) | undefined;

  async createDirectTransport(): Promise<HostTransport> {
    if (this.transportFault !== undefined) throw this.transportFault;
    this.transports += 1;
    this.transport = {
      closed: false,
      close() {
        this.closed = true;
      },
      consume: async ({ producerId, rtpCapabilities, paused }) => {
        // What is sent again, and all extensions but the level, would cost mediasoup time and memory for nothing.
        expect(rtpCapabilities).toEqual({ codecs: [{ ...offered.codecs[0], rtcpFeedback: [] }], headerExtensions: [levelExtension] });
        expect(paused).toBe(true);
        if (this.hold) await new Promise<void>((resolve) => this.held.push(resolve));
        const consumer = new FakeConsumer(this.rtpParameters);
        this.consumers.push({ producerId, consumer });
        return consumer;
      },
    };
    return this.transport;
  }

  release(): void {
    for (const resolve of this.held.splice(0)) resolve();
  }
}

const consenting: Decide = ({ consent }) => ({ allow: consent === 'granted', reason: consent });
const call: CallInfo = { callId: 'c', purpose: 'x', region: 'EU' };
const person = (consent: ConsentState, participantId = 'p', role = 'guest'): ParticipantInfo => ({
  callId: 'c',
  participantId,
  role,
  consent,
});

function setUp(decide: Decide = consenting) {
  const router = new FakeRouter();
  const manager = new TapManager({ decide, clock: { nowMs: () => 1234 } });
  const events: TapEvent[] = [];
  manager.events$.subscribe((event) => events.push(event));
  return { router, manager, events, types: () => events.map(({ type }) => type) };
}

/** Lets everything that is ready run. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('TapManager', () => {
  it('opens a tap for whom the policy allows, and none for others', async () => {
    const { router, manager, types } = setUp();
    manager.addParticipant(person('granted', 'p'), call, router);
    manager.addParticipant(person('denied', 'q'), call, router);
    manager.addProducer(person('granted', 'p'), 'mic-p');
    manager.addProducer(person('denied', 'q'), 'mic-q');
    await settled();
    expect(router.consumers.map(({ producerId }) => producerId)).toEqual(['mic-p']);
    expect(types()).toEqual(['decision', 'decision', 'tapOpened']);
    expect(manager.openTaps).toBe(1);
  });

  it('gives up a tap that is being opened when consent is withdrawn, and closes what had been consumed', async () => {
    const { router, manager, types } = setUp();
    router.hold = true;
    manager.addParticipant(person('granted'), call, router);
    manager.addProducer(person('granted'), 'mic');
    await settled();
    expect(router.held).toHaveLength(1);
    manager.updateParticipant(person('withdrawn'));
    router.release();
    await settled();
    expect(router.consumers[0]?.consumer).toMatchObject({ closed: true, resumed: 0 });
    expect(types()).toEqual(['decision', 'decision']);
    expect(manager.openTaps).toBe(0);
  });

  it('opens one tap only where consent is given again before the first attempt came to an end', async () => {
    const { router, manager, types } = setUp();
    router.hold = true;
    manager.addParticipant(person('granted'), call, router);
    manager.addProducer(person('granted'), 'mic');
    await settled();
    manager.updateParticipant(person('withdrawn'));
    manager.updateParticipant(person('granted'));
    await settled();
    router.release();
    await settled();
    expect(router.consumers.map(({ consumer }) => consumer.closed)).toEqual([true, false]);
    expect(types()).toEqual(['decision', 'decision', 'decision', 'tapOpened']);
  });

  it('closes before it says that it decided, on a withdrawal', async () => {
    const { router, manager, events, types } = setUp();
    manager.addParticipant(person('granted'), call, router);
    manager.addProducer(person('granted'), 'mic');
    await settled();
    manager.updateParticipant(person('withdrawn'));
    expect(types().slice(-2)).toEqual(['tapClosed', 'decision']);
    expect(events.at(-2)).toMatchObject({ reason: 'owner' });
    expect(router.consumers[0]?.consumer.closed).toBe(true);
  });

  it('says nothing of a change that changes nothing', () => {
    const { router, manager, types } = setUp();
    manager.addParticipant(person('granted'), call, router);
    manager.updateParticipant(person('granted'));
    expect(types()).toEqual(['decision']);
    manager.updateParticipant(person('granted', 'p', 'agent'));
    expect(types()).toEqual(['decision', 'decision']);
  });

  it('measures the newest microphone, once', async () => {
    const { router, manager } = setUp();
    manager.addParticipant(person('granted'), call, router);
    for (const producerId of ['a', 'b', 'c']) manager.addProducer(person('granted'), producerId);
    await settled();
    const open = () => router.consumers.filter(({ consumer }) => !consumer.closed).map(({ producerId }) => producerId);
    expect(open()).toEqual(['c']);
    manager.removeProducer(person('granted'), 'a');
    await settled();
    expect(open()).toEqual(['c']);
    manager.removeProducer(person('granted'), 'c');
    await settled();
    expect(open()).toEqual(['b']);
    manager.removeProducer(person('granted'), 'b');
    await settled();
    expect(open()).toEqual([]);
  });

  it('moves on where the media worker says first that a microphone is gone', async () => {
    const { router, manager, events } = setUp();
    manager.addParticipant(person('granted'), call, router);
    manager.addProducer(person('granted'), 'a');
    manager.addProducer(person('granted'), 'b');
    await settled();
    router.consumers.find(({ producerId }) => producerId === 'b')?.consumer.emit('producerclose');
    await settled();
    expect(events.map(({ type }) => type)).toEqual(['decision', 'tapOpened', 'tapClosed', 'tapOpened']);
    expect(events[2]).toMatchObject({ reason: 'source' });
    manager.removeProducer(person('granted'), 'b');
    await settled();
    expect(events).toHaveLength(4);
  });

  it('denies where the policy throws', async () => {
    const { router, manager } = setUp(() => {
      throw new Error('no policy today');
    });
    expect(manager.addParticipant(person('granted'), call, router)).toEqual({ allow: false, reason: 'policy-failed' });
    manager.addProducer(person('granted'), 'mic');
    await settled();
    expect(router.consumers).toEqual([]);
  });

  it('reports a tap that cannot be opened, and tries again with the next microphone', async () => {
    const { router, manager, events } = setUp();
    manager.addParticipant(person('granted'), call, router);
    router.rtpParameters = { codecs: [{ mimeType: 'audio/G722', clockRate: 8_000, payloadType: 9 }] };
    manager.addProducer(person('granted'), 'odd');
    await settled();
    expect(events.at(-1)).toMatchObject({ type: 'tapFailed', producerId: 'odd', error: { code: 'UT_CODEC_UNSUPPORTED' } });
    expect(router.consumers[0]?.consumer.closed).toBe(true);
    router.rtpParameters = opus;
    manager.addProducer(person('granted'), 'good');
    await settled();
    expect(events.at(-1)).toMatchObject({ type: 'tapOpened' });
  });

  it('keeps participants of the same id in different calls apart', async () => {
    const { router, manager } = setUp();
    const other = { ...person('denied'), callId: 'd' };
    manager.addParticipant(person('granted'), call, router);
    manager.addParticipant(other, { ...call, callId: 'd' }, router);
    expect(() => manager.addParticipant(other, call, router)).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
    expect(manager.decisionOf(person('granted'))).toEqual({ allow: true, reason: 'granted' });
    expect(manager.decisionOf(other)).toEqual({ allow: false, reason: 'denied' });
    expect(() => manager.decisionOf({ callId: 'c', participantId: 'x' })).toThrow(expect.objectContaining({ code: 'UT_REQUEST_INVALID' }));
  });

  it('closes all taps once, and opens none afterwards', async () => {
    const { router, manager, types } = setUp();
    manager.addParticipant(person('granted'), call, router);
    manager.addProducer(person('granted'), 'mic');
    await settled();
    router.hold = true;
    manager.addProducer(person('granted'), 'late');
    await settled();
    manager.close();
    manager.close();
    router.release();
    await settled();
    expect(router.consumers.every(({ consumer }) => consumer.closed)).toBe(true);
    expect(types()).toEqual(['decision', 'tapOpened', 'tapClosed']);
    expect(() => manager.addParticipant(person('granted', 'z'), call, router)).toThrow(
      expect.objectContaining({ code: 'UT_REQUEST_INVALID' }),
    );
  });
});

describe('openTap', () => {
  const owner = { callId: 'c', participantId: 'p' };

  async function open() {
    const router = new FakeRouter();
    const tap = await openTap(router, 'mic', owner, { clock: { nowMs: () => 1234 } });
    const consumer = router.consumers[0]?.consumer;
    if (consumer === undefined) throw new Error('Expected a consumer');
    return { router, tap, consumer };
  }

  it('takes the codec and the audio level from what was negotiated', async () => {
    const { tap, consumer } = await open();
    expect(tap.track).toEqual({
      ...owner,
      trackId: consumer.id,
      codec: { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 },
      audioLevelExtensionId: 10,
    });
  });

  it('resumes with the first subscription, once', async () => {
    const { tap, consumer } = await open();
    expect(consumer.resumed).toBe(0);
    tap.rtp$.subscribe();
    tap.rtp$.subscribe();
    expect(consumer.resumed).toBe(1);
  });

  it('hands packets on to each receiver where they lie, and copies none', async () => {
    const { tap, consumer } = await open();
    const [first, second]: [RawRtp[], RawRtp[]] = [[], []];
    const subscription = tap.rtp$.subscribe((packet) => first.push(packet));
    tap.rtp$.subscribe((packet) => second.push(packet));
    const packets = [Buffer.from([1, 2]), Buffer.from([3])] as const;
    consumer.emit('rtp', packets[0]);
    subscription.unsubscribe();
    consumer.emit('rtp', packets[1]);
    expect(first).toEqual([{ data: packets[0], arrivalMs: 1234 }]);
    expect(second.map(({ data }) => data)).toEqual(packets);
    expect(second[0]?.data).toBe(packets[0]);
  });

  it('emits nothing after close, whatever the host still delivers, and tells who closed it', async () => {
    const { tap, consumer } = await open();
    const received: (RawRtp | 'complete')[] = [];
    tap.rtp$.subscribe({ next: (packet) => received.push(packet), complete: () => received.push('complete') });
    const reasons: string[] = [];
    tap.closed$.subscribe((reason) => reasons.push(reason));
    tap.close();
    consumer.emit('rtp', Buffer.from([1]));
    consumer.emit('producerclose');
    consumer.emit('transportclose');
    tap.close('error');
    tap.closed$.subscribe((reason) => reasons.push(`late ${reason}`));
    tap.rtp$.subscribe({ next: (packet) => received.push(packet), complete: () => received.push('complete') });
    expect(received).toEqual(['complete', 'complete']);
    expect(reasons).toEqual(['owner', 'late owner']);
    expect(consumer).toMatchObject({ closed: true, resumed: 1 });
  });

  it('closes where the host cannot resume', async () => {
    const { tap, consumer } = await open();
    consumer.resumeFault = new Error('gone');
    const reason = new Promise((resolve) => tap.closed$.subscribe(resolve));
    tap.rtp$.subscribe();
    expect(await reason).toBe('error');
  });

  it('makes one DirectTransport a router, and a new one where that is gone or failed', async () => {
    const router = new FakeRouter();
    router.transportFault = new Error('not now');
    await expect(openTap(router, 'mic', owner)).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
    router.transportFault = undefined;
    await Promise.all([openTap(router, 'a', owner), openTap(router, 'b', owner)]);
    expect(router.transports).toBe(1);
    router.transport?.close();
    await Promise.all([openTap(router, 'a', owner), openTap(router, 'b', owner)]);
    expect(router.transports).toBe(2);
  });

  it('does not ask the host at all where it was aborted before', async () => {
    const router = new FakeRouter();
    await expect(openTap(router, 'mic', owner, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
    expect(router.transports).toBe(0);
  });
});
