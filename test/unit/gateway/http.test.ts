// The HTTP routes over a real server: health, metrics, calls, timelines, development tokens, faults.
import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { GatewayOptions } from '../../../src/gateway/gateway.ts';
import { MemoryTimelineStore } from '../../../src/gateway/memory-store.ts';
import { startGateway, type TestGateway } from '../../support/gateway.ts';
import { arrival, point } from '../../support/timeline.ts';

let server: TestGateway | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  server = await startGateway(options);
  return server;
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  readonly json: unknown;
}

interface Ask {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Asks over node:http, which sends what it is told: any path, Host and Origin. */
async function ask(gateway: TestGateway, path: string, { method = 'GET', headers = {}, body }: Ask = {}): Promise<Answer> {
  const request = httpRequest({ port: gateway.port, host: '127.0.0.1', path, method, headers });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString();
  const isJson = response.headers['content-type']?.startsWith('application/json') === true;
  return { status: response.statusCode ?? 0, headers: response.headers, text, json: isJson && text !== '' ? JSON.parse(text) : undefined };
}

const bearer = (token: string): Ask => ({ headers: { authorization: `Bearer ${token}` } });
const errorOf = (code: string): object => ({ error: { code, message: expect.any(String) } });

async function writeCall(gateway: TestGateway, callId: string, points: number): Promise<void> {
  const timeline = gateway.gateway.openCall({ callId, purpose: 'support', region: 'eu', startedAtUnixMs: 1_700_000_000_000 });
  for (const draft of arrival('p1')) timeline.write(draft);
  for (let count = 1; count <= points; count++) timeline.write(point('p1', count * 250));
  await timeline.flush();
}

describe('health and metrics', () => {
  it('is alive, and ready when everything is', async () => {
    const missing = ['model', 'store'];
    const gateway = await start({ readiness: async () => ({ ready: missing.length === 0, missing: [...missing], engine: 'cpu' }) });
    expect(await ask(gateway, '/healthz')).toMatchObject({ status: 200, json: { status: 'ok' } });
    expect(await ask(gateway, '/readyz')).toMatchObject({ status: 503, json: { ready: false, missing: ['model', 'store'] } });
    missing.length = 0;
    expect(await ask(gateway, '/readyz')).toMatchObject({ status: 200, json: { ready: true, missing: [], engine: 'cpu' } });
  });

  it('exposes metrics that count what was written', async () => {
    const gateway = await start();
    await writeCall(gateway, 'c', 3);
    const { status, headers, text } = await ask(gateway, '/metrics');
    expect(status).toBe(200);
    expect(headers['content-type']).toContain('text/plain');
    expect(text).toContain('undertone_events_total{type="point"} 3');
    expect(text).toContain('undertone_arrival_to_event_ms_count 3');
    expect(text).not.toMatch(/happiness|p1/);
  });

  it('answers HEAD without a body, and sends security headers', async () => {
    const gateway = await start();
    const { status, headers, text } = await ask(gateway, '/healthz', { method: 'HEAD' });
    expect({ status, text }).toEqual({ status: 200, text: '' });
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    });
  });
});

describe('calls', () => {
  it('lists the calls that the token is good for', async () => {
    const gateway = await start();
    await writeCall(gateway, 'a', 1);
    await writeCall(gateway, 'b', 2);
    const all = await ask(gateway, '/v1/calls', bearer(await gateway.token()));
    expect(all).toMatchObject({
      status: 200,
      json: {
        calls: [
          { callId: 'a', lastSeq: 3 },
          { callId: 'b', lastSeq: 4, live: true },
        ],
      },
    });
    const one = await ask(gateway, '/v1/calls', bearer(await gateway.token({ call: 'b' })));
    expect(one.json).toMatchObject({ calls: [{ callId: 'b', participants: [{ participantId: 'p1', current: { label: 'happiness' } }] }] });
    expect((one.json as { calls: unknown[] }).calls).toHaveLength(1);
  });

  it('pages through a timeline', async () => {
    const gateway = await start();
    await writeCall(gateway, 'a b', 8);
    const auth = bearer(await gateway.token({ call: 'a b', scope: 'read' }));
    const first = await ask(gateway, '/v1/calls/a%20b/timeline?limit=4', auth);
    expect(first).toMatchObject({
      status: 200,
      json: { call: { callId: 'a b', lastSeq: 10 }, firstSeq: 1, lastSeq: 10, epoch: expect.any(String) },
    });
    const rest = await ask(gateway, '/v1/calls/a%20b/timeline?after=4', auth);
    const seqs = [first, rest].flatMap(({ json }) => (json as { events: { seq: number }[] }).events.map((event) => event.seq));
    expect(seqs).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each([
    ['no token', '/v1/calls', {}, 401, 'UT_AUTH_TOKEN'],
    ['another scheme', '/v1/calls', { authorization: 'Basic eDp5' }, 401, 'UT_AUTH_TOKEN'],
    ['a bad token', '/v1/calls', { authorization: 'Bearer nonsense' }, 401, 'UT_AUTH_TOKEN'],
    ['a bad token for a timeline', '/v1/calls/c/timeline', { authorization: 'Bearer nonsense' }, 401, 'UT_AUTH_TOKEN'],
    ['an unknown call', '/v1/calls/nobody/timeline', null, 404, 'UT_CALL_UNKNOWN'],
    ['a path that is not percent-encoded', '/v1/calls/%zz/timeline', null, 400, 'UT_REQUEST_INVALID'],
    ['a negative position', '/v1/calls/c/timeline?after=-1', null, 400, 'UT_MESSAGE_INVALID'],
    ['a position that is no number', '/v1/calls/c/timeline?after=1e3', null, 400, 'UT_MESSAGE_INVALID'],
    ['no limit', '/v1/calls/c/timeline?limit=0', null, 400, 'UT_MESSAGE_INVALID'],
    ['too high a limit', '/v1/calls/c/timeline?limit=1001', null, 400, 'UT_MESSAGE_INVALID'],
    ['an unknown route', '/v1/nothing', null, 404, 'UT_REQUEST_INVALID'],
    ['an unknown path', '/nothing', null, 404, 'UT_REQUEST_INVALID'],
    ['development tokens, elsewhere', '/v1/dev/token', null, 404, 'UT_REQUEST_INVALID'],
  ] as const)('refuses %s', async (_, path, headers, status, code) => {
    const gateway = await start();
    await writeCall(gateway, 'c', 1);
    const answer = await ask(gateway, path, headers === null ? bearer(await gateway.token()) : { headers });
    expect(answer).toMatchObject({ status, json: errorOf(code) });
    if (status === 401) expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  it('refuses scopes and calls that the token does not have, and other methods', async () => {
    const gateway = await start();
    await writeCall(gateway, 'c', 1);
    expect(await ask(gateway, '/v1/calls', bearer(await gateway.token({ scope: 'read' })))).toMatchObject({ status: 403 });
    expect(await ask(gateway, '/v1/calls/c/timeline', bearer(await gateway.token({ scope: 'list' })))).toMatchObject({ status: 403 });
    const other = await ask(gateway, '/v1/calls/c/timeline', bearer(await gateway.token({ call: 'd' })));
    expect(other).toMatchObject({ status: 403, json: errorOf('UT_AUTH_SCOPE') });
    const posted = await ask(gateway, '/v1/calls', { method: 'POST' });
    expect(posted).toMatchObject({ status: 405, headers: { allow: 'GET, HEAD' }, json: errorOf('UT_REQUEST_INVALID') });
  });

  it('answers 503 while the store fails, and 500 without its words on what nobody foresaw', async () => {
    const store = new MemoryTimelineStore();
    const gateway = await start({
      store,
      readiness: () => {
        throw new Error('a secret detail');
      },
    });
    const token = await gateway.token();
    await store.close();
    expect(await ask(gateway, '/v1/calls', bearer(token))).toMatchObject({ status: 503, json: errorOf('UT_STORE_FAILED') });
    const fault = await ask(gateway, '/readyz');
    expect(fault).toMatchObject({ status: 500, json: errorOf('UT_SERVER_FAILED') });
    expect(fault.text).not.toContain('secret detail');
  });

  it('hands other paths to the static handler, and API paths never', async () => {
    const gateway = await start({
      staticHandler: (request, response) => {
        if (request.url !== '/call') return false;
        response.end('the call page');
        return true;
      },
    });
    expect(await ask(gateway, '/call')).toMatchObject({ status: 200, text: 'the call page' });
    expect(await ask(gateway, '/other')).toMatchObject({ status: 404 });
    expect(await ask(gateway, '//')).toMatchObject({ status: 404 });
  });
});

describe('development tokens', () => {
  const json = { 'content-type': 'application/json' };
  const good = JSON.stringify({ call: 'c', scope: 'join read', sub: 'p1', role: 'customer' });

  it('go to a page of the own origin, and to a program of this machine', async () => {
    const gateway = await start({ development: true });
    const own = { host: `localhost:${gateway.port}`, origin: `http://localhost:${gateway.port}`, 'sec-fetch-site': 'same-origin' };
    for (const headers of [{ ...json, ...own }, json, { ...json, host: `[::1]:${gateway.port}` }]) {
      const answer = await ask(gateway, '/v1/dev/token', { method: 'POST', headers, body: good });
      expect(answer.status).toBe(200);
      const claims = await gateway.tokens.verify((answer.json as { token: string }).token);
      expect(claims).toEqual({ callId: 'c', scopes: new Set(['join', 'read']), participantId: 'p1', role: 'customer' });
    }
  });

  it.each([
    ['another origin', { origin: 'http://evil.example' }],
    ['another port', { host: 'localhost:1', origin: 'http://localhost:2' }],
    ['an opaque origin', { origin: 'null' }],
    ['a cross-site fetch', { 'sec-fetch-site': 'cross-site' }],
    ['a name that was bound to this machine', { host: 'evil.example', origin: 'http://evil.example', 'sec-fetch-site': 'same-origin' }],
    ['an address of the network', { host: '192.168.1.4:8080' }],
  ])('are refused to %s', async (_, headers) => {
    const gateway = await start({ development: true });
    const answer = await ask(gateway, '/v1/dev/token', { method: 'POST', headers: { ...json, ...headers }, body: good });
    expect(answer).toMatchObject({ status: 403, json: errorOf('UT_AUTH_SCOPE') });
    expect(answer.text).not.toContain('token":');
  });

  it.each([
    ['another type', good, { 'content-type': 'text/plain' }, 400, 'UT_MESSAGE_INVALID'],
    ['what is not JSON', '{', json, 400, 'UT_MESSAGE_INVALID'],
    ['no call', '{"scope":"read"}', json, 400, 'UT_MESSAGE_INVALID'],
    ['no scope', '{"call":"c","scope":""}', json, 400, 'UT_MESSAGE_INVALID'],
    ['an unknown scope', '{"call":"c","scope":"read admin"}', json, 400, 'UT_MESSAGE_INVALID'],
    ['an unknown field', '{"call":"c","scope":"read","ttlSeconds":1}', json, 400, 'UT_MESSAGE_INVALID'],
    ['too large a body', JSON.stringify({ call: 'c', scope: 'x'.repeat(5000) }), json, 413, 'UT_MESSAGE_TOO_LARGE'],
  ])('refuse %s', async (_, body, headers, status, code) => {
    const gateway = await start({ development: true });
    const answer = await ask(gateway, '/v1/dev/token', { method: 'POST', headers, body });
    expect(answer).toMatchObject({ status, json: errorOf(code) });
    expect(await ask(gateway, '/v1/dev/token')).toMatchObject({ status: 405, headers: { allow: 'POST' } });
  });
});
