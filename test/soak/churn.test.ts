// Half of what a machine carries, for half an hour, in which somebody leaves and somebody joins every two seconds: nothing piles up.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { scrape, type Scrape } from '../../tools/bench/scrape.ts';
import { startCallsServer, type CallsServer } from '../../tools/bench/server-process.ts';
import { median, robustSlope } from '../../tools/bench/statistics.ts';
import type { LoadFigures } from '../../tools/load/figures.ts';

const loadPath = fileURLToPath(new URL('../../tools/load/main.ts', import.meta.url));
const seconds = Number(process.env['SOAK_CHURN_SECONDS'] ?? 1800);
/** Half of what two shared cores carry; `npm run load -- --find-limit` says what this machine does. */
const callers = Number(process.env['SOAK_CHURN_CALLERS'] ?? 75);
const churnPerMinute = 30;
/** A short run's is a third of it. */
const warmUpSeconds = Math.min(180, seconds / 3);
const sampleIntervalSeconds = 5;
/** Few enough that timelines are full, and grow no more, within the warm-up. */
const maxEvents = 500;
const maxGrowthRatio = 0.05;
/** Sockets of those who read metrics, kept alive. */
const spareHandles = 8;

interface Sample {
  readonly atSeconds: number;
  readonly rssBytes: number;
  readonly mediaBytes: number;
  readonly openFiles: number;
  readonly threads: number;
}

let server: CallsServer;
let figures: LoadFigures;
const samples: Sample[] = [];
let before: Sample;
let after: Sample;
let liveHeapBytes: { readonly warm: number; readonly end: number };
let left: Scrape;

function sampleOf(metrics: Scrape, atSeconds: number): Sample {
  return {
    atSeconds,
    rssBytes: metrics.get('process_resident_memory_bytes'),
    mediaBytes: metrics.get('undertone_media_workers_resident_bytes'),
    openFiles: readdirSync(`/proc/${String(server.pid)}/fd`).length,
    threads: readdirSync(`/proc/${String(server.pid)}/task`).length,
  };
}

/** What the robust line through the samples after the warm-up grows by over the run, as a share of their median. */
function growthRatio(key: Exclude<keyof Sample, 'atSeconds'>): number {
  const steady = samples.filter(({ atSeconds }) => atSeconds >= warmUpSeconds);
  const slope = robustSlope(steady.map((sample) => ({ x: sample.atSeconds, y: sample[key] })));
  return (slope * (seconds - warmUpSeconds)) / median(steady.map((sample) => sample[key]));
}

describe.runIf(process.platform === 'linux')(
  `${String(callers)} callers for ${String(seconds)} s, of whom ${String(churnPerMinute)} a minute are new`,
  () => {
    beforeAll(
      async () => {
        const ingest = { maxIngests: 10_000, portMin: 20_000, portMax: 32_000 };
        server = await startCallsServer({ calls: [], settings: { ingest, timeline: { maxEvents }, log: { level: 'warn' } } });
        before = sampleOf(await scrape(server.url), 0);
        const size = ['--callers', String(callers), '--seconds', String(seconds), '--churn', String(churnPerMinute)];
        const args = [loadPath, ...size, '--url', server.url, '--token', server.token, '--json', '-', '--no-html'];
        const load = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        const said = text(load.stdout);
        const ended = once(load, 'exit');
        const startMs = performance.now();
        const elapsedSeconds = (): number => (performance.now() - startMs) / 1000;
        let warm: number | undefined;
        let end = 0;
        while (elapsedSeconds() < seconds) {
          await delay(sampleIntervalSeconds * 1000);
          samples.push(sampleOf(await scrape(server.url), elapsedSeconds()));
          if (warm === undefined && elapsedSeconds() >= warmUpSeconds) warm = await server.collect();
        }
        end = await server.collect();
        liveHeapBytes = { warm: warm ?? end, end };
        await ended;
        figures = JSON.parse(await said) as LoadFigures;
        await delay(2000);
        left = await scrape(server.url);
        after = sampleOf(left, elapsedSeconds());
        const { eventLatencyMs, points, expectedPoints, replaced, cpuMsPerCallerSecond } = figures;
        const growth = { rss: growthRatio('rssBytes'), media: growthRatio('mediaBytes'), files: growthRatio('openFiles') };
        process.stderr.write(
          `${JSON.stringify({ eventLatencyMs, points, expectedPoints, replaced, cpuMsPerCallerSecond, liveHeapBytes, growth, before, steady: samples.at(-1), after })}\n`,
        );
      },
      (seconds + 600) * 1000,
    );

    afterAll(() => server.close());

    it('loses nothing', () => {
      expect(figures.failures).toEqual([]);
      expect(figures.points).toBe(figures.expectedPoints);
      expect([figures.seqGaps, figures.duplicates, figures.droppedWindows]).toEqual([0, 0, 0]);
      expect(figures.replaced).toBeGreaterThan((0.9 * churnPerMinute * seconds) / 60);
    });

    it('keeps its memory', () => {
      expect(liveHeapBytes.end).toBeLessThan((1 + maxGrowthRatio) * liveHeapBytes.warm);
      expect(growthRatio('rssBytes')).toBeLessThan(maxGrowthRatio);
      expect(growthRatio('mediaBytes')).toBeLessThan(maxGrowthRatio);
    });

    it('leaves no files, sockets or threads behind', () => {
      expect(growthRatio('openFiles')).toBeLessThan(maxGrowthRatio);
      expect(growthRatio('threads')).toBeLessThan(maxGrowthRatio);
      expect(left.get('undertone_taps')).toBe(0);
      expect(left.get('undertone_participants')).toBe(0);
      expect(after.openFiles).toBeLessThanOrEqual(before.openFiles + spareHandles);
      expect(after.threads).toBeLessThanOrEqual(before.threads + 1);
    });
  },
);
