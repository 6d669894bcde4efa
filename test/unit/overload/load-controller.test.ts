// When more is left out, and when less: on a clock of the test's own.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LoadController, loadLevels, type LoadControllerOptions, type LoadReading } from '../../../src/overload/load-controller.ts';

const tickMs = 500;

/** Nothing to do. */
const idle: LoadReading = {
  ...{ scored: 0, late: 0, lost: 0, meanAgeMs: 0, oldestMs: 0, pipelineLagMs: 0, mainLagMs: 0, engineShare: 0, threadShare: 0 },
};
/** Enough to do, all of it in time. */
const fine: LoadReading = { ...idle, scored: 100, meanAgeMs: 80, engineShare: 0.3, threadShare: 0.3 };
const strained: LoadReading = { ...fine, late: 100, meanAgeMs: 600, engineShare: 1, threadShare: 1 };

class Bench {
  readonly controller: LoadController;
  nowMs = 1000;

  constructor(options: LoadControllerOptions = {}) {
    this.controller = new LoadController(options);
  }

  /** Readings for so long; the steps that they lead to, each with the time since the first of them. */
  run(ms: number, reading: LoadReading | ((atMs: number) => LoadReading)) {
    const steps = [];
    const startMs = this.nowMs;
    for (; this.nowMs < startMs + ms; this.nowMs += tickMs) {
      const atMs = this.nowMs - startMs;
      const step = this.controller.observe(typeof reading === 'function' ? reading(atMs) : reading, this.nowMs);
      if (step !== null) steps.push({ atMs, ...step });
    }
    return steps;
  }

  get index(): number {
    return loadLevels.indexOf(this.controller.level);
  }
}

describe('LoadController', () => {
  it('widens the hop step by step, then lets more and more wait, a second after another', () => {
    const bench = new Bench();
    const steps = bench.run(30_000, strained);
    expect(steps.map(({ atMs }) => atMs)).toEqual([1000, 2000, 3000, 4000, 5000]);
    expect(steps.map(({ level }) => level)).toEqual(loadLevels.slice(1));
    expect(loadLevels.map(({ hopFactor }) => hopFactor)).toEqual([1, 2, 4, 4, 4, 4]);
    expect(steps.every(({ direction, reason }) => direction === 'up' && reason === 'late windows')).toBe(true);
  });

  it('makes haste where it is far behind', () => {
    expect(new Bench().run(10_000, { ...strained, meanAgeMs: 1000 }).map(({ atMs }) => atMs)).toEqual([500, 1000, 1500, 2000, 2500]);
  });

  it.each<[string, Partial<LoadReading>, string]>([
    ['a fifth of the windows is late', { late: 20 }, 'late windows'],
    ['windows are lost', { scored: 98, lost: 2 }, 'lost windows'],
    ['nothing is scored any more, and windows are lost', { scored: 0, lost: 1 }, 'lost windows'],
    ['a batch takes so long that nothing is scored meanwhile', { scored: 0, oldestMs: 700 }, 'late windows'],
    ['pipeline threads are behind', { pipelineLagMs: 375 }, 'pipeline threads'],
    ['the main thread is held up', { mainLagMs: 301 }, 'main thread'],
  ])('takes a step where %s', (_what, change, reason) => {
    expect(new Bench().run(1500, { ...fine, ...change })).toMatchObject([{ atMs: 1000, direction: 'up', reason }]);
  });

  it('takes none for a second that was bad, for a few late windows, or for threads that are busy and in time', () => {
    const bench = new Bench();
    expect(bench.run(20_000, (atMs) => (atMs % 3000 < 1000 ? strained : fine))).toEqual([]);
    expect(bench.run(20_000, { ...fine, late: 19 })).toEqual([]);
    expect(bench.run(20_000, { ...fine, engineShare: 1, threadShare: 1 })).toEqual([]);
  });

  it('gives what is catching up the time', () => {
    const catching = (atMs: number): LoadReading => ({ ...strained, meanAgeMs: 2000 * 0.85 ** (1 + atMs / tickMs) });
    const bench = new Bench();
    expect(bench.run(1000, { ...strained, meanAgeMs: 2000 })).toHaveLength(1);
    expect(bench.run(5000, catching)).toEqual([]);
    expect(bench.run(1500, strained)).toHaveLength(1);
  });

  it('goes back by itself, a step each five calm seconds', () => {
    const bench = new Bench();
    bench.run(6000, strained);
    const steps = bench.run(60_000, idle);
    expect(bench.index).toBe(0);
    expect(steps.map(({ level }) => level)).toEqual(loadLevels.slice(0, -1).toReversed());
    const between = steps.slice(1).map(({ atMs }, i) => atMs - steps[i]!.atMs);
    for (const ms of between) expect(ms).toBe(5500);
    expect(steps.every(({ reason }) => reason === 'calm')).toBe(true);
  });

  it('stays where a step down would ask for more than a thread can do', () => {
    const bench = new Bench();
    bench.run(1500, strained);
    expect(bench.index).toBe(1);
    // Twice the windows would keep the engine busy for 88 %.
    expect(bench.run(60_000, { ...fine, engineShare: 0.55 })).toEqual([]);
    expect(bench.run(20_000, { ...fine, engineShare: 0.45 })).toMatchObject([{ direction: 'down' }]);
    bench.run(4000, strained);
    expect(bench.controller.level).toEqual({ hopFactor: 4, waitingShare: 0.25 });
    // A third more callers.
    expect(bench.run(60_000, { ...fine, threadShare: 0.75 })).toEqual([]);
    expect(bench.run(60_000, { ...fine, threadShare: 0.7, engineShare: 0.1 })[0]).toMatchObject({ level: loadLevels[2] });
  });

  it('does not narrow while windows are somewhat late', () => {
    const bench = new Bench();
    bench.run(1500, strained);
    expect(bench.run(60_000, { ...fine, late: 5 })).toEqual([]);
    expect(bench.run(60_000, { ...fine, pipelineLagMs: 200 })).toEqual([]);
    expect(bench.run(10_000, fine)).toHaveLength(1);
  });

  it('tries ever less often what does not last, up to a minute, and forgets that once it lasted', () => {
    const bench = new Bench();
    // Fits at twice the hop, and never at the full one, whatever the shares promise.
    const load = (): LoadReading => (bench.index === 0 ? strained : fine);
    const steps = bench.run(600_000, load).filter(({ direction }) => direction === 'down');
    const between = steps.slice(1).map(({ atMs }, i) => atMs - steps[i]!.atMs);
    expect(between[0]).toBeGreaterThan(9000);
    for (const [i, ms] of between.slice(1).entries()) expect(ms).toBeGreaterThanOrEqual(between[i]!);
    expect(between.at(-1)).toBeGreaterThan(60_000);
    expect(between.at(-1)).toBeLessThan(66_000);
    expect(steps.length).toBeLessThan(15);
    bench.run(200_000, fine);
    bench.run(1500, strained);
    expect(bench.run(20_000, fine)[0]!.atMs).toBeLessThan(8000);
  });

  it('never leaves its steps, moves by one, and ends at the full hop once it is calm, whatever it was told', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const count = fc.integer({ min: 0, max: 200 });
    const lag = fc.integer({ min: 0, max: 3000 });
    const readings = fc.array(
      fc.record<LoadReading>({
        ...{ scored: count, late: count, lost: count, meanAgeMs: lag, oldestMs: lag, pipelineLagMs: lag, mainLagMs: lag },
        ...{ engineShare: share, threadShare: share },
      }),
      { maxLength: 300 },
    );
    fc.assert(
      fc.property(readings, (list) => {
        const bench = new Bench();
        let before = 0;
        for (const reading of list) {
          bench.run(tickMs, reading);
          expect(Math.abs(bench.index - before)).toBeLessThanOrEqual(1);
          before = bench.index;
        }
        bench.run(400_000, idle);
        expect(bench.index).toBe(0);
      }),
    );
  });
});
