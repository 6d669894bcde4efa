// The progress of a load test: one block that is drawn anew on a terminal, plain lines elsewhere.
import { partNames, type CpuParts } from './meters.ts';
import type { Progress, Sample } from './run.ts';
import { show, showTime } from './text.ts';

/** Where progress is written. */
export interface Output {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Lines a minute where nothing can be drawn anew. */
const plainIntervalSeconds = 5;

/** Shows where a run stands. */
export class Display {
  readonly #output: Output;
  #drawnLines = 0;
  #plainAtSeconds = -Infinity;
  #plainPhase = '';

  constructor(output: Output) {
    this.#output = output;
  }

  /** Shows progress; `title` says which run it is. */
  show(title: string, progress: Progress): void {
    if (this.#output.isTTY === true) this.#draw([title, ...blockOf(progress)]);
    else this.#line(title, progress);
  }

  /** Takes the block away, so that other text can be written. */
  clear(): void {
    if (this.#drawnLines > 0) this.#output.write(`\x1b[${this.#drawnLines}A\x1b[J`);
    this.#drawnLines = 0;
    this.#plainAtSeconds = -Infinity;
    this.#plainPhase = '';
  }

  #draw(lines: readonly string[]): void {
    const width = Math.max(20, (this.#output.columns ?? 80) - 1);
    // A line that wraps would not be counted.
    const text = lines.map((line) => `${line.slice(0, width)}\x1b[K\n`).join('');
    this.#output.write(`${this.#drawnLines > 0 ? `\x1b[${this.#drawnLines}A` : ''}${text}\x1b[J`);
    this.#drawnLines = lines.length;
  }

  #line(title: string, progress: Progress): void {
    if (progress.phase === 'running') {
      const { atSeconds } = progress.sample;
      if (progress.leftSeconds > 0 && atSeconds - this.#plainAtSeconds < plainIntervalSeconds) return;
      this.#plainAtSeconds = atSeconds;
      this.#output.write(`${title}: ${plainOf(progress)}\n`);
    } else if (progress.phase !== this.#plainPhase) {
      this.#output.write(`${title}: ${phaseOf(progress)}\n`);
    }
    this.#plainPhase = progress.phase;
  }
}

/** The lines of a block. */
export function blockOf(progress: Progress): string[] {
  if (progress.phase !== 'running') return [`  ${phaseOf(progress)}`];
  const { sample, leftSeconds, measuring } = progress;
  return [
    `  ${measuring ? 'measuring' : 'warming up'}, ${showTime(leftSeconds)} left`,
    `  callers  ${show(sample.callers)}    events/s  ${show(Math.round(sample.events))}    dropped windows  ${show(sample.droppedWindows)}`,
    `  latency  p50 ${show(sample.latencyMs.p50)} ms    p99 ${show(sample.latencyMs.p99)} ms    hop ${show(sample.hopMs)} ms`,
    `  CPU      ${cpuText(sample.cpuMs)}`,
    `  memory   server ${megabytes(sample.serverBytes)} MB    media workers ${megabytes(sample.mediaWorkersBytes)} MB`,
    `  sender   p99 ${show(sample.senderLateMs.p99)} ms late`,
  ];
}

function plainOf({ sample, leftSeconds, measuring }: Extract<Progress, { phase: 'running' }>): string {
  const { callers, events, latencyMs, hopMs, cpuMs, droppedWindows } = sample;
  return [
    `${measuring ? 'measuring' : 'warming up'}, ${showTime(leftSeconds)} left`,
    `${show(callers)} callers`,
    `${show(Math.round(events))} events/s`,
    `p50 ${show(latencyMs.p50)} ms`,
    `p99 ${show(latencyMs.p99)} ms`,
    `hop ${show(hopMs)} ms`,
    `CPU ${percent(cpuMs?.total ?? null)}`,
    `memory ${megabytes(memoryOf(sample))} MB`,
    `dropped ${show(droppedWindows)}`,
  ].join(', ');
}

function phaseOf(progress: Exclude<Progress, { phase: 'running' }>): string {
  if (progress.phase === 'opening') return `callers join: ${progress.done} of ${progress.of}`;
  if (progress.phase === 'ending') return 'callers hang up';
  return `working out what was to be expected: ${Math.floor(100 * progress.share)} %`;
}

/** Percent of a core by part. */
function cpuText(cpuMs: CpuParts | null): string {
  if (cpuMs === null) return 'not told by the server';
  return `${percent(cpuMs.total)} = ${partNames.map((part) => `${part} ${percent(cpuMs[part])}`).join(' + ')}`;
}

function percent(msPerSecond: number | null): string {
  return msPerSecond === null ? '–' : `${Math.round(msPerSecond / 10)} %`;
}

function memoryOf({ serverBytes, mediaWorkersBytes }: Sample): number {
  return serverBytes + mediaWorkersBytes;
}

function megabytes(bytes: number): string {
  return show(Math.round(bytes / 1e6));
}
