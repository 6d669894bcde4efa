// Building and serving the pages.
import { cp, mkdtemp, readdir, rm, utimes, writeFile, appendFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createWeb, type Web } from '../../../src/web.ts';

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

const sourceDir = fileURLToPath(new URL('../../../apps/', import.meta.url));
let work: string;
let web: Web;
let server: Server;

beforeAll(async () => {
  work = await mkdtemp(join(tmpdir(), 'undertone-web-'));
  web = await createWeb({ outDir: join(work, 'out') });
  server = createServer((request, response) => {
    void web.handler(request, response).then((handled) => {
      if (!handled) response.writeHead(404).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await new Promise((resolve) => server.close(resolve));
  await rm(work, { recursive: true, force: true });
});

/** A request whose path goes out exactly as it is written, which `fetch` would tidy. */
function ask(path: string, { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { port } = server.address() as AddressInfo;
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }));
    });
    request.on('error', reject);
    request.end();
  });
}

const assetsOf = (html: string): string[] => [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, path]) => path!);

describe('serving', () => {
  it.each(['/', '/call/', '/call/?call=abc', '/console/'])('gives the page %s, and all that it names', async (path) => {
    const page = await ask(path);
    expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers['cache-control']).toBe('no-cache');
    const html = page.body.toString();
    expect(html).toMatch(/^<!doctype html>/i);
    expect(html).not.toMatch(/\.ts"/);
    const assets = assetsOf(html);
    expect(assets.length).toBeGreaterThan(0);
    for (const asset of assets) {
      const answer = await ask(asset);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe(asset.endsWith('.js') ? 'text/javascript; charset=utf-8' : 'text/css; charset=utf-8');
      expect(answer.headers['cache-control']).toBe('public, max-age=31536000, immutable');
    }
  });

  it('lets the pages be nothing but themselves', async () => {
    const { headers } = await ask('/call/');
    const policy = headers['content-security-policy'] ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("connect-src 'self' ws: wss:");
    expect(policy).not.toMatch(/unsafe|\*/);
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['referrer-policy']).toBe('no-referrer');
    expect(headers['permissions-policy']).toContain('microphone=(self)');
  });

  it.each([
    ['/call', '/call/'],
    ['/call?call=a%20b&role=guest', '/call/?call=a%20b&role=guest'],
    ['/console', '/console/'],
  ])('leads %s to %s', async (from, to) => {
    const { status, headers } = await ask(from);
    expect([status, headers.location]).toEqual([308, to]);
  });

  it.each([
    '/../package.json',
    '/call/../../package.json',
    '/assets/../../../package.json',
    '/%2e%2e/package.json',
    '/assets/..%2f..%2fpackage.json',
    '/call/..%5c..%5cpackage.json',
    '//etc/passwd',
    '/etc/passwd',
    '/call/main.ts',
    '/call/index.html/',
    '/__proto__',
    '/%00',
    '/%',
  ])('knows nothing of %s', async (path) => {
    const { status, body } = await ask(path);
    expect([status, body.length]).toEqual([404, 0]);
  });

  it('leaves other paths to others', async () => {
    expect((await ask('/v1/calls')).status).toBe(404);
    expect((await ask('/callx/')).status).toBe(404);
  });

  it('answers HEAD with the headers of GET, and refuses what would change something', async () => {
    const get = await ask('/');
    const head = await ask('/', { method: 'HEAD' });
    expect([head.status, head.body.length]).toEqual([200, 0]);
    expect(head.headers['content-length']).toBe(get.headers['content-length']);
    const post = await ask('/', { method: 'POST' });
    expect([post.status, post.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  it('says when nothing changed', async () => {
    const { headers } = await ask('/call/');
    const again = await ask('/call/', { headers: { 'if-none-match': `"other", W/${headers.etag!}` } });
    expect([again.status, again.body.length]).toEqual([304, 0]);
    expect((await ask('/call/', { headers: { 'if-none-match': '"other"' } })).status).toBe(200);
  });

  it('compresses for who can read it', async () => {
    const plain = await ask('/call/');
    const gzip = await ask('/call/', { headers: { 'accept-encoding': 'br, gzip;q=0.8' } });
    expect(gzip.headers['content-encoding']).toBe('gzip');
    expect(gzip.headers.vary).toBe('accept-encoding');
    expect(gunzipSync(gzip.body)).toEqual(plain.body);
    expect((await ask('/call/', { headers: { 'accept-encoding': 'gzip;q=0' } })).headers['content-encoding']).toBeUndefined();
  });

  it('serves the font with its licence', async () => {
    const font = web.paths.find((path) => path.endsWith('.woff2'))!;
    expect((await ask(font)).headers['content-type']).toBe('font/woff2');
    expect((await ask('/licenses/inter.txt')).body.toString()).toContain('SIL OPEN FONT LICENSE');
  });
});

describe('building', () => {
  it('is done once for each state of the sources', async () => {
    const apps = join(work, 'apps');
    const outDir = join(work, 'built');
    await cp(sourceDir, apps, { recursive: true });
    // Outside the package nothing could be imported from it: pages of style alone will do.
    for (const page of ['call', 'console']) await rm(join(apps, page), { recursive: true });
    const options = { sourceDir: apps, outDir };

    const both = await Promise.all([createWeb(options), createWeb(options)]);
    expect(both.map(({ paths }) => paths.includes('/'))).toEqual([true, true]);
    expect(await readdir(outDir)).toHaveLength(1);
    expect((await createWeb(options)).built).toBe(false);

    const [first] = await readdir(outDir);
    await utimes(join(outDir, first!), 0, 0);
    await appendFile(join(apps, 'home/style.css'), 'main { color: red }');
    const changed = await createWeb(options);
    expect(changed.built).toBe(true);
    expect(changed.paths.filter((path) => path.endsWith('.css'))).not.toEqual(both[0].paths.filter((path) => path.endsWith('.css')));
    // The old build is gone, the new one is found again.
    expect(await readdir(outDir)).not.toContain(first);
    expect((await createWeb(options)).built).toBe(false);

    await writeFile(join(apps, 'home/style.css'), "@import './absent.css';");
    await expect(createWeb(options)).rejects.toThrow(/absent\.css/);
    expect((await readdir(outDir)).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
