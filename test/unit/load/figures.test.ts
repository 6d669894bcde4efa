import { describe, expect, it } from 'vitest';
import { Scrape } from '../../../tools/bench/scrape.ts';
import { Display, type Output } from '../../../tools/load/display.ts';
import { beyondLimit, figuresOf, growthOf, type LoadFigures } from '../../../tools/load/figures.ts';
import { LatencyHistogram } from '../../../tools/load/latency-histogram.ts';
import { cpuMsBetween, droppedBetween, eventLoopDelayMs, readingOf } from '../../../tools/load/meters.ts';
import { readOptions } from '../../../tools/load/options.ts';
import { escapeHtml, plotHtml, ticks } from '../../../tools/load/plot.ts';
import { reportHtml } from '../../../tools/load/report.ts';
import type { RunRecord, Sample } from '../../../tools/load/run.ts';
import { rowsOf, tableOf } from '../../../tools/load/text.ts';
import { thin } from '../../../tools/load/thin.ts';

interface Told {
  readonly main?: number;
  readonly superseded?: number;
  readonly rssMb?: number;
  readonly packets?: number;
  readonly loop?: readonly (readonly [number, number])[];
}

function metrics({ main = 0, superseded = 0, rssMb = 100, packets = 0, loop = [] }: Told): Scrape {
  const text = [
    `undertone_cpu_seconds_total{part="main"} ${main}`,
    `undertone_cpu_seconds_total{part="pipeline"} ${main / 2}`,
    `undertone_cpu_seconds_total{part="inference"} 0.5`,
    `undertone_cpu_seconds_total{part="mediasoup"} ${main / 4}`,
    `undertone_cpu_seconds_total{part="other"} 1`,
    `undertone_windows_total{fate="superseded"} ${superseded}`,
    `undertone_windows_total{fate="expired"} 1`,
    `undertone_rtp_packets_total{fate="received"} ${packets}`,
    `process_resident_memory_bytes ${rssMb * 1e6}`,
    ...loop.map(([upTo, count]) => `undertone_event_loop_delay_ms_bucket{le="${upTo === Infinity ? '+Inf' : upTo}"} ${count}`),
  ];
  return new Scrape(text.join('\n'));
}

const loop = [[5, 900], [10, 980], [20, 1000], [Infinity, 1000]] as const; // prettier-ignore
const idle = readingOf(metrics({}), 0);
const from = readingOf(metrics({ main: 1, loop: loop.map(([upTo]) => [upTo, 0] as const) }), 3000);
const to = readingOf(metrics({ main: 5, rssMb: 140, packets: 900, loop }), 13_000);
const last = readingOf(metrics({ main: 6, superseded: 2, packets: 1000 }), 14_000);

const none = { p50: NaN, p95: NaN, p99: NaN, max: NaN };
const sample = (atSeconds: number, changes: Partial<Sample> = {}): Sample => ({
  atSeconds,
  callers: 4,
  events: 20,
  latencyMs: { p50: 80, p95: 85, p99: 90, max: 91 },
  hopMs: 240,
  waiting: 0,
  cpuMs: { main: 100, pipeline: 50, inference: 40, mediasoup: 30, other: 10, total: 230 },
  serverBytes: 140e6,
  mediaWorkersBytes: 20e6,
  droppedWindows: 0,
  senderLateMs: { p50: 1, p95: 2, p99: 3, max: 4 },
  ...changes,
});

function record(changes: Partial<RunRecord> = {}): RunRecord {
  const latency = new LatencyHistogram();
  for (let ms = 1; ms <= 100; ms += 1) latency.add(ms);
  return {
    ...{ callers: 4, calls: 1, sockets: 1, ownServer: true, url: 'http://127.0.0.1:1', interrupted: false },
    ...{ stretchSeconds: null, warmUpSeconds: 3, measuredSeconds: 10 },
    samples: [sample(1, { latencyMs: none }), sample(2), sample(3)],
    readings: { idle, from, to, last },
    heard: {
      points: new Map([
        ['a', 10],
        ['b', 12],
      ]),
      latency: latency.data,
      ...{ gapEvents: 0, seqGaps: 0, duplicates: 0, skipped: 0, faults: [] },
      ...{ leftOut: new Map(), hopMs: { model: 240, widest: 240 }, widenedPoints: 0, waitedMs: 0 },
    },
    expected: [
      { participantId: 'a', least: 10, most: 10 },
      { participantId: 'b', least: 11, most: 13 },
    ],
    packets: { sent: 1000, lost: 5, comfortNoise: 0 },
    senderLate: new LatencyHistogram(),
    senderCpuMs: 40,
    replaced: 0,
    faults: [],
    ...changes,
  };
}

describe('meters', () => {
  it('tell CPU time by part between two readings', () => {
    expect(cpuMsBetween(from, to)).toEqual({ main: 4000, pipeline: 2000, inference: 0, mediasoup: 1000, other: 0, total: 7000 });
    expect(cpuMsBetween(from, readingOf(new Scrape('a 1'), 5))).toBeNull();
  });

  it('tell windows that were not scored', () => {
    expect(droppedBetween(idle, last)).toBe(2);
  });

  it("tell the event loop's delay between the bounds", () => {
    expect(eventLoopDelayMs(from, to, 0.45)).toBeCloseTo(2.5, 6);
    expect(eventLoopDelayMs(from, to, 0.94)).toBeCloseTo(7.5, 6);
    expect(eventLoopDelayMs(from, to, 0.99)).toBeCloseTo(15, 6);
    expect(eventLoopDelayMs(to, to, 0.99)).toBeNaN();
  });
});

describe('figures', () => {
  it('add up', () => {
    const figures = figuresOf(record());
    expect(figures).toMatchObject({
      ...{ callers: 4, seconds: 10, points: 22, expectedPoints: 22, missingPoints: 0, excessPoints: 0, droppedWindows: 2 },
      droppedBy: { superseded: 2, expired: 0, failed: 0 },
      cpuMsPerCallerSecond: { main: 100, pipeline: 50, inference: 0, mediasoup: 25, other: 0, total: 175 },
      // 40 MB of the server's, 20 of the media workers', for four.
      ...{ rssMbPerCaller: 15, failures: [], warnings: [] },
      packets: { sent: 1000, received: 1000, lostOnPurpose: 5 },
      generator: { lateMs: { p99: null }, cpuMsPerCallerSecond: 1 },
    });
    expect(figures.eventLatencyMs.p50).toBeCloseTo(50, -0.5);
    expect(figures.eventLatencyMs.max).toBe(100);
    expect(figures.eventLoopDelayMs.p99).toBeCloseTo(15, 6);
    expect(beyondLimit(figures)).toBeNull();
  });

  it('tell why windows were dropped in the table', () => {
    const rowOf = (changes: Partial<RunRecord> = {}) => rowsOf(figuresOf(record(changes))).find(([name]) => name === 'dropped windows');
    expect(rowOf()).toEqual(['dropped windows', '2', '2 superseded, 0 gap events']);
    expect(rowOf({ readings: { idle, from, to, last: idle } })).toEqual(['dropped windows', '0', '0 gap events']);
  });

  it('tell what silence saves where the listeners talk and listen in turns, and the table does', () => {
    const cpuMs = { main: 1, pipeline: 1, inference: 0, mediasoup: 1, other: 0, total: 3 };
    const half = { main: 0.5, pipeline: 0.75, inference: 0, mediasoup: 0.5, other: 0, total: 1.75 };
    const samples = Array.from({ length: 60 }, (_, i) => sample(i + 1, { callers: 4, cpuMs: i % 24 < 12 ? cpuMs : half }));
    const figures = figuresOf(record({ samples, stretchSeconds: 12, warmUpSeconds: 3 }));
    expect(figures.stretches).toEqual({
      pairs: 2,
      talking: { main: 0.25, pipeline: 0.25, inference: 0, mediasoup: 0.25, other: 0, total: 0.75 },
      listening: { main: 0.125, pipeline: 0.188, inference: 0, mediasoup: 0.125, other: 0, total: 0.438 },
      ...{ ratio: 0.583, pairRatios: [0.583, 0.583] },
    });
    const rows = rowsOf(figures).map((row) => row.join(' '));
    expect(rows).toContain('CPU while all may talk 0.75 ms a caller-second');
    expect(rows).toContain('CPU while some listen 0.44 ms a caller-second: 0.58 of that; 0.58 to 0.58 in 2 pairs');
    expect(figuresOf(record()).stretches).toBeNull();
    expect(rowsOf(figuresOf(record())).some(([name]) => name.startsWith('CPU while'))).toBe(false);
  });

  it('do not hide what one caller lacks behind what another has too much', () => {
    const heard = { ...record().heard, points: new Map([['a', 8], ['b', 15]]) }; // prettier-ignore
    const figures = figuresOf(record({ heard }));
    expect(figures).toMatchObject({ points: 23, expectedPoints: 23, missingPoints: 2, excessPoints: 2 });
    expect(figures.failures).toEqual(['expected 23 points, got 2 too few', 'expected 21 points, got 2 too many']);
    expect(beyondLimit(figures)).toBe('expected 23 points, got 2 too few');
  });

  it('do not miss what the server said that it left out, and call it beyond the limit', () => {
    const leftOut = new Map([['a', { windows: 3, waits: 1 }]]);
    const heard = { ...record().heard, leftOut, points: new Map([['a', 7], ['b', 12]]) }; // prettier-ignore
    const widened = figuresOf(record({ heard: { ...heard, hopMs: { model: 240, widest: 960 }, widenedPoints: 5 } }));
    expect(widened).toMatchObject({ points: 19, expectedPoints: 19, missingPoints: 0, excessPoints: 0, failures: [] });
    expect(widened.warnings).toEqual([expect.stringContaining('5 points have a hop of up to 960 ms')]);
    expect(beyondLimit(widened)).toBe('expected a point each 240 ms, got a hop of 960 ms');
    const waited = figuresOf(record({ heard: { ...heard, waitedMs: 8000 } }));
    expect(waited.waitedSeconds).toBe(8);
    expect(beyondLimit(waited)).toBe('expected all callers to be measured all the time, got some who waited');
    const lost = figuresOf(record({ heard: { ...heard, points: new Map([['a', 5], ['b', 12]]) } })); // prettier-ignore
    expect(lost).toMatchObject({ missingPoints: 2, expectedPoints: 19 });
  });

  it('fail for seqs that are missing or come twice, and say what casts doubt', () => {
    const late = new LatencyHistogram();
    late.add(70);
    const heard = { ...record().heard, seqGaps: 3, duplicates: 1, faults: ['a socket ended'] };
    const figures = figuresOf(record({ heard, senderLate: late, packets: { sent: 1010, lost: 0, comfortNoise: 4 }, interrupted: true }));
    expect(figures.failures).toEqual([
      'expected seqs without a gap, got 3 missing',
      'expected each event once, got 1 again',
      'a socket ended',
    ]);
    expect(figures.warnings).toEqual([
      expect.stringContaining('the load generator was late: 1 % of its packets by 70 ms'),
      "6 of 1010 packets that were sent did not reach the server's pipelines",
      expect.stringContaining('interrupted'),
    ]);
  });

  it('are beyond the limit with a p99 above 500 ms, or without points', () => {
    const slow = new LatencyHistogram();
    slow.add(501);
    const heard = { ...record().heard, latency: slow.data };
    expect(beyondLimit(figuresOf(record({ heard })))).toBe('expected a p99 of at most 500 ms, got 501 ms');
    const nobody = { ...record().heard, points: new Map<string, number>() };
    expect(beyondLimit(figuresOf(record({ heard: nobody, expected: [] })))).toBe('expected points, got none');
  });

  it('tell what one more caller takes by the steps that passed', () => {
    const step = (callers: number, passed: boolean) => {
      const figures = figuresOf(record({ callers }));
      const cpuMsPerCallerSecond = { ...figures.cpuMsPerCallerSecond!, total: 5 + 100 / callers };
      const memoryMb = { ...figures.memoryMb, end: passed ? 200 + 0.5 * callers : 9000 };
      return { callers, passed, reason: null, figures: { ...figures, memoryMb, cpuMsPerCallerSecond } };
    };
    expect(growthOf([step(10, true), step(20, true), step(80, false)])).toBeNull();
    expect(growthOf([step(10, true), step(20, true), step(40, true), step(80, false)])).toEqual({ rssMb: 0.5, cpuMsPerSecond: 5 });
  });

  it('are of what there is where nothing was measured', () => {
    const figures = figuresOf(record({ measuredSeconds: 0, samples: [] }));
    expect(figures.cpuMsPerCallerSecond).toBeNull();
    expect(JSON.stringify(figures)).not.toMatch(/NaN|Infinity/);
  });
});

describe('the report', () => {
  const run = figuresOf(record());
  const options = readOptions(['--callers', '4', '--seconds', '10'])!;
  const machine = { cpu: 'A <fast> CPU', cores: 2, memoryGiB: 24, node: 'v24', system: 'Debian', loadBefore: 1.25 };
  const step = { callers: 8, passed: false, reason: 'expected "all" & got <fewer>', figures: null };
  const figures: LoadFigures = {
    ...{ ...run, format: 'undertone-load/1', machine, server: 'own', voices: '54 recordings', options, limitCallers: 4 },
    curve: [{ callers: 4, passed: true, reason: null, figures: run }, step],
    growth: { rssMb: 0.25, cpuMsPerSecond: 6.5 },
  };
  const html = reportHtml(figures, record().samples, Date.UTC(2026, 0, 2, 3, 4));

  it('is one page that needs nothing else', () => {
    expect(html).toMatch(/^<!doctype html>/);
    expect(html).not.toMatch(/<script|<link|@import|url\(|src=|href=|https?:\/\//);
    expect(html).toContain('2026-01-02 03:04 UTC');
    expect(html).toContain('prefers-color-scheme: dark');
    expect(html).toContain('width=device-width');
    expect(html.match(/<svg /g)).toHaveLength(10);
    expect(html).not.toMatch(/NaN|undefined|Infinity/);
    expect(html).toContain('A &lt;fast&gt; CPU');
    expect(html).toContain('expected &quot;all&quot; &amp; got &lt;fewer&gt;');
  });

  it('has no token in it', () => {
    const { token: _token, ...shown } = { ...options, token: 'secret-token' };
    expect(reportHtml({ ...figures, options: shown }, [], 0)).not.toContain('secret-token');
  });

  it('stays small for a run of a day, and hides no peak', () => {
    const day = Array.from({ length: 86_400 }, (_, i) =>
      sample(i, i === 40_000 ? { latencyMs: { ...none, p99: 777 } } : { latencyMs: none }),
    );
    const thinned = thin(day, 600);
    expect(thinned).toHaveLength(600);
    expect(thinned.at(-1)).toMatchObject({ atSeconds: 86_399, events: 20, cpuMs: { main: 100, total: 230 }, latencyMs: none });
    expect(thinned.filter(({ latencyMs }) => latencyMs.p99 === 777)).toHaveLength(1);
    expect(thin(day.slice(0, 5), 600)).toEqual(day.slice(0, 5));
    expect(reportHtml(figures, day, 0).length).toBeLessThan(200_000);
  });

  it('is a table too', () => {
    const table = tableOf({ ...figures, warnings: ['a note'], failures: ['a fault'] });
    for (const line of [
      /event latency p99 +99(\.\d)? +ms/,
      /CPU total +175 +ms a caller-second, 5 callers a core/,
      /points +22 +of 22 expected/,
    ]) {
      expect(table).toMatch(line);
    }
    expect(table).toContain('One more caller takes 0.25 MB, and 6.50 ms of CPU a second.');
    expect(table).toContain('Limit: 4 callers.');
    expect(table).toMatch(/Note: a note\nFAILED: a fault\n$/);
  });
});

describe('plots', () => {
  it('have round ticks that hold all values', () => {
    expect(ticks(0, 87, 4)).toEqual([0, 50, 100]);
    expect(ticks(0, 0, 4)).toEqual([0, 0.5]);
    expect(ticks(0, 0.3, 4)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(ticks(3, 23, 4)).toEqual([0, 5, 10, 15, 20, 25]);
  });

  it('break lines where a value is not known', () => {
    const series = [{ name: 'p50', values: [1, null, 3, 4] }];
    const svg = plotHtml({ title: 'T', unit: 'ms', xs: [0, 1, 2, 3], xUnit: 's', series });
    const path = /class="line s1" d="([^"]*)"/.exec(svg)?.[1] ?? '';
    expect(path.match(/M/g)).toHaveLength(2);
    expect(path.match(/L/g)).toHaveLength(1);
  });

  it('put areas one upon the other', () => {
    const series = [
      { name: 'a', values: [50, 50] },
      { name: 'b', values: [50, 50] },
    ];
    const svg = plotHtml({ title: 'T', unit: '%', xs: [0, 1], xUnit: 's', series, stacked: true });
    const areas = [...svg.matchAll(/class="area s\d" d="([^"]*)"/g)].map(([, path]) => path);
    // The upper one stands on the lower one's top, and reaches 100 of 100.
    expect(areas).toEqual(['M44 88L350 88L350 166L44 166Z', 'M44 10L350 10L350 88L44 88Z']);
  });

  it('escape what they name', () => {
    expect(escapeHtml(`<a href="x">&'`)).toBe('&lt;a href=&quot;x&quot;&gt;&amp;&#39;');
  });
});

describe('the display', () => {
  class Terminal implements Output {
    text = '';
    readonly isTTY: boolean;
    readonly columns = 60;

    constructor(isTTY: boolean) {
      this.isTTY = isTTY;
    }

    write(text: string): void {
      this.text += text;
    }
  }
  const running = (atSeconds: number) => ({
    phase: 'running' as const,
    sample: sample(atSeconds),
    leftSeconds: 20 - atSeconds,
    measuring: true,
  });

  it('draws one block anew on a terminal, no line longer than it', () => {
    const terminal = new Terminal(true);
    const display = new Display(terminal);
    display.show('4 callers', running(1));
    const lines = terminal.text.split('\n').length - 1;
    expect(terminal.text).not.toContain('\x1b[A');
    display.show('4 callers', running(2));
    expect(terminal.text).toContain(`\x1b[${lines}A`);
    expect(terminal.text).toContain('measuring, 0:18 left');
    expect(terminal.text).toContain('p50 80 ms    p99 90 ms    hop 240 ms');
    for (const line of terminal.text.split('\n')) expect(line.replaceAll(/\x1b\[\d*[AJK]/g, '').length).toBeLessThan(60);
    terminal.text = '';
    display.clear();
    expect(terminal.text).toBe(`\x1b[${lines}A\x1b[J`);
  });

  it('writes a plain line now and then elsewhere', () => {
    const file = new Terminal(false);
    const display = new Display(file);
    display.show('4 callers', { phase: 'opening', done: 0, of: 4 });
    display.show('4 callers', { phase: 'opening', done: 1, of: 4 });
    for (let second = 1; second <= 20; second += 1) display.show('4 callers', running(second));
    display.show('4 callers', { phase: 'expecting', share: 0.5 });
    const lines = file.text.trimEnd().split('\n');
    expect(lines).toHaveLength(7);
    expect(lines[0]).toBe('4 callers: callers join: 0 of 4');
    expect(lines[1]).toMatch(
      /measuring, 0:19 left, 4 callers, 20 events\/s, p50 80 ms, p99 90 ms, hop 240 ms, CPU 23 %, memory 160 MB, dropped 0$/,
    );
    expect(file.text).not.toContain('\x1b');
  });
});
