// CPU time and memory of a server process by part, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** CPU seconds since the start of each thread or process that lives, by part. */
export interface CpuSeconds {
  /** Node's main thread: signalling, mediasoup's channel, sockets, and the pipelines that have no thread of their own. */
  readonly main: number;
  /** Pipeline threads. */
  readonly pipeline: number;
  /** Inference threads. */
  readonly inference: number;
  /** The thread of the demo call's simulated callers. */
  readonly callers: number;
  /** V8's and libuv's helpers: compilation, garbage collection, files. */
  readonly helpers: number;
  /** mediasoup's worker processes. */
  readonly mediasoup: number;
}

/** Linux counts in hundredths of a second, whatever its own tick is. */
const ticksPerSecond = 100;
const bytesPerKiB = 1024;

/** Threads by the beginning of their names, of which Linux keeps 15 characters. */
const parts: readonly (readonly [start: string, part: keyof CpuSeconds])[] = [
  ['undertone-pipel', 'pipeline'],
  ['undertone-infer', 'inference'],
  ['WorkerThread', 'callers'],
];

/** Reads the CPU time of a server's process and of its media workers. @throws Error where there is no such process or no /proc. */
export function readCpuSeconds(pid: number): CpuSeconds {
  const seconds = { main: 0, pipeline: 0, inference: 0, callers: 0, helpers: 0, mediasoup: 0 };
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    const part = partOf(readIfThere(`${folder}/comm`), thread === String(pid));
    seconds[part] += secondsOf(folder);
  }
  for (const child of mediaWorkersOf(pid)) seconds.mediasoup += secondsOf(`/proc/${child}`);
  return seconds;
}

/** Resident memory of the media workers that a process has started, bytes. @throws Error where there is no such process or no /proc. */
export function readMediaWorkersBytes(pid: number): number {
  return mediaWorkersOf(pid).reduce((sum, child) => {
    const [, kib = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readIfThere(`/proc/${child}/status`)) ?? [];
    return sum + Number(kib) * bytesPerKiB;
  }, 0);
}

function mediaWorkersOf(pid: number): string[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  const children = threads.flatMap((thread) => readIfThere(`/proc/${pid}/task/${thread}/children`).split(' '));
  return children.filter((child) => child !== '' && readIfThere(`/proc/${child}/comm`).startsWith('mediasoup'));
}

function partOf(threadName: string, isMain: boolean): keyof CpuSeconds {
  if (isMain) return 'main';
  return parts.find(([start]) => threadName.startsWith(start))?.[1] ?? 'helpers';
}

/** User and system time. The name before them may hold spaces and parentheses. */
function secondsOf(folder: string): number {
  const stat = readIfThere(`${folder}/stat`);
  if (stat === '') return 0;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** What a file of /proc says; nothing where its thread or process has ended meanwhile. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch {
    return '';
  }
}
