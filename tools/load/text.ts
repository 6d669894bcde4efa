// Numbers and tables of a load test as people read them.
import { callersPerCore, type LoadFigures, type RunFigures } from './figures.ts';

/** A number with three digits, or a dash where there is none. */
export function show(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–';
  if (Number.isInteger(value) || Math.abs(value) >= 100) return value.toFixed(0);
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Minutes and seconds. */
export function showTime(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** A line of the table: what, how much, and what it is. */
export type Row = readonly [name: string, value: string, unit: string];

/** The figures of a run, line by line. */
export function rowsOf(figures: RunFigures): Row[] {
  const { eventLatencyMs: latency, cpuMsPerCallerSecond: cpu, eventLoopDelayMs, packets, generator, memoryMb } = figures;
  const perCore = callersPerCore(figures);
  return [
    ['callers', show(figures.callers), `in ${figures.calls} calls, ${figures.subscribers} subscribers`],
    ['measured', show(figures.seconds), 's'],
    ['event latency p50', show(latency.p50), 'ms'],
    ['event latency p95', show(latency.p95), 'ms'],
    ['event latency p99', show(latency.p99), 'ms'],
    ['event latency max', show(latency.max), 'ms'],
    ['points', show(figures.points), `of ${figures.expectedPoints} expected`],
    ['missing points', show(figures.missingPoints), ''],
    ['dropped windows', show(figures.droppedWindows), [...droppedText(figures), `${figures.gapEvents} gap events`].join(', ')],
    ['widest hop', show(figures.hopMs.widest), `ms, ${figures.widenedPoints} points wider than ${show(figures.hopMs.model)} ms`],
    ['callers waited', show(figures.waitedSeconds), 's in all'],
    ['seq gaps', show(figures.seqGaps), ''],
    ['duplicates', show(figures.duplicates), ''],
    ['skipped events', show(figures.skippedEvents), ''],
    ['CPU main', show(cpu?.main ?? null), 'ms a caller-second'],
    ['CPU pipeline', show(cpu?.pipeline ?? null), 'ms a caller-second'],
    ['CPU inference', show(cpu?.inference ?? null), 'ms a caller-second'],
    ['CPU mediasoup', show(cpu?.mediasoup ?? null), 'ms a caller-second'],
    ['CPU other', show(cpu?.other ?? null), 'ms a caller-second'],
    ['CPU total', show(cpu?.total ?? null), perCore === null ? 'ms a caller-second' : `ms a caller-second, ${perCore} callers a core`],
    ...stretchRows(figures),
    ['event loop delay p50', show(eventLoopDelayMs.p50), 'ms'],
    ['event loop delay p99', show(eventLoopDelayMs.p99), 'ms'],
    ['memory a caller', show(figures.rssMbPerCaller), 'MB'],
    ['memory', show(memoryMb.end + memoryMb.mediaWorkersEnd), `MB at the end, ${show(memoryMb.idle + memoryMb.mediaWorkersIdle)} before`],
    ['packets sent', show(packets.sent), `${packets.received} received, ${packets.lostOnPurpose} lost on purpose`],
    ['callers replaced', show(figures.replaced), ''],
    ['generator late p99', show(generator.lateMs.p99), `ms; CPU ${show(generator.cpuMsPerCallerSecond)} ms a caller-second`],
  ];
}

/** Why windows were dropped, where any were. */
function droppedText({ droppedBy }: RunFigures): string[] {
  return Object.entries(droppedBy)
    .filter(([, count]) => count > 0)
    .map(([why, count]) => `${count} ${why}`);
}

function stretchRows({ stretches }: RunFigures): Row[] {
  if (stretches === null) return [];
  const { pairs, talking, listening, ratio, pairRatios } = stretches;
  const range = `${Math.min(...pairRatios).toFixed(2)} to ${Math.max(...pairRatios).toFixed(2)}`;
  return [
    ['CPU while all may talk', show(talking.total), 'ms a caller-second'],
    ['CPU while some listen', show(listening.total), `ms a caller-second: ${ratio.toFixed(2)} of that; ${range} in ${pairs} pairs`],
  ];
}

/** The table that is printed at the end, and what is wrong. */
export function tableOf(figures: LoadFigures): string {
  const { machine, curve, limitCallers } = figures;
  const rows = rowsOf(figures);
  const [nameWidth, valueWidth] = [Math.max(...rows.map(([name]) => name.length)), Math.max(...rows.map(([, value]) => value.length))];
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}, load ${machine.loadBefore.toFixed(1)} before`,
    `${figures.voices}; ${figures.server === 'own' ? 'a server of its own' : figures.server}`,
    '',
    ...rows.map(([name, value, unit]) => `  ${name.padEnd(nameWidth)}  ${value.padStart(valueWidth)}  ${unit}`.trimEnd()),
  ];
  if (curve.length > 0) {
    lines.push('', '  callers   p50 ms   p99 ms  missing  CPU ms  loop p99 ms');
    for (const step of curve) lines.push(stepLine(step));
    const { growth } = figures;
    if (growth !== null) {
      lines.push('', `One more caller takes ${show(growth.rssMb)} MB, and ${show(growth.cpuMsPerSecond)} ms of CPU a second.`);
    }
    lines.push('', limitCallers === 0 ? 'Not even the fewest callers passed.' : `Limit: ${show(limitCallers)} callers.`);
  }
  lines.push('', ...figures.warnings.map((warning) => `Note: ${warning}`), ...figures.failures.map((failure) => `FAILED: ${failure}`));
  return `${lines.join('\n').trimEnd()}\n`;
}

function stepLine({ callers, reason, figures }: LoadFigures['curve'][number]): string {
  const cells = [
    show(figures?.eventLatencyMs.p50 ?? null),
    show(figures?.eventLatencyMs.p99 ?? null),
    show(figures?.missingPoints ?? null),
    show(figures?.cpuMsPerCallerSecond?.total ?? null),
    show(figures?.eventLoopDelayMs.p99 ?? null),
  ];
  const [p50 = '', p99 = '', missing = '', cpu = '', loop = ''] = cells;
  const line = `  ${String(callers).padStart(7)} ${p50.padStart(8)} ${p99.padStart(8)} ${missing.padStart(8)} ${cpu.padStart(7)} ${loop.padStart(12)}`;
  return reason === null ? line : `${line}  ${reason}`;
}
