// Media workers that are killed for real: their calls end with an event, others go on, and new ones work at once.
import { availableParallelism } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { WorkerPool } from '../../../src/sfu/worker-pool.ts';
import { startServer, token, workers } from './support.ts';

let closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
});

async function server(...options: Parameters<typeof startServer>) {
  const started = await startServer(...options);
  closing.push(() => started.close());
  return started;
}

/** Whether a process of that id runs. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('a worker that dies', () => {
  it('ends its calls with an event, and the next call works at once', async () => {
    const { sfu, call, event, events, tapOf, connect, metrics } = await server();
    const client = await connect();
    await client.join('one');
    await call('one', 'ann');
    await call('two', 'bob');
    const ann = await tapOf('ann');
    await ann.packets.count(10);
    const [pid = 0] = sfu.workerPids;
    process.kill(pid, 'SIGKILL');

    await event('callClosed', ({ call: closed, reason }) => closed.callId === 'one' && reason === 'media-worker-died');
    await event('callClosed', ({ call: closed, reason }) => closed.callId === 'two' && reason === 'media-worker-died');
    await ann.completed;
    expect(await client.told('callEnded')).toEqual({ reason: 'media-worker-died' });
    expect(sfu.calls).toEqual([]);
    expect(events.items.filter(({ type }) => type === 'workerDied')).toEqual([{ type: 'workerDied', pid }]);

    await call('three', 'cid');
    await (await tapOf('cid')).packets.count(10);
    // The client's socket was no worker's: it joins again on it.
    expect(await client.join('three')).toMatchObject({ participants: [{ participantId: 'cid' }] });
    expect(sfu.workerPids).not.toContain(pid);
    expect(await metrics.registry.getSingleMetricAsString('undertone_media_worker_deaths_total')).toMatch(/ 1$/m);
    expect(await metrics.registry.getSingleMetricAsString('undertone_taps')).toMatch(/ 1$/m);
    expect(await metrics.registry.getSingleMetricAsString('undertone_calls')).toMatch(/ 1$/m);
    expect(await metrics.registry.getSingleMetricAsString('undertone_participants')).toMatch(/ 2$/m);
  });

  it('leaves the calls of other workers alone', async () => {
    const { sfu, call, event, events, tapOf } = await server({ workers: workers(2) });
    await call('one', 'ann');
    await call('two', 'bob');
    const taps = [await tapOf('ann'), await tapOf('bob')];
    const [pid = 0] = sfu.workerPids;
    process.kill(pid, 'SIGKILL');
    const closed = await event('callClosed');
    const [other] = taps.filter(({ tap }) => tap.track.callId !== closed.call.callId);
    if (other === undefined) throw new Error('Expected a call that goes on');
    await other.packets.count(other.packets.items.length + 30);
    expect(other.tap.closed).toBe(false);
    expect(sfu.calls.map(({ call: open }) => open.callId)).toEqual([other.tap.track.callId]);
    expect(events.items.filter(({ type }) => type === 'callClosed')).toHaveLength(1);
  });
});

describe('WorkerPool', () => {
  it('gives the worker with the least load, and ends all processes on close', async () => {
    const pool = await WorkerPool.create(workers(2));
    closing.push(() => pool.close());
    const [first, second] = await Promise.all([pool.acquire(), pool.acquire()]);
    expect(second).not.toBe(first);
    second.load += 1;
    expect(await pool.acquire()).toBe(first);
    first.load -= 2;
    expect(await pool.acquire()).toBe(first);
    const { pids } = pool;
    expect(pids.map(runs)).toEqual([true, true]);
    expect(pool.ready).toBe(true);
    await Promise.all([pool.close(), pool.close()]);
    expect(pool.ready).toBe(false);
    expect(pids.map(runs)).toEqual([false, false]);
    await expect(pool.acquire()).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
  });

  it('leaves half of the cores to the other stages', async () => {
    const { workerCount: _, ...rest } = workers(1);
    const pool = await WorkerPool.create(rest);
    closing.push(() => pool.close());
    await pool.acquire();
    expect(pool.pids).toHaveLength(Math.max(1, Math.floor(availableParallelism() / 2)));
  });

  it('replaces a worker again and again', async () => {
    const pool = await WorkerPool.create(workers(1));
    closing.push(() => pool.close());
    const seen = new Set<number>();
    for (let round = 0; round < 3; round += 1) {
      const { worker } = await pool.acquire();
      expect(seen).not.toContain(worker.pid);
      seen.add(worker.pid);
      const died = new Promise<void>((resolve) => worker.once('died', () => resolve()));
      process.kill(worker.pid, 'SIGKILL');
      await died;
    }
    // A worker that keeps dying is replaced after a pause, which closing does not wait for.
    const replacement = pool.acquire();
    await pool.close();
    await expect(replacement).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
  });

  it('listens where it is told, and on ports one after the other', async () => {
    const free = await WorkerPool.create(workers(1));
    const { webRtcServer } = await free.acquire();
    const port = (await webRtcServer.dump()).udpSockets[0]?.port ?? 0;
    expect(port).toBeGreaterThan(0);
    await free.close();
    const pool = await WorkerPool.create({ ...workers(1), port });
    closing.push(() => pool.close());
    const dump = await (await pool.acquire()).webRtcServer.dump();
    expect(dump.udpSockets).toEqual([{ ip: '127.0.0.1', port }]);
    expect(dump.tcpServers).toEqual([{ ip: '127.0.0.1', port }]);
    await expect(WorkerPool.create({ ...workers(1), port })).rejects.toMatchObject({ code: 'UT_MEDIA_FAILED' });
  });

  it.each([
    [{ workerBin: '/no/such/worker', workerCount: 2 }, 'UT_MEDIA_FAILED'],
    [{ workerBin: '/bin/false', workerCount: 1 }, 'UT_MEDIA_FAILED'],
    [{ ...workers(0) }, 'UT_CONFIG_INVALID'],
    [{ ...workers(1), listenIp: '203.0.113.1' }, 'UT_MEDIA_FAILED'],
  ])('refuses to start with %o (%s)', async (options, code) => {
    await expect(WorkerPool.create(options)).rejects.toMatchObject({ code });
  });
});

describe('close', () => {
  it('ends calls as shutdown, closes sockets with 1001, ends the processes and refuses what comes later', async () => {
    const { sfu, call, events, tapOf, connect } = await server();
    let completed = false;
    sfu.events$.subscribe({ complete: () => (completed = true) });
    const client = await connect();
    await client.join('one', { token: token({ sub: 'zoe' }) });
    await call('one', 'ann');
    const ann = await tapOf('ann');
    const pids = sfu.workerPids;
    await Promise.all([sfu.close(), sfu.close()]);
    expect(await client.closed).toBe(1001);
    expect(await client.told('callEnded')).toEqual({ reason: 'shutdown' });
    await ann.completed;
    expect(events.items.slice(-4)).toMatchObject([
      { type: 'participantLeft', participant: { participantId: 'zoe' } },
      { type: 'tapClosed' },
      { type: 'participantLeft', participant: { participantId: 'ann' } },
      { type: 'callClosed', reason: 'shutdown' },
    ]);
    expect(completed).toBe(true);
    expect(pids.map(runs)).toEqual([false]);
    expect(sfu.ready).toBe(false);
    await expect(call('one', 'bob')).rejects.toMatchObject({ code: 'UT_SERVER_OVERLOADED' });
  });
});
