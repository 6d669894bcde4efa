// The order of a timeline when people leave, think again, or fail, while scores of theirs are still to come.
import { Subject } from 'rxjs';
import type { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { MemoryTimelineStore } from '../../../src/gateway/memory-store.ts';
import { Timeline } from '../../../src/gateway/timeline.ts';
import type { TimelineEvent } from '../../../src/gateway/types.ts';
import { Measurement, type MeasurementOptions } from '../../../src/measurement.ts';
import { MediaMeter } from '../../../src/media-meter.ts';
import { createMetrics } from '../../../src/metrics.ts';
import { loadManifest } from '../../../src/models/manifest.ts';
import { EmotionService } from '../../../src/models/service.ts';
import type { TellWait } from '../../../src/overload/overload.ts';
import { Pace } from '../../../src/pipeline/pace.ts';
import { mainThreadPipelines, type CallerPipelines } from '../../../src/pipeline/pipelines.ts';
import type { ClosedReason, ConsentState, ParticipantInfo, RawRtp, TrackCodec, TrackInfo } from '../../../src/sfu/types.ts';
import { speechSamples } from '../../../tools/bench/speech.ts';
import { createPcmuEncoder } from '../../../tools/evaluate/encoders.ts';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { metricOf } from '../../support/server.ts';
import { silentLogger, timelineOptions } from '../../support/timeline.ts';
import { FakeEngine, tinyModelDir } from '../models/support.ts';
import { openPool } from '../pipeline/pool-support.ts';

const callId = 'call';
const call = { callId, purpose: 'support', region: 'eu' };
const pcmu: TrackCodec = { mimeType: 'audio/pcmu', clockRateHz: 8000, channels: 1, payloadType: 0 };
const openedAtUnixMs = 1_700_000_000_000;
const quiet = new Uint8Array(160).fill(0xff);
/** Someone's words over a telephone, again and again. */
const words = createPcmuEncoder().encode(await speechSamples(2));

let engine: FakeEngine;
let emotion: EmotionService;
let measurement: Measurement;
let store: MemoryTimelineStore;
let metrics: ReturnType<typeof createMetrics>;
let nowMs: number;
/** What is told of waits, the pace of each track, and who was said to speak or to have gone. */
let overload: { readonly waits: Map<string, TellWait>; readonly paces: Map<string, Pace>; readonly told: string[] };
let pipelines: CallerPipelines = mainThreadPipelines;
/** Pipeline threads, in order of their start. */
let threads: readonly Worker[] = [];

beforeEach(async () => {
  nowMs = openedAtUnixMs;
  const clock = { nowMs: () => nowMs };
  engine = new FakeEngine();
  store = new MemoryTimelineStore();
  metrics = createMetrics();
  const meter = new MediaMeter(metrics);
  const batching = { maxQueueMs: 0, maxAgeMs: 60_000 };
  emotion = new EmotionService({ model: await loadManifest(tinyModelDir), engines: [engine], logger: silentLogger, clock, batching });
  const openCall = (opened: { callId: string; startedAtUnixMs: number }): Timeline =>
    new Timeline(timelineOptions(store, opened.callId, { clock, startedAtUnixMs: opened.startedAtUnixMs }));
  const [waits, paces, told] = [new Map<string, TellWait>(), new Map<string, Pace>(), [] as string[]];
  overload = { waits, paces, told };
  const decides: MeasurementOptions['overload'] = {
    join: (trackId, tell) => {
      const pace = new Pace();
      waits.set(trackId, tell);
      paces.set(trackId, pace);
      return pace;
    },
    speech: (trackId, state) => told.push(`${trackId} ${state}`),
    leave: (trackId, { tell }) => told.push(`${trackId} ${tell ? 'left' : 'withdrew'}`),
  };
  measurement = new Measurement({ emotion, openCall, meter, clock, logger: silentLogger, pipelines, overload: decides });
  measurement.handle({ type: 'callOpened', call, openedAtUnixMs });
});

afterEach(async () => {
  await emotion.close();
  await measurement.close();
  await store.close();
});

/** A participant as the SFU would report them, whose packets the test hands in. */
class Person {
  readonly participantId: string;
  readonly closedBy: ClosedReason[] = [];
  #info: ParticipantInfo;
  #packets = new Subject<RawRtp>();
  #track: TrackInfo | undefined;
  #index = 0;

  constructor(participantId: string) {
    this.participantId = participantId;
    this.#info = { callId, participantId, role: 'customer', consent: 'granted' };
    measurement.handle({ type: 'participantJoined', participant: this.#info });
    this.decide('granted', true);
  }

  decide(consent: ConsentState, allow: boolean): void {
    this.#info = { ...this.#info, consent };
    const decision = { allow, reason: allow ? 'consented' : 'consent-withdrawn' };
    measurement.handle({ type: 'decision', participant: this.#info, call, decision });
  }

  openTap(trackId: string, codec = pcmu): void {
    const packets = new Subject<RawRtp>();
    const track = { callId, participantId: this.participantId, trackId, codec };
    this.#packets = packets;
    this.#track = track;
    const close = (reason: ClosedReason = 'owner'): void => {
      this.closeTap(reason);
    };
    measurement.handle({ type: 'tapOpened', tap: { track, rtp$: packets, closed: false, close }, participant: this.#info });
  }

  closeTap(reason: ClosedReason): void {
    const track = this.#track;
    if (track === undefined) return;
    this.#track = undefined;
    this.closedBy.push(reason);
    this.#packets.complete();
    measurement.handle({ type: 'tapClosed', track, reason });
  }

  leave(): void {
    this.closeTap('source');
    measurement.handle({ type: 'participantLeft', participant: this.#info });
  }

  /** Says the next so many packets of speech. */
  say(count: number): void {
    for (let said = 0; said < count; said += 1) this.send(words[this.#index % words.length] ?? quiet, 1);
  }

  send(payload: Uint8Array, count: number): void {
    for (let sent = 0; sent < count; sent += 1) {
      const index = this.#index++;
      const data = writeRtp({ sequenceNumber: index, timestamp: index * 160, ssrc: 1, payloadType: 0, payload });
      nowMs = openedAtUnixMs + 100 + index * 20;
      this.#packets.next({ data, arrivalMs: nowMs });
    }
  }

  /** Sends packets that never arrive. */
  lose(count: number): void {
    this.#index += count;
  }

  /** Speaks until windows of theirs are with the engine. */
  async speak(): Promise<void> {
    // The decoder's readiness is a promise.
    await Promise.resolve();
    this.send(quiet, 25);
    this.say(60);
    await vi.waitFor(() => expect(engine.held).toBeGreaterThan(0));
  }

  get observed(): boolean {
    return this.#packets.observed;
  }
}

/** Answers all batches, those that come of it too, until what is awaited has happened. */
async function answerUntil(condition: () => Promise<void>): Promise<void> {
  await vi.waitFor(async () => {
    await engine.finish();
    await condition();
  });
}

async function events(): Promise<readonly TimelineEvent[]> {
  return (await store.read(callId, 0, 1000))?.events ?? [];
}

function brief(event: TimelineEvent): string {
  if (event.type === 'participant') return event.action;
  if (event.type === 'speech') return `speech ${event.state}`;
  if (event.type === 'consent') return event.measured ? 'measured' : 'not measured';
  return event.type;
}

/** The story of a participant: what was written of them, repeated points told once. */
async function storyOf(participantId: string): Promise<string[]> {
  const own = (await events()).filter((event) => 'participantId' in event && event.participantId === participantId).map(brief);
  return own.filter((what, index) => what !== own[index - 1]);
}

describe.each([0, 1])('with %i pipeline threads,', (count) => {
  beforeAll(async () => {
    if (count === 0) return;
    const opened = await openPool({ threads: count });
    pipelines = opened.pool;
    threads = opened.workers;
  });

  afterAll(async () => {
    await pipelines.close();
    pipelines = mainThreadPipelines;
  });

  describe('who leaves while scores are to come', () => {
    it('is heard out: points and verdict come first, then that they left, then that the call ended', async () => {
      const person = new Person('p');
      person.openTap('t');
      await person.speak();
      person.leave();
      measurement.handle({ type: 'callClosed', call, reason: 'empty' });
      await vi.waitFor(async () => expect(await storyOf('p')).toEqual(['joined', 'measured', 'speech start', 'speech end']));

      await answerUntil(async () => expect((await events()).at(-1)?.type).toBe('end'));
      expect(await storyOf('p')).toEqual(['joined', 'measured', 'speech start', 'speech end', 'point', 'segment', 'left']);
      expect((await events()).at(-1)).toMatchObject({ type: 'end', reason: 'empty' });
      expect(person.observed).toBe(false);
    });

    it('and comes back at once has joined again only after having left', async () => {
      const person = new Person('p');
      person.openTap('t');
      await person.speak();
      person.leave();
      const again = new Person('p');
      again.openTap('t2');
      await answerUntil(async () => expect((await storyOf('p')).slice(-3)).toEqual(['left', 'joined', 'measured']));
    });

    it('keeps nobody else waiting', async () => {
      const [person, other] = [new Person('p'), new Person('q')];
      person.openTap('t');
      await person.speak();
      person.leave();
      other.decide('withdrawn', false);
      await vi.waitFor(async () => expect(await storyOf('q')).toEqual(['joined', 'measured', 'not measured']));
    });
  });

  describe('who withdraws', () => {
    it('has what is under way discarded, and a new track begins anew where they agree again', async () => {
      const person = new Person('p');
      person.openTap('t');
      await person.speak();
      person.closeTap('owner');
      person.decide('withdrawn', false);
      expect(person.observed).toBe(false);
      while (engine.held > 0) await engine.finish();
      await vi.waitFor(async () => expect((await storyOf('p')).at(-1)).toBe('not measured'));
      const story = await storyOf('p');
      expect(story).not.toContain('point');
      expect(story).not.toContain('segment');

      person.decide('granted', true);
      person.openTap('t2');
      await person.speak();
      await answerUntil(async () => expect((await storyOf('p')).at(-1)).toBe('point'));
      expect((await storyOf('p')).slice(story.length)).toEqual(['measured', 'speech start', 'point']);
    });
  });

  describe('who speaks over a bad line', () => {
    /** The points and segments of someone of whom `lost` in ten packets of speech are lost. */
    const verdictsOf = async (lost: number): Promise<{ concealedRatio: number; unreliable: boolean }[]> => {
      const person = new Person('p');
      person.openTap('t');
      await Promise.resolve();
      person.send(quiet, 25);
      for (let block = 0; block < 10; block += 1) {
        person.say(10 - lost);
        person.lose(lost);
      }
      person.say(10);
      person.leave();
      await answerUntil(async () => expect(await storyOf('p')).toContain('left'));
      return (await events()).flatMap((event) => (event.type === 'point' || event.type === 'segment' ? [event] : []));
    };

    it('has verdicts that say how much of them was made up, and that they are unreliable from a quarter on', async () => {
      const verdicts = await verdictsOf(4);
      expect(verdicts.length).toBeGreaterThan(2);
      expect(verdicts.some(({ unreliable }) => unreliable)).toBe(true);
      for (const { concealedRatio, unreliable } of verdicts) expect(unreliable).toBe(concealedRatio > 0.25);
      expect(Math.max(...verdicts.map(({ concealedRatio }) => concealedRatio))).toBeGreaterThan(0.25);
    });

    it('has reliable verdicts where little was lost', async () => {
      const verdicts = await verdictsOf(1);
      expect(verdicts.length).toBeGreaterThan(2);
      for (const { concealedRatio, unreliable } of verdicts) expect([unreliable, concealedRatio <= 0.25]).toEqual([false, true]);
      expect(verdicts.some(({ concealedRatio }) => concealedRatio > 0)).toBe(true);
    });
  });

  describe('where there is too much to do', () => {
    it('goes by the pace that is set, and each point and segment says the hop', async () => {
      const person = new Person('p');
      person.openTap('t');
      overload.paces.get('t')!.hopFactor = 2;
      await person.speak();
      person.leave();
      await answerUntil(async () => expect(await storyOf('p')).toContain('left'));
      const said = (await events()).flatMap((event) => (event.type === 'point' || event.type === 'segment' ? [event] : []));
      const { hopFrames } = emotion.manifest;
      expect(said.length).toBeGreaterThan(1);
      for (const { hopMs } of said) expect(hopMs).toBe(2 * hopFrames * 10);
      expect(overload.told.toSorted()).toEqual(['t end', 't left', 't start']);
    });

    it('writes of a wait where it lay on the clock of the call, and to nobody who withdrew', async () => {
      const person = new Person('p');
      person.openTap('t');
      const tell = overload.waits.get('t');
      tell?.(openedAtUnixMs + 2000, openedAtUnixMs + 3000.4);
      await vi.waitFor(async () => expect((await events()).at(-1)?.type).toBe('gap'));
      expect((await events()).at(-1)).toMatchObject({ participantId: 'p', startMs: 2000, atMs: 3000, reason: 'waiting' });
      person.closeTap('owner');
      person.decide('withdrawn', false);
      expect(overload.told).toEqual(['t withdrew']);
    });
  });

  describe('a track that cannot be measured', () => {
    it('of a codec that is not known is closed, and the others go on', async () => {
      const [person, other] = [new Person('p'), new Person('q')];
      person.openTap('t', { ...pcmu, mimeType: 'audio/isac' });
      expect(person.closedBy).toEqual(['error']);
      expect(person.observed).toBe(false);
      other.openTap('u');
      await other.speak();
      await answerUntil(async () => expect(await storyOf('q')).toContain('point'));
      expect(await storyOf('p')).toEqual(['joined', 'measured']);
    });
  });
});

describe('who speaks while their pipeline thread dies', () => {
  beforeAll(async () => {
    const opened = await openPool();
    pipelines = opened.pool;
    threads = opened.workers;
  });

  afterAll(async () => {
    await pipelines.close();
    pipelines = mainThreadPipelines;
  });

  it('has that utterance ended, the gap told, and is heard on; each packet is counted once', async () => {
    const person = new Person('p');
    person.openTap('t');
    await person.speak();
    void threads[0]?.terminate();
    await vi.waitFor(async () => expect(await storyOf('p')).toEqual(['joined', 'measured', 'speech start', 'speech end', 'gap']));
    const gap = (await events()).find((event) => event.type === 'gap');
    expect(gap).toMatchObject({ participantId: 'p', reason: 'media' });
    await answerUntil(async () => expect((await storyOf('p')).at(-1)).toBe('segment'));

    await vi.waitFor(() => expect(pipelines.ready).toBe(true));
    person.send(quiet, 25);
    person.say(120);
    person.leave();
    await answerUntil(async () => expect(await storyOf('p')).toContain('left'));
    const written = (await events()).flatMap((event) => (event.type === 'point' || event.type === 'speech' ? [event] : []));
    // How many windows are answered before the end of the utterance is up to the thread: its packets may cross in parts.
    const after = (await storyOf('p')).slice((await storyOf('p')).lastIndexOf('speech start'));
    expect(after.filter((event) => event !== 'point')).toEqual(['speech start', 'speech end', 'segment', 'left']);
    expect(after).toContain('point');
    expect(after.lastIndexOf('point')).toBeLessThan(after.indexOf('segment'));
    const points = written.filter(({ type }) => type === 'point').map(({ atMs }) => atMs);
    expect(points).toEqual([...new Set(points)].sort((a, b) => a - b));
    const text = await metrics.registry.metrics();
    const of = (fate: string): number => metricOf(text, 'undertone_rtp_packets_total', { fate });
    expect(of('received')).toBe(25 + 60 + 25 + 120);
    expect(of('played') + of('overflow')).toBe(of('received'));
    expect(of('overflow')).toBeLessThanOrEqual(85);
  });
});

describe('the media counts', () => {
  /** As who reads the metrics sees it. */
  const received = async (): Promise<number> =>
    metricOf(await metrics.registry.metrics(), 'undertone_rtp_packets_total', { fate: 'received' });

  it('are carried over when they are read and when a track ends, each packet once', async () => {
    const person = new Person('p');
    person.openTap('t');
    await Promise.resolve();
    person.send(quiet, 30);
    expect(await received()).toBe(30);
    expect(await received()).toBe(30);
    person.send(quiet, 5);
    person.leave();
    expect(await received()).toBe(35);
    expect(await received()).toBe(35);
  });

  it('tell the jitter of the tracks that are open, and none after them', async () => {
    const levels = async (): Promise<number[]> => {
      const text = await metrics.registry.metrics();
      return ['undertone_rtp_jitter_ms', 'undertone_playout_delay_ms'].map((name) => metricOf(text, name, { of: 'max' }));
    };
    const person = new Person('p');
    person.openTap('t');
    await Promise.resolve();
    person.send(quiet, 30);
    const [jitterMs = NaN, delayMs = NaN] = await levels();
    expect(jitterMs).toBe(0);
    expect(delayMs).toBeGreaterThan(50);
    person.leave();
    expect(await levels()).toEqual([0, 0]);
  });
});
