// Two gateways in two processes over one Redis: each serves the calls of the other.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createTokens } from '../../../src/gateway/auth.ts';
import type { CallSummary } from '../../../src/gateway/types.ts';
import { TestReader, testSecret } from '../../support/gateway.ts';
import { startRedis, type TestRedis } from '../../support/redis.ts';
import type { NodeCommand } from './node.ts';

interface Node {
  readonly child: ChildProcess;
  readonly port: number;
  ask(command: NodeCommand): Promise<CallSummary>;
}

const tokens = createTokens({ secret: testSecret });
const range = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
const children: ChildProcess[] = [];
const readers: TestReader[] = [];
let redis: TestRedis;
let a: Node;
let b: Node;

beforeAll(async () => {
  redis = await startRedis();
  [a, b] = await Promise.all([startNode('node-a'), startNode('node-b')]);
});

afterAll(async () => {
  for (const reader of readers) reader.socket.terminate();
  for (const child of children) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
  }
  await redis.close();
});

async function startNode(nodeId: string): Promise<Node> {
  const script = new URL('node.ts', import.meta.url);
  const child = fork(script, [redis.url, nodeId, testSecret], { execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  children.push(child);
  const [{ port }] = (await once(child, 'message')) as [{ port: number }];
  return {
    child,
    port,
    ask: async (command) => {
      child.send(command);
      const [answer] = (await once(child, 'message')) as [{ result: CallSummary } | { error: string }];
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    },
  };
}

async function listOf(node: Node): Promise<CallSummary[]> {
  const token = await tokens.issue({ call: '*', scope: 'list', ttlSeconds: 60 });
  const response = await fetch(`http://127.0.0.1:${node.port}/v1/calls`, { headers: { authorization: `Bearer ${token}` } });
  expect(response.status).toBe(200);
  return ((await response.json()) as { calls: CallSummary[] }).calls;
}

async function readerOf(node: Node): Promise<TestReader> {
  const reader = await TestReader.connect(`ws://127.0.0.1:${node.port}/v1/timeline`);
  readers.push(reader);
  await reader.hello(await tokens.issue({ call: '*', scope: 'read', ttlSeconds: 60 }));
  return reader;
}

describe('two nodes over one Redis', () => {
  it('list, stream and replay each other’s calls', async () => {
    await a.ask({ do: 'open', callId: 'of-a' });
    await b.ask({ do: 'open', callId: 'of-b' });
    expect(await listOf(b)).toMatchObject([
      { callId: expect.stringMatching(/^of-/), live: true },
      { callId: expect.stringMatching(/^of-/), live: true },
    ]);
    expect((await listOf(a)).find((call) => call.callId === 'of-b')).toMatchObject({ node: 'node-b', lastSeq: 2 });

    const live = await readerOf(b);
    await live.subscribe('of-a');
    await a.ask({ do: 'write', callId: 'of-a', lastSeq: 20, burst: 1 });
    await live.untilSeq(20);
    expect(live.account).toEqual(range(3, 20));

    const replay = await readerOf(b);
    const { call } = await replay.subscribe('of-a', { seq: 0 });
    await replay.untilSeq(20);
    expect(call).toMatchObject({ node: 'node-a', lastSeq: 20, participants: [{ participantId: 'p1', current: { label: 'happiness' } }] });
    expect(replay.account).toEqual(range(1, 20));
    expect(replay.events.slice(2)).toEqual(live.events);
  });

  it('stream 5,000 events without gap or duplicate, to readers that come at any time and go over to the other node', async () => {
    await a.ask({ do: 'open', callId: 'load' });
    const early = await readerOf(b);
    await early.subscribe('load', { seq: 0 });
    const written = a.ask({ do: 'write', callId: 'load', lastSeq: 5000, burst: 25 });
    const late: TestReader[] = [];
    for (const seq of [500, 1500, 2500]) {
      await early.untilSeq(seq);
      const reader = await readerOf(b);
      await reader.subscribe('load', { seq: 0 });
      late.push(reader);
    }
    const mover = await readerOf(b);
    const { call } = await mover.subscribe('load', { seq: 0 });
    await mover.untilSeq(1000);
    mover.socket.terminate();
    const seen = mover.events.at(-1)?.seq ?? 0;
    const moved = await readerOf(a);
    await moved.subscribe('load', { epoch: call.epoch, seq: seen });

    expect(await written).toMatchObject({ lastSeq: 5000 });
    await Promise.all([early, moved, ...late].map((reader) => reader.untilSeq(5000)));
    expect(early.account).toEqual(range(1, 5000));
    for (const reader of late) expect(reader.account).toEqual(range(1, 5000));
    expect([...range(1, seen), ...moved.account]).toEqual(range(1, 5000));
  });

  it('show a call that ended as not live, with its end', async () => {
    await a.ask({ do: 'open', callId: 'ended' });
    const reader = await readerOf(b);
    await reader.subscribe('ended', { seq: 0 });
    await a.ask({ do: 'end', callId: 'ended' });
    await reader.untilSeq(3);
    expect(reader.events.at(-1)).toMatchObject({ type: 'end', reason: 'closed' });
    expect((await listOf(b)).find((call) => call.callId === 'ended')).toMatchObject({ live: false, lastSeq: 3 });
  });

  it('go on after Redis restarts empty: nobody’s process ends, and what is written afterwards arrives', async () => {
    await a.ask({ do: 'open', callId: 'outage' });
    const reader = await readerOf(b);
    await reader.subscribe('outage', { seq: 0 });
    await reader.untilSeq(2);
    await redis.kill();
    const written = a.ask({ do: 'write', callId: 'outage', lastSeq: 30, burst: 7 });
    await redis.start();
    expect(await written).toMatchObject({ lastSeq: 30 });
    await reader.untilSeq(30);
    expect(reader.account).toEqual(range(1, 30));
    await vi.waitFor(
      async () => expect(await listOf(b)).toContainEqual(expect.objectContaining({ callId: 'outage', live: true, lastSeq: 30 })),
      {
        timeout: 20_000,
        interval: 100,
      },
    );
    expect([a.child.exitCode, b.child.exitCode]).toEqual([null, null]);
  });

  it('show the calls of a node that was killed as not live, and keep serving what it wrote', async () => {
    await a.ask({ do: 'open', callId: 'orphan' });
    await a.ask({ do: 'write', callId: 'orphan', lastSeq: 40, burst: 10 });
    expect((await listOf(b)).find((call) => call.callId === 'orphan')).toMatchObject({ live: true });
    a.child.kill('SIGKILL');
    await once(a.child, 'exit');
    await vi.waitFor(
      async () => expect((await listOf(b)).find((call) => call.callId === 'orphan')).toMatchObject({ live: false, lastSeq: 40 }),
      { timeout: 20_000, interval: 100 },
    );
    const reader = await readerOf(b);
    expect(await reader.subscribe('orphan', { seq: 0 })).toMatchObject({ call: { live: false } });
    await reader.untilSeq(40);
    expect(reader.account).toEqual(range(1, 40));
    expect(await b.ask({ do: 'open', callId: 'orphan' })).toMatchObject({ lastSeq: 2, live: true });
    await reader.until(() => reader.account.includes('!1'));
  });

  it('end with 1001 at the readers when a node goes away', async () => {
    const reader = await readerOf(b);
    await b.ask({ do: 'open', callId: 'last' });
    await reader.subscribe('last', { seq: 0 });
    await b.ask({ do: 'close' });
    expect(await reader.closed).toMatchObject({ code: 1001 });
  });
});
