// What a benchmark hands back, and how it is printed.
import { readFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';

/** A cell: text as it is, numbers with three digits. */
type Cell = string | number;

/** The result of one benchmark. */
export interface BenchmarkResult {
  readonly name: string;
  /** What was measured, and how, in a sentence or two. */
  readonly about: string;
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  /** Requirements that were not met. */
  readonly failures: readonly string[];
}

/** What every benchmark is given. */
export interface BenchmarkOptions {
  /** How long live measurements take, s each. */
  readonly seconds: number;
}

/** The machine that the figures are of. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly node: string;
  readonly system: string;
  /** Mean number of running threads over the minute before, this process's and others'. */
  readonly loadBefore: number;
}

/** Describes this machine. */
export function describeMachine(): Machine {
  const all = cpus();
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? process.platform;
  return {
    cpu: all[0]?.model ?? 'unknown',
    cores: all.length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    system,
    loadBefore: loadavg()[0] ?? NaN,
  };
}

/** A result as text: a heading, what it is about, a table, what failed. */
export function format({ name, about, rows, failures }: BenchmarkResult): string {
  const columns = Object.keys(rows[0] ?? {});
  const cells = [columns, ...rows.map((row) => columns.map((column) => show(row[column] ?? '')))];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  const isNumber = columns.map((column) => typeof rows[0]?.[column] === 'number');
  const line = (texts: readonly string[]): string =>
    `| ${texts.map((text, i) => (isNumber[i] === true ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (isNumber[i] === true ? `${'-'.repeat(width + 1)}:` : '-'.repeat(width + 2))).join('|')}|`;
  const [head = [], ...body] = cells;
  const failed = failures.map((failure) => `FAILED: ${failure}\n`).join('');
  return `\n## ${name}\n\n${about}\n\n${[line(head), rule, ...body.map(line)].join('\n')}\n${failed}`;
}

function show(cell: Cell): string {
  if (typeof cell === 'string') return cell;
  if (!Number.isFinite(cell)) return '-';
  if (Math.abs(cell) < 1e-3) return '0';
  return Number.isInteger(cell) || Math.abs(cell) >= 100 ? cell.toFixed(0) : cell.toPrecision(3);
}
