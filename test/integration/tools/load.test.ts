// The load test as operators run it: in a process of its own, against real servers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { LoadFigures } from '../../../tools/load/figures.ts';
import { startApp, type TestApp } from '../../support/server.ts';

const mainPath = fileURLToPath(new URL('../../../tools/load/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'load-'));
let server: TestApp | undefined;

afterEach(async () => {
  await server?.close();
  server = undefined;
});

afterAll(() => rmSync(folder, { recursive: true }));

function start(args: readonly string[]) {
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('UNDERTONE_AUTH')));
  const child = spawn(process.execPath, [mainPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  const ended = Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number | null]>]).then(
    ([stdout, stderr, [code]]) => ({ stdout, stderr, code }),
  );
  return { child, ended };
}

/** On a machine that other work has taken, a window may be lost; then the figures must say so. Hence another try. */
const onceMore = { retry: 2, timeout: 120_000 };

describe('npm run load', () => {
  it('loads a server of its own, and its figures add up', onceMore, async () => {
    const html = join(folder, 'report.html');
    const { ended } = start(['--callers', '4', '--seconds', '6', '--json', '-', '--html', html]);
    const { stdout, stderr, code } = await ended;
    const figures = JSON.parse(stdout) as LoadFigures;
    expect(figures.failures).toEqual([]);
    expect(code).toBe(0);
    expect(figures).toMatchObject({ callers: 4, calls: 1, subscribers: 1, server: 'own', limitCallers: null, interrupted: false });
    expect(figures.seconds).toBeGreaterThan(5.9);
    expect(figures.points).toBeGreaterThan(10);
    expect(figures.points).toBe(figures.expectedPoints);
    const { missingPoints, excessPoints, droppedWindows, seqGaps, duplicates, skippedEvents, gapEvents } = figures;
    expect([missingPoints, excessPoints, droppedWindows, seqGaps, duplicates, skippedEvents, gapEvents]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    const { p50, p95, p99, max } = figures.eventLatencyMs;
    expect([p50, p95, p99, max]).toEqual([p50, p95, p99, max].toSorted((a, b) => (a ?? NaN) - (b ?? NaN)));
    expect(p50).toBeGreaterThan(1);
    // Four callers, 50 packets a second, warm-up and all.
    expect(figures.packets.sent).toBeGreaterThan(4 * 50 * 8);
    expect(figures.packets).toMatchObject({ received: figures.packets.sent, lostOnPurpose: 0, comfortNoise: 0 });
    const { total, ...parts } = figures.cpuMsPerCallerSecond ?? { total: 0 };
    expect(total).toBeGreaterThan(1);
    expect(Object.values(parts).reduce((sum, ms) => sum + ms, 0)).toBeCloseTo(total, 1);
    expect(figures.eventLoopDelayMs.p99).toBeGreaterThan(0);
    expect(stderr).toContain('points');
    expect(readFileSync(html, 'utf8')).toContain('<svg');
  });

  it('loads a running server through a bad network, with callers who come and go', onceMore, async () => {
    server = await startApp();
    const args = ['--callers', '6', '--seconds', '8', '--warm-up', '1', '--url', server.url, '--json', '-', '--no-html'];
    const network = ['--loss', '5', '--jitter', '40', '--churn', '30', '--dtx', '--talk', '0.8', '--call-size', '3', '--subscribers', '3'];
    const { stdout, stderr, code } = await start([...args, ...network]).ended;
    expect(stderr).not.toContain('Expected');
    const figures = JSON.parse(stdout) as LoadFigures;
    expect(figures.failures).toEqual([]);
    expect(code).toBe(0);
    expect(figures).toMatchObject({ callers: 6, calls: 2, subscribers: 3, server: server.url, seqGaps: 0, duplicates: 0 });
    expect(figures.replaced).toBeGreaterThanOrEqual(3);
    expect(figures.packets.lostOnPurpose).toBeGreaterThan(0);
    expect(figures.points).toBe(figures.expectedPoints);
    expect(figures.points).toBeGreaterThan(40);
    // It leaves the server as it found it.
    expect(await server.metric('undertone_participants')).toBe(0);
    expect(await server.metric('undertone_calls')).toBe(0);
  });

  it('ends with the figures so far on SIGINT', async () => {
    server = await startApp();
    const { child, ended } = start(['--callers', '2', '--seconds', '600', '--talk', '1', '--url', server.url, '--json', '-', '--no-html']);
    const reader = server;
    while ((await reader.metric('undertone_events_total', { type: 'point' })) < 5) await new Promise((resolve) => setTimeout(resolve, 100));
    child.kill('SIGINT');
    const { stdout } = await ended;
    const figures = JSON.parse(stdout) as LoadFigures;
    expect(figures.interrupted).toBe(true);
    expect(figures.points).toBeGreaterThanOrEqual(5);
    expect(figures.seqGaps).toBe(0);
    expect(await server.metric('undertone_participants')).toBe(0);
  });

  it('says what it expected, and exits with 2, where it cannot run', async () => {
    const { stderr, code } = await start(['--callers', 'x', '--seconds', '6']).ended;
    expect(stderr).toBe('Expected --callers to be a whole number from 1 to 5000, got `x`\n');
    expect(code).toBe(2);
    const nobody = await start(['--callers', '1', '--seconds', '6', '--url', 'http://127.0.0.1:9', '--no-html']).ended;
    expect(nobody.stderr).toContain('Expected a server at http://127.0.0.1:9, but it cannot be reached');
    expect(nobody.code).toBe(2);
    server = await startApp({ ingest: { maxIngests: 1 }, auth: { secret: 'a secret of thirty-two characters' } });
    const stranger = await start(['--callers', '1', '--seconds', '6', '--url', server.url, '--no-html']).ended;
    expect(stranger.stderr).toContain('to hand out a token, got status 404: give --token, or set UNDERTONE_AUTH_SECRET');
    const token = await server.token('*', 'ingest read');
    const full = await start(['--callers', '2', '--seconds', '6', '--url', server.url, '--token', token, '--no-html']).ended;
    expect(full.stderr).toContain('UT_SERVER_OVERLOADED: Expected at most 1 ingests');
    expect(full.code).toBe(2);
    expect(await server.metric('undertone_participants')).toBe(0);
  });
});
