// The report of a load test: one page of HTML with all that it needs in it.
import { callersPerCore, limitP99Ms, type LoadFigures } from './figures.ts';
import { partNames } from './meters.ts';
import { escapeHtml, plotHtml, type Plot } from './plot.ts';
import { reportStyle } from './report-style.ts';
import type { Sample } from './run.ts';
import { rowsOf, show } from './text.ts';
import { thin } from './thin.ts';

/** Samples that a plot shows: as many as it has places for, and some. */
const maxPlotted = 600;

/** The report. @param atUnixMs when the test ended */
export function reportHtml(figures: LoadFigures, samples: readonly Sample[], atUnixMs: number): string {
  const { machine, server, voices, failures, warnings, curve } = figures;
  const title = `Undertone under load: ${figures.limitCallers === null ? `${figures.callers} callers` : `${figures.limitCallers} callers at most`}`;
  const verdict = failures.length > 0 ? list('bad', failures) : `<p class="verdict good">Nothing is missing, and nothing came twice.</p>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(new Date(atUnixMs).toISOString().replace('T', ' ').slice(0, 16))} UTC · ${escapeHtml(server === 'own' ? 'a server of its own' : server)} · ${escapeHtml(voices)}</p>
<p>${escapeHtml(`${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}`)}; load before: ${machine.loadBefore.toFixed(1)}</p>
</header>
${verdict}
${warnings.length > 0 ? list('note', warnings) : ''}
<dl class="tiles">
${tiles(figures)
  .map(([name, value, unit]) => `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)} <span>${escapeHtml(unit)}</span></dd></div>`)
  .join('\n')}
</dl>
<section class="plots">
${[...(curve.length > 0 ? curvePlots(curve) : []), ...samplePlots(thin(samples, maxPlotted))].map(plotHtml).join('\n')}
</section>
${curve.length > 0 ? `<h2>Steps</h2>\n${stepsTable(curve)}` : ''}
<h2>All figures</h2>
<div class="scroll"><table><tbody>
${rowsOf(figures)
  .map(
    ([name, value, unit]) =>
      `<tr><th scope="row">${escapeHtml(name)}</th><td class="number">${escapeHtml(value)}</td><td>${escapeHtml(unit)}</td></tr>`,
  )
  .join('\n')}
</tbody></table></div>
<h2>Options</h2>
<div class="scroll"><table><tbody>
${Object.entries(figures.options)
  .filter(([, value]) => value !== null)
  .map(([name, value]) => `<tr><th scope="row">${escapeHtml(name)}</th><td>${escapeHtml(String(value))}</td></tr>`)
  .join('\n')}
</tbody></table></div>
</main>
</body>
</html>
`;
}

function tiles(figures: LoadFigures): (readonly [string, string, string])[] {
  const { eventLatencyMs, cpuMsPerCallerSecond: cpu, limitCallers, growth } = figures;
  return [
    ...(limitCallers === null ? [] : [['limit', show(limitCallers), 'callers'] as const]),
    ...(growth === null
      ? []
      : [['one more caller', show(growth.rssMb), 'MB'] as const, ['and', show(growth.cpuMsPerSecond), 'ms of CPU a second'] as const]),
    ['latency p50', show(eventLatencyMs.p50), 'ms'],
    ['latency p99', show(eventLatencyMs.p99), 'ms'],
    ['points', show(figures.points), `of ${figures.expectedPoints}`],
    ['CPU', show(cpu?.total ?? null), 'ms a caller-second'],
    ['that is', show(callersPerCore(figures)), 'callers a core'],
    ['memory', show(figures.rssMbPerCaller), 'MB a caller'],
    ['event loop p99', show(figures.eventLoopDelayMs.p99), 'ms'],
  ];
}

function samplePlots(samples: readonly Sample[]): Plot[] {
  const over = { xs: samples.map(({ atSeconds }) => atSeconds), xUnit: 'seconds' };
  const of = (value: (sample: Sample) => number | null): (number | null)[] => samples.map(value);
  return [
    {
      ...over,
      title: 'Event latency',
      unit: 'ms',
      series: [
        { name: 'p50', values: of(({ latencyMs }) => finite(latencyMs.p50)) },
        { name: 'p95', values: of(({ latencyMs }) => finite(latencyMs.p95)) },
        { name: 'p99', values: of(({ latencyMs }) => finite(latencyMs.p99)) },
      ],
    },
    {
      ...over,
      title: 'CPU by part',
      unit: '% of a core',
      stacked: true,
      series: partNames.map((part) => ({ name: part, values: of(({ cpuMs }) => (cpuMs === null ? null : cpuMs[part] / 10)) })),
    },
    {
      ...over,
      title: 'Memory',
      unit: 'MB',
      stacked: true,
      series: [
        { name: 'server', values: of(({ serverBytes }) => serverBytes / 1e6) },
        { name: 'media workers', values: of(({ mediaWorkersBytes }) => mediaWorkersBytes / 1e6) },
      ],
    },
    {
      ...over,
      title: 'Dropped windows so far',
      unit: 'windows',
      series: [{ name: 'dropped', values: of(({ droppedWindows }) => droppedWindows) }],
    },
    { ...over, title: 'Hop in force', unit: 'ms', series: [{ name: 'hop', values: of(({ hopMs }) => hopMs) }] },
    {
      ...over,
      title: 'Callers',
      unit: 'callers',
      series: [
        { name: 'callers', values: of(({ callers }) => callers) },
        { name: 'waiting', values: of(({ waiting }) => waiting) },
      ],
    },
    { ...over, title: 'Events', unit: 'a second', series: [{ name: 'events', values: of(({ events }) => events) }] },
  ];
}

function curvePlots(curve: LoadFigures['curve']): Plot[] {
  const known = curve.flatMap(({ callers, figures }) => (figures === null ? [] : [{ callers, figures }]));
  const over = { xs: known.map(({ callers }) => callers), xUnit: 'callers' };
  return [
    {
      ...over,
      title: 'Event latency by callers',
      unit: 'ms',
      limit: { value: limitP99Ms, name: 'limit of the p99' },
      series: [
        { name: 'p50', values: known.map(({ figures }) => figures.eventLatencyMs.p50) },
        { name: 'p99', values: known.map(({ figures }) => figures.eventLatencyMs.p99) },
      ],
    },
    {
      ...over,
      title: 'CPU a caller-second by callers',
      unit: 'ms',
      stacked: true,
      series: partNames.map((part) => ({ name: part, values: known.map(({ figures }) => figures.cpuMsPerCallerSecond?.[part] ?? null) })),
    },
    {
      ...over,
      title: 'Missing points by callers',
      unit: '% of the expected',
      series: [
        { name: 'missing', values: known.map(({ figures }) => (100 * figures.missingPoints) / Math.max(1, figures.expectedPoints)) },
      ],
    },
  ];
}

function stepsTable(curve: LoadFigures['curve']): string {
  const heads = ['callers', 'p50 ms', 'p99 ms', 'missing', 'CPU ms', 'loop p99 ms', 'outcome'];
  const rows = curve.map(({ callers, reason, figures }) => {
    const numbers = [
      callers,
      figures?.eventLatencyMs.p50 ?? null,
      figures?.eventLatencyMs.p99 ?? null,
      figures?.missingPoints ?? null,
      figures?.cpuMsPerCallerSecond?.total ?? null,
      figures?.eventLoopDelayMs.p99 ?? null,
    ];
    const cells = numbers.map((value) => `<td class="number">${show(value)}</td>`).join('');
    return `<tr>${cells}<td class="outcome">${reason === null ? 'passed' : escapeHtml(reason)}</td></tr>`;
  });
  const head = heads.map((name, i) => `<th scope="col"${i < heads.length - 1 ? ' class="number"' : ''}>${name}</th>`).join('');
  return `<div class="scroll"><table><thead><tr>${head}</tr></thead><tbody>\n${rows.join('\n')}\n</tbody></table></div>`;
}

function list(kind: 'bad' | 'note', lines: readonly string[]): string {
  return `<ul class="verdict ${kind}">${lines.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
