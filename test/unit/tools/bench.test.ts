import { describe, expect, it } from 'vitest';
import { format } from '../../../tools/bench/report.ts';
import { Scrape } from '../../../tools/bench/scrape.ts';
import { median, percentile, robustSlope, slope } from '../../../tools/bench/statistics.ts';

describe('statistics', () => {
  it('take percentiles by the nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0.01, 0.5, 0.99, 1].map((share) => percentile(values, share))).toEqual([1, 50, 99, 100]);
    expect(percentile([7], 0.5)).toBe(7);
    expect(percentile([], 0.5)).toBeNaN();
  });

  it('take the mean of the middle two for the median of an even number', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([])).toBeNaN();
  });

  it('fit lines, the robust one past outliers', () => {
    const line = Array.from({ length: 20 }, (_, x) => ({ x, y: 3 * x + 5 }));
    expect(slope(line)).toBeCloseTo(3, 10);
    const bent = line.map(({ x, y }) => ({ x, y: x === 19 ? 1000 : y }));
    expect(slope(bent)).toBeGreaterThan(6);
    expect(robustSlope(bent)).toBeCloseTo(3, 10);
    expect(slope([{ x: 1, y: 1 }])).toBe(0);
  });
});

describe('Scrape', () => {
  const text = ['# HELP a_total Things', '# TYPE a_total counter', 'a_total{type="x"} 2', 'a_total{type="y z"} 3', 'a 1.5e3', ''].join(
    '\n',
  );

  it('reads values and sums over labels', () => {
    const scrape = new Scrape(text);
    expect(scrape.get('a_total{type="y z"}')).toBe(3);
    expect(scrape.get('a')).toBe(1500);
    expect(scrape.get('b')).toBe(0);
    expect(scrape.sum('a_total')).toBe(5);
    expect(scrape.sum('a')).toBe(1500);
  });
});

describe('format', () => {
  it('lays out a table, numbers to the right, and what failed under it', () => {
    const rows = [
      { what: 'one', ms: 1.23456 },
      { what: 'twenty', ms: 1234.5 },
    ];
    expect(format({ name: 'latency', about: 'How long.', rows, failures: ['too long'] })).toBe(
      [
        '',
        '## latency',
        '',
        'How long.',
        '',
        '| what   |   ms |',
        '|--------|-----:|',
        '| one    | 1.23 |',
        '| twenty | 1235 |',
        'FAILED: too long',
        '',
      ].join('\n'),
    );
  });
});
