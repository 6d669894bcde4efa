// More to do than the machine can: other processes take the inference thread's core away from it, and later give it back.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import { startDemo, type Demo } from '../../../tools/callers/demo-call.ts';
import { metricOf, startApp, type EventOf, type Reader, type TestApp } from '../../support/server.ts';

const callId = 'busy';
const callers = 24;
const calmMs = 1000;
/** What the inference thread is left with: half of what so many callers ask for at the full hop, 45 windows a second of 0.3 ms. */
const leftShare = 0.0075;
const lowestPriority = 19;
const maxAgeMs = 2000;

/** A point, and when it came. */
interface Heard {
  readonly point: EventOf<'point'>;
  readonly atUnixMs: number;
}

let server: TestApp;
let demo: Demo;
let live: Reader;
const heard: Heard[] = [];
let busy: ChildProcess[] = [];

const hopMs = (): Promise<number> => server.metric('undertone_hop_ms');

/** This process's inference thread. */
function inferenceThread(): number {
  const name = 'undertone-inference'.slice(0, 15);
  const nameOf = (id: string): string => readFileSync(`/proc/self/task/${id}/comm`, 'utf8').trim();
  const found = readdirSync('/proc/self/task').find((id) => nameOf(id) === name);
  if (found === undefined) throw new Error('Expected an inference thread, got none');
  return Number(found);
}

/** The weight of a priority in Linux's scheduler: a tenth of the time more or less with each step, a quarter of the weight. */
const weightOf = (priority: number): number => 1.25 ** -priority;

/** Puts the inference thread last on a core that processes without end share with it. */
function takeCoreAway(): void {
  const [, core = '0'] = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const thread = inferenceThread();
  execFileSync('taskset', ['-cp', core, String(thread)]);
  setPriority(thread, lowestPriority);
  const count = Math.ceil((weightOf(lowestPriority) * (1 / leftShare - 1)) / weightOf(getPriority()));
  busy = Array.from({ length: count }, () => spawn('taskset', ['-c', core, process.execPath, '-e', 'for (;;);'], { stdio: 'ignore' }));
}

function giveCoreBack(): void {
  for (const one of busy) one.kill('SIGKILL');
  busy = [];
}

/** An upper bound of the run time of the slowest batch so far, ms: the first bucket that holds them all. */
function slowestBatchMs(text: string): number {
  const all = metricOf(text, 'undertone_inference_ms_count');
  const buckets = [...text.matchAll(/^undertone_inference_ms_bucket\{le="(\d+)"\} (\d+)$/gm)].map(([, le, count]) => [
    Number(le),
    Number(count),
  ]);
  const [boundMs] = buckets.find(([, count]) => count === all) ?? [];
  if (boundMs === undefined) throw new Error('Expected every batch to be within the widest bucket');
  return boundMs;
}

/** Points that came since then. */
const since = (atUnixMs: number): Heard[] => heard.filter((one) => one.atUnixMs >= atUnixMs);

async function until(what: string, condition: () => boolean | Promise<boolean>, ms: number): Promise<void> {
  const untilMs = systemClock.nowMs() + ms;
  while (!(await condition())) {
    await delay(100);
    if (systemClock.nowMs() > untilMs) throw new Error(`Expected ${what} within ${String(ms)} ms`);
  }
}

// Only there can a single thread be held up.
describe.runIf(process.platform === 'linux')('a server with more to do than it can', { timeout: 150_000 }, () => {
  beforeAll(async () => {
    server = await startApp({ overload: { calmMs }, batching: { maxAgeMs }, pipeline: { workers: 1 } });
    demo = await startDemo({ sfu: server.app.sfu, callId, callers });
    live = await server.read(callId);
    live.subscription.on('point', (point) => heard.push({ point, atUnixMs: systemClock.nowMs() }));
    await until('points', () => heard.length > 20, 30_000);
  });

  afterAll(async () => {
    giveCoreBack();
    await demo.stop();
    await server.close();
  });

  it('widens the hop, says so, keeps up at it, and goes back by itself once it can', async () => {
    await until('the full hop', async () => (await hopMs()) === 240, 30_000);
    expect(await server.metric('undertone_callers_waiting')).toBe(0);

    takeCoreAway();
    await until('a wider hop', () => heard.some(({ point }) => point.hopMs > 240), 30_000);
    // What was behind is caught up with, or left out, and who has to wait does.
    await delay(8000);
    expect(await hopMs()).toBeGreaterThan(240);
    const steadyFromMs = systemClock.nowMs();
    await delay(10_000);
    const steady = since(steadyFromMs);
    expect(steady.length).toBeGreaterThan(5);
    expect(steady.filter(({ point }) => point.hopMs > 240).length).toBeGreaterThan(0.9 * steady.length);
    const text = await server.app.metrics.registry.metrics();
    // Nothing queues up: the oldest is as old as a window may become, and the batch that it is in takes its time, on a slow machine more.
    const oldestMs = maxAgeMs + Math.max(1500, slowestBatchMs(text) + 500);
    for (const { point, atUnixMs } of steady) expect(atUnixMs - point.arrivedAtUnixMs).toBeLessThan(oldestMs);
    const made = metricOf(text, 'undertone_queue_ms_count');
    expect(made).toBeGreaterThan(0);
    expect(metricOf(text, 'undertone_queue_ms_bucket', { le: String(maxAgeMs) })).toBe(made);

    giveCoreBack();
    await until('the full hop', async () => (await hopMs()) === 240, 60_000);
    const backMs = systemClock.nowMs();
    await until('points at the full hop', () => since(backMs).some(({ point }) => point.hopMs === 240), 10_000);
    await delay(3000);
    const back = since(backMs + 1500);
    expect(back.length).toBeGreaterThan(5);
    for (const { point, atUnixMs } of back) expect([point.hopMs, atUnixMs - point.arrivedAtUnixMs < 1000]).toEqual([240, true]);
    expect(await server.metric('undertone_callers_waiting')).toBe(0);
    const steps = (direction: string): Promise<number> => server.metric('undertone_overload_steps_total', { direction });
    expect(await steps('up')).toBe(await steps('down'));
  });

  it('says the hop in every point and the widest in every segment', () => {
    for (const { hopMs } of [...live.all('point'), ...live.all('segment')]) expect([240, 480, 960]).toContain(hopMs);
    expect(live.all('segment').some(({ hopMs }) => hopMs > 240)).toBe(true);
    expect(live.events.items.map(({ seq }) => seq)).toEqual(live.events.items.map((_, index) => index + 1));
  });

  it('tells of each wait by gaps, in which the participant has no point', () => {
    for (const gap of live.all('gap').filter(({ reason }) => reason === 'waiting')) {
      const { participantId, startMs, atMs } = gap;
      // What had arrived before it, and what was kept of its end, is scored.
      const within = live.all('point', participantId).filter((point) => point.atMs > startMs + 500 && point.atMs < atMs - 500);
      expect(within).toEqual([]);
    }
  });
});
