// Getting the mediasoup worker: the prebuilt one from a server, and the edits of the source that is built.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { arch, platform, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { downloadWorker, prebuiltUrl, workerRuns } from '../../../scripts/setup/worker.mjs';
import { applyEdit, sourceEdits } from '../../../scripts/setup/worker-build.mjs';

const mediasoup = fileURLToPath(new URL('../../../node_modules/mediasoup/', import.meta.url));

/** What a worker does that is started without mediasoup's environment. */
const runnable = '#!/bin/sh\nexit 41\n';

let folder: string;
let server: Server;
let url: string;
let answer: { status: number; body: Buffer };
let said: string;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-worker-'));
  server = createServer((_, response) => {
    response.writeHead(answer.status).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('Expected a port');
  url = `http://127.0.0.1:${address.port}/worker.tgz`;
  said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    said += String(text);
    return true;
  });
});
afterEach(async () => {
  vi.restoreAllMocks();
  await new Promise((resolve) => server.close(resolve));
  rmSync(folder, { recursive: true, force: true });
});

function archive(program: string): Buffer {
  const source = join(folder, 'archive');
  mkdirSync(source);
  writeFileSync(join(source, 'mediasoup-worker'), program);
  return execFileSync('tar', ['-czf', '-', 'mediasoup-worker'], { cwd: source });
}

describe('downloadWorker', () => {
  it('keeps a worker that runs here', async () => {
    answer = { status: 200, body: archive(runnable) };
    const target = join(folder, 'mediasoup-worker');
    expect(await downloadWorker(url, target)).toBe(true);
    expect(workerRuns(target)).toBe(true);
    expect(said).toContain('prebuilt');
  });

  it.each([
    ['there is none for this system', 404, () => Buffer.alloc(0)],
    ['HTTP 503', 503, () => Buffer.alloc(0)],
    ['the archive is damaged', 200, () => Buffer.from('not an archive')],
    ['it does not run here', 200, () => archive('#!/bin/sh\nexit 1\n')],
  ])('goes on without where %s', async (words, status, body) => {
    answer = { status, body: body() };
    const target = join(folder, 'mediasoup-worker');
    expect(await downloadWorker(url, target)).toBe(false);
    expect(said).toContain(words);
    expect(existsSync(target)).toBe(false);
    expect(existsSync(`${target}.partial`)).toBe(false);
  });

  it('goes on without where nothing listens', async () => {
    answer = { status: 200, body: Buffer.alloc(0) };
    await new Promise((resolve) => server.close(resolve));
    expect(await downloadWorker(url, join(folder, 'mediasoup-worker'))).toBe(false);
    expect(said).toContain('ECONNREFUSED');
  });
});

describe('prebuiltUrl', () => {
  const meta = { version: '3.27.1', repository: { url: 'git+https://forge.example/versatica/mediasoup.git' } };

  it("is in the releases of mediasoup's repository", () => {
    expect(prebuiltUrl(meta, {})).toMatch(
      `https://forge.example/versatica/mediasoup/releases/download/3.27.1/mediasoup-worker-3.27.1-${platform()}-${arch()}`,
    );
  });

  it('is on the mirror that is configured for mediasoup', () => {
    expect(prebuiltUrl(meta, { MEDIASOUP_WORKER_PREBUILT_DOWNLOAD_BASE_URL: 'https://mirror.example/m' })).toMatch(
      /^https:\/\/mirror\.example\/m\/3\.27\.1\/mediasoup-worker-.*\.tgz$/,
    );
  });
});

describe('the recipe', () => {
  it.each(sourceEdits)('fits the source of the installed mediasoup: $file', (edit) => {
    const text = readFileSync(join(mediasoup, 'worker', edit.file), 'utf8');
    const edited = applyEdit(text, edit);
    expect(edited).not.toBe(text);
    expect(edited).toContain(edit.replacement.replace('$&', ''));
  });

  it('refuses a source that it is not for', () => {
    const [edit] = sourceEdits;
    expect(() => applyEdit('project()', edit!)).toThrow('needs a new recipe');
  });
});
