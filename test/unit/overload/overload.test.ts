// What is done with the steps: paces of callers, waits that are told, metrics. Pressure and time are the test's.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createMetrics } from '../../../src/metrics.ts';
import type { WindowPressure } from '../../../src/models/load-meter.ts';
import { Overload, type OverloadSettings } from '../../../src/overload/overload.ts';
import type { Pace } from '../../../src/pipeline/pace.ts';
import { metricOf } from '../../support/server.ts';
import { silentLogger } from '../../support/timeline.ts';
import { tinyManifest } from '../models/support.ts';

const fine: WindowPressure = { scored: 100, late: 0, meanAgeMs: 80, lost: 0, oldestMs: 90, busyShare: 0.1 };
const strained: WindowPressure = { ...fine, late: 100, meanAgeMs: 900, busyShare: 1 };
/** Of the tiny model. */
const hopMs = (tinyManifest.hopFrames * tinyManifest.hopSamples * 1000) / tinyManifest.sampleRateHz;

let pressure: WindowPressure;
let lagMs: number;
let metrics: ReturnType<typeof createMetrics>;
let overload: Overload;

class Caller {
  readonly pace: Pace;
  readonly told: (readonly [fromMs: number, toMs: number])[] = [];
  readonly id: string;

  constructor(id: string) {
    this.id = id;
    this.pace = overload.join(id, (from, to) => this.told.push([from - startMs, to - startMs]));
  }

  speaks(): this {
    overload.speech(this.id, 'start');
    return this;
  }
}

let startMs: number;

function open(settings: OverloadSettings = {}): void {
  overload = new Overload({
    ...settings,
    emotion: { takePressure: () => pressure, manifest: tinyManifest },
    pipelines: { pausedMs: 0, takePressure: () => ({ lagMs, busyShare: 0.1 }) },
    metrics,
    logger: silentLogger,
    clock: { nowMs: () => Date.now() },
    mainShare: () => 0.1,
  });
  startMs = Date.now();
}

async function read() {
  const text = await metrics.registry.metrics();
  const steps = (direction: string): number => metricOf(text, 'undertone_overload_steps_total', { direction });
  return {
    ...{ hopMs: metricOf(text, 'undertone_hop_ms'), waiting: metricOf(text, 'undertone_callers_waiting') },
    ...{ up: steps('up'), down: steps('down') },
  };
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] });
  pressure = fine;
  lagMs = 0;
  metrics = createMetrics();
});

afterEach(() => {
  overload.close();
  vi.useRealTimers();
});

describe('Overload', () => {
  it('leaves everything as it is while the server keeps up', async () => {
    open();
    const caller = new Caller('a').speaks();
    vi.advanceTimersByTime(60_000);
    expect([caller.pace.hopFactor, caller.pace.waiting, caller.told]).toEqual([1, false, []]);
    expect(await read()).toEqual({ hopMs, waiting: 0, up: 0, down: 0 });
  });

  it('widens the hop of all, also of who comes later, and narrows it again', async () => {
    open();
    const caller = new Caller('a');
    pressure = strained;
    vi.advanceTimersByTime(1500);
    expect(caller.pace.hopFactor).toBe(2);
    vi.advanceTimersByTime(1000);
    expect([caller.pace.hopFactor, new Caller('b').pace.hopFactor]).toEqual([4, 4]);
    expect(await read()).toEqual({ hopMs: 4 * hopMs, waiting: 0, up: 2, down: 0 });
    pressure = fine;
    vi.advanceTimersByTime(15_000);
    expect([caller.pace.hopFactor, new Caller('c').pace.hopFactor]).toEqual([1, 1]);
    expect(await read()).toEqual({ hopMs, waiting: 0, up: 2, down: 2 });
  });

  it('goes by pipeline threads that are behind, too', () => {
    open();
    const caller = new Caller('a');
    lagMs = 500;
    vi.advanceTimersByTime(1500);
    expect(caller.pace.hopFactor).toBe(2);
  });

  it('lets callers wait in turns of which each is told without a hole, and nobody any more in the end', async () => {
    open();
    const callers = Array.from({ length: 8 }, (_, i) => new Caller(`p${String(i)}`).speaks());
    vi.advanceTimersByTime(20_000);
    pressure = strained;
    vi.advanceTimersByTime(3500);
    // A quarter of the speech, and none beyond it while the next step is not due.
    expect(callers.filter(({ pace }) => pace.waiting)).toHaveLength(2);
    expect(await read()).toMatchObject({ hopMs: 4 * hopMs, waiting: 2 });
    pressure = { ...fine, busyShare: 0.9 };
    vi.advanceTimersByTime(40_000);
    for (const { told, pace } of callers) {
      expect(told.length).toBeGreaterThan(3);
      for (const [i, [from, to]] of told.entries()) {
        expect(to - from).toBeGreaterThan(0);
        expect(to - from).toBeLessThanOrEqual(1000);
        expect(from).toBeGreaterThanOrEqual(told[i - 1]?.[1] ?? 0);
      }
      const longest = told.reduce(({ run, most }, [from, to], i) => {
        const now = told[i - 1]?.[1] === from ? run + to - from : to - from;
        return { run: now, most: Math.max(most, now) };
      }, { run: 0, most: 0 }); // prettier-ignore
      expect(longest.most).toBeLessThanOrEqual(4000);
      expect(pace.hopFactor).toBe(4);
    }
    pressure = fine;
    vi.advanceTimersByTime(60_000);
    expect(callers.some(({ pace }) => pace.waiting)).toBe(false);
    expect(await read()).toMatchObject({ hopMs, waiting: 0 });
    const before = callers.map(({ told }) => told.length);
    vi.advanceTimersByTime(5000);
    expect(callers.map(({ told }) => told.length)).toEqual(before);
  });

  it('tells the wait of who leaves, and nothing of who withdraws', () => {
    open();
    const callers = Array.from({ length: 8 }, (_, i) => new Caller(`p${String(i)}`).speaks());
    vi.advanceTimersByTime(20_000);
    pressure = strained;
    vi.advanceTimersByTime(3750);
    const [leaving, withdrawing] = callers.filter(({ pace }) => pace.waiting);
    overload.leave(leaving!.id, { tell: true });
    overload.leave(withdrawing!.id, { tell: false });
    overload.leave('nobody', { tell: true });
    vi.advanceTimersByTime(20_000);
    expect(leaving!.told).toEqual([[23_500, 23_750]]);
    expect(withdrawing!.told).toEqual([]);
  });

  it('does nothing where it is switched off, or closed', () => {
    open({ enabled: false });
    const caller = new Caller('a');
    pressure = strained;
    vi.advanceTimersByTime(60_000);
    expect(caller.pace.hopFactor).toBe(1);
    open();
    const other = new Caller('a');
    overload.close();
    vi.advanceTimersByTime(60_000);
    expect(other.pace.hopFactor).toBe(1);
  });
});
