// Progress of the worker's build: ninja's lines, and how it is shown with and without a terminal.
import { describe, expect, it } from 'vitest';
import { buildProgress, parseNinjaLine } from '../../../scripts/setup/ninja-progress.mjs';
import { createProgress, durationText } from '../../../scripts/setup/report.mjs';

describe('parseNinjaLine', () => {
  it('reads the counter', () => {
    expect(parseNinjaLine('[12/287] Compiling C++ object mediasoup-worker.p/src_lib.cpp.o')).toEqual({ done: 12, total: 287 });
  });

  it.each(['ninja: Entering directory `out`', '', '../src/RTC/Router.cpp:12:3: warning: x[1/2] ', '[12/] x', 'x [1/2] y'])(
    'takes nothing from %j',
    (line) => {
      expect(parseNinjaLine(line)).toBeUndefined();
    },
  );
});

describe('buildProgress', () => {
  it('counts a build from its start', () => {
    expect(buildProgress({ done: 100, total: 300 }, 300, 120_000)).toEqual({ ratio: 1 / 3, text: '100 of 300 steps, about 4 min left' });
  });

  it('counts what an earlier run has done, and times only this one', () => {
    expect(buildProgress({ done: 50, total: 100 }, 300, 30_000)).toEqual({ ratio: 250 / 300, text: '250 of 300 steps, about 30 s left' });
  });

  it('ends at the whole', () => {
    expect(buildProgress({ done: 300, total: 300 }, 300, 1)).toEqual({ ratio: 1, text: '300 of 300 steps' });
  });

  it('takes the larger count where the remembered one is too small', () => {
    expect(buildProgress({ done: 1, total: 4 }, 0, 1_000).ratio).toBe(0.25);
  });
});

describe('durationText', () => {
  it.each([
    [0, '1 s'],
    [1_400, '1 s'],
    [89_000, '89 s'],
    [90_000, '2 min'],
    [240_000, '4 min'],
  ])('%i ms is %s', (ms, text) => {
    expect(durationText(ms)).toBe(text);
  });
});

describe('createProgress', () => {
  function recorder(isTTY: boolean) {
    const written: string[] = [];
    let nowMs = 0;
    const stream = { isTTY, columns: 40, write: (text: string) => written.push(text) };
    const progress = createProgress('Compiling', { stream, nowMs: () => nowMs });
    return { written, progress, advance: (ms: number) => (nowMs += ms) };
  }

  it('updates one line on a terminal, and never wraps it', () => {
    const { written, progress, advance } = recorder(true);
    progress.update('30 of 300 steps', 0.1);
    progress.update('x'.repeat(100));
    advance(2_000);
    progress.end();
    expect(written[0]).toBe('[set-up] Compiling …');
    expect(written[1]).toMatch(/^\r\x1b\[K\[set-up\] Compiling: 10 % · 30 of 300 s.*…$/);
    expect(written[2]).toMatch(/^\r\x1b\[K\[set-up\] Compiling: x+…$/);
    for (const line of written.slice(1, 3)) expect(line.replace('\r\x1b[K', '').length).toBeLessThan(40);
    expect(written[3]).toBe('\r\x1b[K[set-up] Compiling: done in 2 s\n');
  });

  it('writes a plain line now and then without one', () => {
    const { written, progress, advance } = recorder(false);
    progress.update('1 of 300 steps', 0.003);
    advance(15_000);
    progress.update('30 of 300 steps', 0.1);
    advance(14_000);
    progress.update('60 of 300 steps', 0.2);
    progress.end('failed');
    expect(written).toEqual(['[set-up] Compiling …\n', '[set-up] Compiling: 10 % · 30 of 300 steps\n', '[set-up] Compiling: failed\n']);
  });
});
