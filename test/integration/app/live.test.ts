// From a caller's packets to a subscriber's events, through everything that lies between.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../config/schema.ts';
import { startDemo, type Demo } from '../../../tools/callers/demo-call.ts';
import type { Said } from '../../../tools/callers/callers.ts';
import { fetchCalls, fetchTimeline, getJson, startApp, type Reader, type TestApp } from '../../support/server.ts';

const callId = 'demo';
const manifestFile = new URL(`../../../${defaultConfig().model.dir}/manifest.json`, import.meta.url);
const { labels, hopFrames, windowFrames } = JSON.parse(readFileSync(manifestFile, 'utf8')) as {
  labels: string[];
  hopFrames: number;
  windowFrames: number;
};
/** Media from a window's first sample to its last: the hops of its frames, and the rest of the last one. */
const windowMs = (windowFrames - 1) * 10 + 25;

describe.each([0, 1, 2])('with %i pipeline threads,', (workers) => {
  let server: TestApp;
  let demo: Demo;
  let live: Reader;
  const said: Said[] = [];

  beforeAll(async () => {
    server = await startApp({ pipeline: { workers } });
    demo = await startDemo({ sfu: server.app.sfu, callId, callers: 3, talkRatio: 0.95, onSaid: (one) => said.push(one) });
    live = await server.read(callId);
    // Three verdicts, of two speakers at least: they take turns.
    await live.events.first(() => live.all('segment').length >= 3);
  });

  afterAll(async () => {
    await demo.stop();
    await server.close();
  });

  describe('a subscriber of the demo call', () => {
    it('is told who is there, in which role, and that they agreed', () => {
      expect(live.all('participant')).toMatchObject([
        { participantId: 'demo-1', action: 'joined', role: 'customer' },
        { participantId: 'demo-2', action: 'joined', role: 'guest' },
        { participantId: 'demo-3', action: 'joined', role: 'customer' },
      ]);
      expect(live.all('consent')).toMatchObject(
        ['demo-1', 'demo-2', 'demo-3'].map((participantId) => ({ participantId, consent: 'granted', measured: true, reason: 'consented' })),
      );
    });

    it('gets every event once and in order, and no complaint', () => {
      expect(live.events.items.map(({ seq }) => seq)).toEqual(live.events.items.map((_, index) => index + 1));
      expect(new Set(live.events.items.map(({ epoch }) => epoch)).size).toBe(1);
      expect(live.errors).toEqual([]);
      // A machine that is busy with other things may leave some unscored, and says so.
      expect(live.all('gap').filter(({ reason }) => reason !== 'overload')).toEqual([]);
    });

    it('gets points with the probability of each class, of windows of the length that the model takes', () => {
      expect(labels).toHaveLength(6);
      for (const point of live.all('point')) {
        expect(Object.keys(point.probabilities)).toEqual(labels);
        const probabilities = Object.values(point.probabilities);
        expect(probabilities.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 4);
        for (const probability of probabilities) expect(probability).toBeGreaterThanOrEqual(0);
        expect([...labels, 'uncertain']).toContain(point.label);
        expect(point.confidence).toBeGreaterThan(0);
        expect(point.confidence).toBeLessThanOrEqual(1);
        expect(point.speechRatio).toBeGreaterThan(0);
        expect(point.speechRatio).toBeLessThanOrEqual(1);
        expect(point.concealedRatio).toBe(0);
        expect(point.hopMs % (hopFrames * 10)).toBe(0);
        expect(point.atMs - point.startMs).toBeLessThanOrEqual(windowMs + 1);
      }
    });

    it('hears each participant’s media clock go forward', () => {
      for (const { participantId } of live.all('participant')) {
        const points = live.all('point', participantId).map(({ atMs }) => atMs);
        expect(points).toEqual([...new Set(points)].sort((a, b) => a - b));
        const turns = live.all('speech', participantId);
        expect(turns.map(({ atMs }) => atMs)).toEqual(turns.map(({ atMs }) => atMs).sort((a, b) => a - b));
        expect(turns.map(({ state }) => state)).toEqual(turns.map((_, index) => (index % 2 === 0 ? 'start' : 'end')));
      }
    });

    it('hears speech begin, then points, then speech end with one verdict over them', () => {
      const verdicts = live.all('segment');
      expect(new Set(verdicts.map(({ participantId }) => participantId)).size).toBeGreaterThanOrEqual(2);
      for (const verdict of verdicts) {
        const { participantId, seq } = verdict;
        const own = live.events.items.filter(
          (event) => 'participantId' in event && event.participantId === participantId && event.seq < seq,
        );
        const end = own.findLast((event) => event.type === 'speech' && event.state === 'end');
        const start = own.findLast((event) => event.type === 'speech' && event.state === 'start');
        expect(end?.atMs).toBe(verdict.atMs);
        expect(start?.atMs).toBe(verdict.startMs);
        expect(verdict.points).toBeGreaterThan(0);
        const points = own.filter((event) => event.type === 'point' && event.seq > (start?.seq ?? Infinity));
        expect(points).toHaveLength(verdict.points);
        expect(Object.values(verdict.probabilities).reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 4);
      }
    });

    it('hears of speech only of those who speak', () => {
      const speakers = new Set(said.map(({ participantId }) => participantId));
      for (const { participantId } of live.all('speech')) expect(speakers).toContain(participantId);
    });
  });

  describe('over HTTP', () => {
    it('the call is listed as it stands, and its timeline is what was streamed', async () => {
      const token = await server.token();
      const stream = [...live.events.items];
      const { call, events, firstSeq, epoch } = await fetchTimeline(server.url, callId, token, 7);
      expect(firstSeq).toBe(1);
      expect(epoch).toBe(stream[0]?.epoch);
      expect(events.slice(0, stream.length)).toEqual(stream);
      expect(call.lastSeq).toBeGreaterThanOrEqual(stream.length);
      const [listed] = await fetchCalls(server.url, token);
      expect(listed).toMatchObject({ callId, epoch, live: true, purpose: 'conversation', region: 'EU' });
      expect(listed?.participants.map(({ participantId, present, measured }) => ({ participantId, present, measured }))).toEqual(
        ['demo-1', 'demo-2', 'demo-3'].map((participantId) => ({ participantId, present: true, measured: true })),
      );
    });

    it('health, readiness and metrics tell of a server at work', async () => {
      expect(await getJson(`${server.url}/healthz`)).toEqual({ status: 'ok' });
      expect(await getJson(`${server.url}/readyz`)).toEqual({ ready: true, missing: [], engine: server.app.engineName });
      expect(await server.metric('undertone_inference_threads', { engine: server.app.engineName })).toBe(1);
      const points = live.all('point').length;
      expect(await server.metric('undertone_arrival_to_event_ms_count')).toBeGreaterThanOrEqual(points);
      expect(await server.metric('undertone_windows_total', { fate: 'scored' })).toBeGreaterThanOrEqual(points);
      expect(await server.metric('undertone_events_total', { type: 'point' })).toBeGreaterThanOrEqual(points);
      const received = await server.metric('undertone_rtp_packets_total', { fate: 'received' });
      expect(received).toBeGreaterThan(0);
      expect(await server.metric('undertone_calls')).toBe(1);
      expect(await server.metric('undertone_participants')).toBe(3);
      expect(await server.metric('undertone_taps')).toBe(3);
      expect(await server.metric('undertone_decode_errors_total')).toBe(0);
      expect(await server.metric('undertone_rtp_packets_total', { fate: 'malformed' })).toBe(0);
    });

    it('metrics carry no name, no emotion, and no id of a person or call', async () => {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      expect(text).not.toMatch(new RegExp([...labels, callId, 'customer', 'guest'].join('|')));
    });
  });

  describe('when the call ends', () => {
    it('all its talk is told before the end, and a replay is what was streamed', async () => {
      server.app.sfu.endCall(callId);
      const end = await live.first('end');
      expect(end.reason).toBe('closed');
      expect(live.events.items.at(-1)).toBe(end);
      const stream = live.events.items;
      expect(live.all('participant').filter(({ action }) => action === 'left')).toHaveLength(3);
      const speaking = new Map<string, string>();
      for (const { participantId, state } of live.all('speech')) speaking.set(participantId, state);
      expect([...speaking.values()]).not.toContain('start');

      const replay = await server.read(callId);
      await replay.first('end');
      expect(replay.events.items).toEqual(stream);
      expect((await fetchTimeline(server.url, callId, await server.token())).events).toEqual(stream);
      expect(await fetchCalls(server.url, await server.token())).toMatchObject([{ callId, live: false, lastSeq: stream.length }]);
      // One who comes back with a position gets what lies after it, and no more.
      const position = { epoch: end.epoch, seq: stream.length - 3 };
      const resumed = await server.read(callId, position);
      await resumed.first('end');
      expect(resumed.events.items).toEqual(stream.slice(-3));
    });
  });
});
