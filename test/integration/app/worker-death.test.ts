// A media worker that is killed under a call: the call ends and says why, and the server goes on.
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startDemo, type Demo } from '../../../tools/callers/demo-call.ts';
import { fetchCalls, getJson, startApp, type TestApp } from '../../support/server.ts';

let server: TestApp;
const demos: Demo[] = [];

beforeAll(async () => {
  server = await startApp();
});

afterAll(async () => {
  await Promise.all(demos.map((demo) => demo.stop()));
  await server.close();
});

async function demoCall(callId: string): Promise<void> {
  demos.push(await startDemo({ sfu: server.app.sfu, callId, callers: 2 }));
}

it('the call ends with an event, a new worker takes its place, and the same call can be held again', async () => {
  await demoCall('demo');
  const reader = await server.read('demo');
  const resyncs: string[] = [];
  reader.subscription.on('resync', ({ reason }) => resyncs.push(reason));
  await reader.first('speech');
  const [pid = 0] = server.app.sfu.workerPids;
  process.kill(pid, 'SIGKILL');

  const end = await reader.first('end');
  expect(end.reason).toBe('media-worker-died');
  expect(reader.events.items.at(-1)).toBe(end);
  expect(reader.all('participant').filter(({ action }) => action === 'left')).toHaveLength(2);
  expect(await fetchCalls(server.url, await server.token())).toMatchObject([{ callId: 'demo', live: false }]);
  await vi.waitFor(async () => expect(await getJson(`${server.url}/readyz`)).toMatchObject({ ready: true, missing: [] }), {
    timeout: 20_000,
  });
  expect(await server.metric('undertone_media_worker_deaths_total')).toBe(1);
  for (const gauge of ['undertone_calls', 'undertone_participants', 'undertone_taps']) expect(await server.metric(gauge), gauge).toBe(0);

  // Whoever still listens is told that the call began anew, and hears it.
  await demoCall('demo');
  const point = await reader.first('point', ({ epoch }) => epoch !== end.epoch);
  expect(resyncs).toEqual(['epoch']);
  const second = reader.events.items.filter(({ epoch }) => epoch === point.epoch);
  expect(second.map(({ seq }) => seq)).toEqual(second.map((_, index) => index + 1));
  expect(await fetchCalls(server.url, await server.token())).toMatchObject([{ callId: 'demo', live: true, epoch: point.epoch }]);
});
