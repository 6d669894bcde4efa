// The curves of an evaluation as tables for a person.
import type { ColdStartRow, Curves, RiskCoverageRow, SpeechHeardRow } from './curves.ts';
import { points, ratio, table } from './text.ts';

/** Lines of text. */
export function curveTables({ speechHeard, coldStart, riskCoverage }: Curves): string[] {
  const { rows, after10s, fullStatisticsUars } = coldStart;
  const { atUncertainBelow: at } = riskCoverage;
  return [
    '',
    'UAR by seconds of the clip heard, in the calls above; below: points less than all, heard: clips with a verdict by then',
    ...speechTable(speechHeard.inCalls),
    '',
    'the same with pauses longer than a window, which then holds no speech of the clip before',
    ...speechTable(speechHeard.apart),
    '',
    'UAR by seconds of the caller heard in the call before the clip, beside the same clips with full statistics',
    ...coldTable([...rows, after10s]),
    `UAR of all clips with full statistics: ${fullStatisticsUars.map(ratio).join(', ')}`,
    '',
    'clips of which the model is at least so sure',
    ...riskTable(riskCoverage.rows),
    `area under the curve of errors over coverage: ${ratio(riskCoverage.area)}`,
    `not "uncertain", from ${ratio(at.confidence)} on: coverage ${ratio(at.coverage)}, accuracy ${ratio(at.accuracy)}, UAR ${ratio(at.uar)}; ` +
      `accuracy below: ${ratio(at.accuracyBelow)}`,
  ];
}

function speechTable(rows: readonly SpeechHeardRow[]): string[] {
  return table(
    ['s', 'UAR', 'below', '95 %', 'heard', 'UAR of heard', 'theirs of all'],
    rows.map(({ seconds, uar, below, interval, coverage, uarOfHeard, finalUarOfHeard }) => [
      ...[
        seconds === null ? 'all' : String(seconds),
        ratio(uar),
        points(below),
        interval === null ? '' : interval.map(points).join(' to '),
      ],
      ...[ratio(coverage), ratio(uarOfHeard), ratio(finalUarOfHeard)],
    ]),
  );
}

function coldTable(rows: readonly ColdStartRow[]): string[] {
  return table(
    ['s', 'clips', 'UAR', 'full', 'below', '95 %'],
    rows.map(({ fromSeconds, toSeconds, clips, uar, fullStatisticsUar, below, interval }) => [
      toSeconds === 0 ? '0' : toSeconds === null ? `${fromSeconds} on` : `${fromSeconds} to ${toSeconds}`,
      ...[String(clips), ratio(uar), ratio(fullStatisticsUar), points(below), interval === null ? '' : interval.map(points).join(' to ')],
    ]),
  );
}

function riskTable(rows: readonly RiskCoverageRow[]): string[] {
  return table(
    ['confidence', 'coverage', 'accuracy', 'UAR'],
    rows
      .filter(({ coverage }) => coverage > 0)
      .map(({ confidence, coverage, accuracy, uar }) => [...[confidence.toFixed(2), ratio(coverage), ratio(accuracy), ratio(uar)]]),
  );
}
