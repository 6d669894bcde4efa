// Far more callers than a core carries: the server stays prompt, says what it leaves out, and is itself again afterwards.
import { execFile, execFileSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scrape } from '../../tools/bench/scrape.ts';
import { startCallsServer, type CallsServer } from '../../tools/bench/server-process.ts';
import type { LoadFigures } from '../../tools/load/figures.ts';

const loadPath = fileURLToPath(new URL('../../tools/load/main.ts', import.meta.url));
/** Half as many again as a core carries. */
const callers = Number(process.env['SOAK_OVERLOAD_CALLERS'] ?? 300);
const seconds = Number(process.env['SOAK_OVERLOAD_SECONDS'] ?? 45);
const hopMs = 240;

let server: CallsServer;

/** Loads the server; its figures. The first seconds, in which the hop widens, are not measured. */
async function load(count: number, forSeconds: number, warmUpSeconds: number): Promise<LoadFigures> {
  const size = ['--callers', String(count), '--seconds', String(forSeconds), '--warm-up', String(warmUpSeconds), '--talk', '1'];
  const args = [loadPath, ...size, '--url', server.url, '--token', server.token, '--json', '-', '--no-html'];
  const done = promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 }).catch((error: unknown) => error);
  return JSON.parse(((await done) as { readonly stdout: string }).stdout) as LoadFigures;
}

describe.runIf(process.platform === 'linux')(`${String(callers)} callers on one core`, () => {
  beforeAll(async () => {
    const ingest = { maxIngests: 10_000, portMin: 20_000, portMax: 32_000 };
    server = await startCallsServer({ calls: [], settings: { ingest, log: { level: 'warn' } } });
    // Every thread of the server, and none of the media workers.
    execFileSync('taskset', ['-acp', '0', String(server.pid)]);
  });

  afterAll(() => server.close());

  it('are more than it can do: it widens the hop, lets callers wait, and stays prompt; nothing is missing that was not told', async () => {
    const figures = await load(callers, seconds, 20);
    const { eventLatencyMs, widenedPoints, waitedSeconds, droppedWindows } = figures;
    process.stderr.write(`${JSON.stringify({ eventLatencyMs, hopMs: figures.hopMs, widenedPoints, waitedSeconds, droppedWindows })}\n`);
    expect(figures.failures).toEqual([]);
    expect(figures.hopMs.widest).toBeGreaterThan(hopMs);
    // What packets may wait for a pipeline thread, and windows for the engine, bounds the worst of it.
    expect(eventLatencyMs.p99).toBeLessThan(2500);
    expect(eventLatencyMs.p50).toBeLessThan(600);
    expect(figures.points).toBeGreaterThan((callers * seconds) / 20);
  });

  it('leave it as it was: it goes back by itself, and fewer callers have the full hop', async () => {
    const untilMs = performance.now() + 120_000;
    while ((await scrape(server.url)).get('undertone_hop_ms') !== hopMs) {
      await delay(500);
      expect(performance.now()).toBeLessThan(untilMs);
    }
    const after = await scrape(server.url);
    expect(after.get('undertone_callers_waiting')).toBe(0);
    const few = await load(Math.max(4, Math.round(callers / 20)), 20, 3);
    expect(few.failures).toEqual([]);
    expect(few).toMatchObject({ hopMs: { widest: hopMs }, widenedPoints: 0, waitedSeconds: 0, missingPoints: 0 });
  });
});
