// The command line as a person or a script meets it: what it prints, what it refuses and how, and how it ends.
import { once } from 'node:events';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { TestReader } from '../../support/gateway.ts';
import { freePort } from '../../../tools/bench/free-port.ts';
import { fetchCalls, fetchTimeline, getJson, mediaWorkersOf, startCli, type ServerProcess } from '../../support/server.ts';
import { SignalClient } from '../sfu/support.ts';

const defaultModelDir = join(import.meta.dirname, '../../../assets/models/emonet');

let folder: string;
const servers: ServerProcess[] = [];

function start(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ServerProcess {
  const server = startCli(args, environment);
  servers.push(server);
  return server;
}

/** Runs a command line that must not start, and gives what it wrote as its error once nothing of it is left. */
async function refusalOf(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const server = start(args, environment);
  const { code, signal } = await server.exited;
  const written = server.stderr.items.join('\n');
  expect({ code, signal }, written).toEqual({ code: 1, signal: null });
  expect(server.stdout.items).toEqual([]);
  await server.gone();
  return server.stderr.items.filter((line) => !line.startsWith('{')).join('\n');
}

function fileOf(name: string, content: unknown): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content));
  return path;
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-cli-'));
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.kill()));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe('--json', () => {
  it('prints one line with everything that a script needs, and a token for the demo call alone', async () => {
    const server = start(['--port', '0', '--json']);
    const { url, callUrl, consoleUrl, callId, token } = await server.ready();
    expect(url).toMatch(/^http:\/\/localhost:\d+$/);
    expect(callUrl).toMatch(new RegExp(`^${url}/call/\\?call=`));
    expect(consoleUrl).toMatch(new RegExp(`^${url}/console/`));
    expect(callId).toBe('demo');
    for (const page of [callUrl, consoleUrl]) expect((await fetch(page)).headers.get('content-type')).toMatch(/^text\/html/);
    expect(await getJson(`${url}/healthz`)).toEqual({ status: 'ok' });
    expect(await getJson(`${url}/readyz`)).toMatchObject({ ready: true, missing: [] });

    // What it may: read and list this one call.
    expect(await fetchCalls(url, token)).toMatchObject([{ callId, live: true }]);
    expect((await fetchTimeline(url, callId, token)).events[0]).toMatchObject({ seq: 1, callId, type: 'participant' });
    const reader = await TestReader.connect(`${url.replace('http', 'ws')}/v1/timeline`);
    await reader.hello(token);
    await reader.subscribe(callId, { seq: 0 });
    await reader.untilSeq(2);

    // What it may not: another call, or to take part.
    const other = await fetch(`${url}/v1/calls/lobby/timeline`, { headers: { authorization: `Bearer ${token}` } });
    expect(other.status).toBe(403);
    expect(await other.json()).toMatchObject({ error: { code: 'UT_AUTH_SCOPE' } });
    reader.send({ type: 'subscribe', callId: 'lobby' });
    expect(await reader.next('error')).toMatchObject({ code: 'UT_AUTH_SCOPE', callId: 'lobby' });
    const signal = await SignalClient.connect(`${url.replace('http', 'ws')}/v1/signal`);
    const refused = await signal.ask('join', { token, callId, displayName: 'Ada', consent: 'granted' });
    expect(refused).toMatchObject({ ok: false, error: { code: 'UT_AUTH_SCOPE' } });

    server.child.kill('SIGTERM');
    expect(await reader.closed).toMatchObject({ code: 1001 });
    expect(await signal.closed).toBe(1001);
    expect(await server.exited).toMatchObject({ code: 0 });
    expect(server.stdout.items).toHaveLength(1);
    // Nothing but lines of the log beside it, and no name, token or emotion in them.
    for (const line of server.stderr.items) expect(() => JSON.parse(line) as unknown, line).not.toThrow();
    expect(server.stderr.items.join('\n')).not.toMatch(/anger|disgust|fear|happiness|neutral|sadness|Marlow|eyJ/);
  });
});

describe('options', () => {
  it('--help prints every option, and starts nothing', async () => {
    const server = start(['--help']);
    expect(await server.exited).toMatchObject({ code: 0 });
    const printed = server.stdout.items.join('\n');
    for (const option of ['--port', '--host', '--config', '--no-demo', '--json', '--help']) expect(printed).toContain(option);
    expect(server.stderr.items).toEqual([]);
  });

  it('--no-demo leaves the demo call out, and without --json the addresses are printed for people', async () => {
    const server = start(['--port', '0', '--no-demo']);
    const line = await server.line('stdout', (text) => text.includes('call page'));
    const callUrl = new URL(/http\S+/.exec(line)?.[0] ?? '');
    await server.line('stdout', (text) => text.includes('Ctrl-C'));
    expect(server.stdout.items.join('\n')).not.toContain('demo');
    const devToken = await fetch(new URL('/v1/dev/token', callUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: callUrl.origin },
      body: JSON.stringify({ call: '*', scope: 'list' }),
    });
    const { token } = (await devToken.json()) as { token: string };
    expect(await fetchCalls(callUrl.origin, token)).toEqual([]);
  });

  it('--config takes settings from a file, and flags win over it', async () => {
    const secret = 'a secret of a test, 32 bytes long';
    const taken = await freePort();
    const config = fileOf('settings.json', {
      server: { port: taken },
      auth: { secret },
      demo: { callId: 'show', callers: 1 },
      media: { workers: 1 },
      log: { level: 'error' },
    });
    const server = start(['--config', config, '--port', '0', '--json']);
    const { url, callId, callUrl, token } = await server.ready();
    expect(new URL(url).port).not.toBe(String(taken));
    expect(callId).toBe('show');
    expect(await fetchCalls(url, token)).toMatchObject([{ callId: 'show' }]);
    // With a secret of its own the server hands out no development tokens: the pages get theirs in the address.
    expect(callUrl).toMatch(/#token=eyJ/);
    expect((await fetch(`${url}/v1/dev/token`, { method: 'POST' })).status).toBe(404);
    expect(mediaWorkersOf(server)).toHaveLength(1);
    expect(server.stderr.items).toEqual([]);
  });
});

describe('what cannot start says why, ends with 1, and leaves nothing behind', () => {
  it.each([
    ['an unknown option', ['--prot', '1'], '--prot'],
    ['an argument too many', ['now'], 'now'],
  ])('%s, with the usage', async (_what, args, named) => {
    const error = await refusalOf(args);
    expect(error).toContain(named);
    expect(error).toContain('Usage: npm start -- [options]');
  });

  it.each(['http', '65536'])('a port that is none: `%s`', async (port) => {
    expect(await refusalOf(['--port', port, '--json'])).toMatch(/UT_CONFIG_INVALID[^]*command line[^]*server\.port/);
  });

  it('a setting that is none', async () => {
    const config = fileOf('unknown.json', { server: { prot: 1 } });
    expect(await refusalOf(['--config', config])).toMatch(/UT_CONFIG_INVALID[^]*unknown\.json[^]*prot/);
  });

  it('a port that is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const error = await refusalOf(['--port', String(port), '--json']);
    expect(error).toMatch(/^UT_SERVER_PORT: /m);
    expect(error).toContain(String(port));
    expect(error).toContain('another program listens there');
    taken.close();
  });

  it('a model that is not there, and one whose weights are not', async () => {
    const empty = join(folder, 'empty');
    const weightless = join(folder, 'weightless');
    mkdirSync(empty);
    mkdirSync(weightless);
    copyFileSync(join(defaultModelDir, 'manifest.json'), join(weightless, 'manifest.json'));
    for (const dir of [empty, weightless]) {
      const error = await refusalOf(['--port', '0', '--json'], { UNDERTONE_MODEL_DIR: dir });
      expect(error).toMatch(/^UT_MODEL_MISSING: /m);
      expect(error).toContain(dir);
    }
  });

  it('an address beyond loopback without a secret', async () => {
    const error = await refusalOf(['--port', '0', '--host', '0.0.0.0', '--json']);
    expect(error).toMatch(/^UT_AUTH_SECRET: /m);
    expect(error).toContain('auth.secret');
  });

  it('a Redis that does not answer, and a media worker that cannot be run', async () => {
    const redisUrl = `redis://127.0.0.1:${await freePort()}`;
    const [storeError, mediaError] = await Promise.all([
      refusalOf(['--port', '0', '--json'], { UNDERTONE_TIMELINE_STORE: 'redis', UNDERTONE_TIMELINE_REDIS_URL: redisUrl }),
      refusalOf(['--port', '0', '--json'], { MEDIASOUP_WORKER_BIN: join(folder, 'no-worker') }),
    ]);
    expect(storeError).toMatch(/^UT_STORE_FAILED: /m);
    expect(storeError).toContain('ECONNREFUSED');
    expect(mediaError).toMatch(/^UT_MEDIA_FAILED: /m);
  });
});
