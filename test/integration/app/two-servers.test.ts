// Two whole servers over one Redis: each serves the calls of the other, also when the other is gone.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connect, type UndertoneClient } from '../../../client-sdk/src/index.ts';
import { fetchCalls, fetchTimeline, getJson, Reader, startCli, type Ready, type ServerProcess } from '../../support/server.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';

const secret = 'a secret of a test, 32 bytes long';

let redis: TestRedis;
let a: ServerProcess;
let b: ServerProcess;
let readyA: Ready;
let readyB: Ready;
const clients: UndertoneClient[] = [];

beforeAll(async () => {
  redis = await startRedis();
  const environment = {
    UNDERTONE_AUTH_SECRET: secret,
    UNDERTONE_TIMELINE_STORE: 'redis',
    UNDERTONE_TIMELINE_REDIS_URL: redis.url,
    UNDERTONE_MEDIA_WORKERS: '1',
  };
  a = startCli(['--port', '0', '--json'], { ...environment, UNDERTONE_DEMO_CALLERS: '2' });
  b = startCli(['--port', '0', '--json', '--no-demo'], environment);
  [readyA, readyB] = await Promise.all([a.ready(), b.ready()]);
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all([a.kill(), b.kill()]);
  await redis.close();
});

/** A reader of A's demo call from its start, with the token that A printed. */
function read({ url }: Ready): Reader {
  const client = connect({ url, token: readyA.token });
  clients.push(client);
  return new Reader(client.subscribe(readyA.callId, { from: 'start' }));
}

describe('two servers over one Redis', () => {
  let atA: Reader;
  let atB: Reader;

  it('B lists, streams and replays the demo call of A', async () => {
    atA = read(readyA);
    atB = read(readyB);
    await atB.first('segment');
    const latest = atB.events.items.at(-1);
    await atA.events.first((event) => event.seq >= (latest?.seq ?? 0));
    const streamed = atB.events.items;
    expect(streamed.map(({ seq }) => seq)).toEqual(streamed.map((_, index) => index + 1));
    expect(atA.events.items.slice(0, streamed.length)).toEqual(streamed.slice(0, atA.events.items.length));
    expect(atB.all('point').length).toBeGreaterThan(0);
    expect([...atA.errors, ...atB.errors]).toEqual([]);

    expect(await fetchCalls(readyB.url, readyA.token)).toMatchObject([{ callId: 'demo', live: true, epoch: streamed[0]?.epoch }]);
    const replay = read(readyB);
    await replay.events.count(streamed.length);
    expect(replay.events.items.slice(0, streamed.length)).toEqual(streamed.slice(0, replay.events.items.length));
  });

  it('when A is killed, B says that the call is not live, and still serves what was said', async () => {
    a.child.kill('SIGKILL');
    await a.exited;
    await a.gone();
    await vi.waitFor(async () => expect(await fetchCalls(readyB.url, readyA.token)).toMatchObject([{ callId: 'demo', live: false }]), {
      timeout: 40_000,
      interval: 200,
    });
    const history = await fetchTimeline(readyB.url, 'demo', readyA.token);
    expect(history.call.live).toBe(false);
    expect(history.events.map(({ seq }) => seq)).toEqual(history.events.map((_, index) => index + 1));
    expect(history.events.slice(0, atA.events.items.length)).toEqual(atA.events.items);
    const replay = read(readyB);
    await replay.events.count(history.events.length);
    expect(replay.events.items).toEqual(history.events);
    expect((await replay.subscribed).live).toBe(false);
    expect(await getJson(`${readyB.url}/readyz`)).toMatchObject({ ready: true, missing: [] });
  });

  it('a new server in the place of A holds the demo call anew, and readers at B follow', async () => {
    const environment = { UNDERTONE_AUTH_SECRET: secret, UNDERTONE_TIMELINE_STORE: 'redis', UNDERTONE_TIMELINE_REDIS_URL: redis.url };
    const before = atB.events.items.at(-1)?.epoch;
    a = startCli(['--port', '0', '--json'], { ...environment, UNDERTONE_MEDIA_WORKERS: '1', UNDERTONE_DEMO_CALLERS: '1' });
    await a.ready();
    const anew = await atB.events.first(({ epoch }) => epoch !== before);
    expect(anew).toMatchObject({ seq: 1, type: 'participant' });
    a.child.kill('SIGTERM');
    expect(await a.exited).toMatchObject({ code: 0 });
    const end = await atB.first('end');
    expect(end).toMatchObject({ reason: 'shutdown', epoch: anew.epoch });
  });
});
