import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import { readCpuSeconds, readMediaWorkersBytes } from '../../../src/cpu-usage.ts';
import { delaysMs, observeEventLoopDelay } from '../../../src/event-loop-delay.ts';
import { addProcessMetrics } from '../../../src/process-metrics.ts';
import { findWorkerBin } from '../../../src/sfu/worker-bin.ts';
import { WorkerPool } from '../../../src/sfu/worker-pool.ts';
import { Scrape } from '../../../tools/bench/scrape.ts';
import { silentLogger } from '../../support/timeline.ts';

const ends: (() => unknown)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

/** Keeps a core busy. */
function burn(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

describe('event loop delay', () => {
  it('counts each time at which a held-up timer would have been due', () => {
    expect(delaysMs(0)).toEqual([0]);
    expect(delaysMs(14)).toEqual([14]);
    expect(delaysMs(65)).toEqual([65, 45, 25, 5]);
  });

  it('is observed until it is stopped', async () => {
    const registry = new Registry();
    const stop = observeEventLoopDelay(registry);
    ends.push(stop);
    const read = async () => new Map(new Scrape(await registry.metrics()).buckets('undertone_event_loop_delay_ms'));
    const above = (counts: ReadonlyMap<number, number>, ms: number) => (counts.get(Infinity) ?? 0) - (counts.get(ms) ?? 0);
    await delay(60);
    const before = await read();
    burn(160);
    await delay(60);
    const busy = await read();
    // Held up for 160 ms, a timer of 20 ms is 140 ms late or more, and would have been due at 120, 100 … besides.
    expect(above(busy, 75) - above(before, 75)).toBeGreaterThanOrEqual(3);
    expect(above(busy, 20) - above(before, 20)).toBeGreaterThanOrEqual(6);
    const bounds = [...busy.values()];
    expect(bounds).toEqual(bounds.toSorted((a, b) => a - b));
    stop();
    const count = (await read()).get(Infinity);
    await delay(80);
    expect((await read()).get(Infinity)).toBe(count);
  });
});

describe('CPU by part', () => {
  it('tells threads apart by their names', async () => {
    const before = readCpuSeconds(process.pid);
    const names = ['undertone-pipeline-1', 'undertone-inference-1'];
    const workers = names.map((name) => new Worker('for (;;);', { eval: true, name }));
    ends.push(() => Promise.all(workers.map((worker) => worker.terminate())));
    const spent = () => {
      const { pipeline, inference } = readCpuSeconds(process.pid);
      return Math.min(pipeline - before.pipeline, inference - before.inference);
    };
    while (spent() < 0.15) await delay(20);
    burn(60);
    expect(readCpuSeconds(process.pid).main).toBeGreaterThan(before.main);
  });

  it('is exported with the media workers and their memory', async () => {
    const workerBin = findWorkerBin(process.env);
    const pool = await WorkerPool.create({ workerCount: 1, logger: silentLogger, ...(workerBin === undefined ? {} : { workerBin }) });
    ends.push(() => pool.close());
    expect(readMediaWorkersBytes(process.pid)).toBeGreaterThan(2 ** 20);
    const registry = new Registry();
    addProcessMetrics(registry);
    const scrape = new Scrape(await registry.metrics());
    for (const part of ['main', 'pipeline', 'inference', 'mediasoup', 'other']) {
      expect(await registry.metrics()).toContain(`undertone_cpu_seconds_total{part="${part}"}`);
    }
    expect(scrape.get('undertone_cpu_seconds_total{part="main"}')).toBeGreaterThan(0);
    expect(scrape.get('undertone_media_workers_resident_bytes')).toBeGreaterThan(2 ** 20);
    const all = scrape.get('process_cpu_seconds_total');
    const own = scrape.sum('undertone_cpu_seconds_total') - scrape.get('undertone_cpu_seconds_total{part="mediasoup"}');
    // Threads that have ended count in the process alone.
    expect(own).toBeLessThanOrEqual(all + 0.1);
  });
});
