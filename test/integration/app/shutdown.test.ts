// How a server ends: on a signal, at any moment, with its timelines ended, its sockets closed, and no process left.
import { afterEach, describe, expect, it } from 'vitest';
import { connect } from '../../../client-sdk/src/index.ts';
import { TestReader } from '../../support/gateway.ts';
import { mediaWorkersOf, Reader, startCli, type ServerProcess } from '../../support/server.ts';
import { SignalClient } from '../sfu/support.ts';

const servers: ServerProcess[] = [];

function start(args: readonly string[]): ServerProcess {
  const server = startCli(['--port', '0', ...args]);
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()));
});

// The process itself gives up with 1 after 2.8 s: that it ends with 0 is that it was done before.
const ended = { code: 0, signal: null };

describe.each(['SIGINT', 'SIGTERM'] as const)('%s', (signal) => {
  it('ends the demo call while people speak, listen and take part', async () => {
    const server = start(['--json']);
    const { url, callId, token } = await server.ready();
    const socketUrl = url.replace('http', 'ws');
    const client = connect({ url, token, nextRetryDelayMs: () => null });
    const reader = new Reader(client.subscribe(callId, { from: 'start' }));
    const raw = await TestReader.connect(`${socketUrl}/v1/timeline`);
    await raw.hello(token);
    await raw.subscribe(callId, { seq: 0 });
    // One who has not said who they are has a socket to be closed as well.
    const stranger = await SignalClient.connect(`${socketUrl}/v1/signal`);
    await reader.first('speech');
    const workers = mediaWorkersOf(server);
    expect(workers.length).toBeGreaterThan(0);

    server.child.kill(signal);
    const end = await reader.first('end');
    expect(end.reason).toBe('shutdown');
    expect(await raw.closed).toMatchObject({ code: 1001 });
    expect(await stranger.closed).toBe(1001);
    expect(await server.exited).toMatchObject(ended);
    await server.gone();

    // The end is the last word, everyone had left before it, and nobody missed a thing.
    const events = reader.events.items;
    expect(events.at(-1)).toBe(end);
    expect(events.map((event) => event.seq)).toEqual(events.map((_, index) => index + 1));
    const joined = reader.all('participant').filter(({ action }) => action === 'joined');
    const left = reader.all('participant').filter(({ action }) => action === 'left');
    expect(left.map(({ participantId }) => participantId).sort()).toEqual(joined.map(({ participantId }) => participantId).sort());
    expect(raw.events).toEqual(events);
    expect(server.stderr.items.join('\n')).not.toMatch(/"level":[45]0/);
    await client.close();
  });
});

describe('during start-up', () => {
  it.each([
    ['while the model is loaded', 'stdout', 'starting the model'],
    ['while the media workers start', 'stderr', 'inference engine loaded'],
    ['while the demo call is opened', 'stderr', 'Call opened'],
  ] as const)('SIGINT ends it %s', async (_when, output, text) => {
    const server = start([]);
    await server.line(output, (line) => line.includes(text));
    server.child.kill('SIGINT');
    expect(await server.exited).toMatchObject(ended);
    await server.gone();
    // No complaint that something could not be started: it was not to be.
    expect(server.stderr.items.filter((line) => !line.startsWith('{'))).toEqual([]);
  });
});
