// CPU time of a server process by thread, and of the mediasoup workers that it started, from Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** CPU seconds since the start of each, by part. */
export interface CpuSeconds {
  /** Node's main thread: signalling, mediasoup's channel, sockets; the pipelines too where they have no threads. */
  readonly main: number;
  /** Pipeline threads. */
  readonly pipeline: number;
  /** Inference threads. */
  readonly inference: number;
  /** The thread of the simulated callers, which is no part of a real server. */
  readonly callers: number;
  /** V8's and libuv's helpers: compilation, garbage collection, files. */
  readonly helpers: number;
  /** mediasoup's worker processes. */
  readonly mediasoup: number;
}

/** Linux counts in hundredths of a second, whatever its own tick is. */
const ticksPerSecond = 100;

/** Reads the CPU time of a process that runs `calls-server.ts` or `cli.ts`. @throws Error where there is no such process or no /proc. */
export function readCpuSeconds(pid: number): CpuSeconds {
  const seconds = { main: 0, pipeline: 0, inference: 0, callers: 0, helpers: 0, mediasoup: 0 };
  const children: string[] = [];
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${thread}`;
    children.push(...readText(`${folder}/children`).split(' '));
    seconds[partOf(readText(`${folder}/comm`), thread === String(pid))] += ticksOf(folder) / ticksPerSecond;
  }
  for (const child of children.filter((text) => text !== '')) seconds.mediasoup += ticksOf(`/proc/${child}`) / ticksPerSecond;
  return seconds;
}

function partOf(threadName: string, isMain: boolean): keyof CpuSeconds {
  if (isMain) return 'main';
  // Linux cuts names off after 15 characters.
  if (threadName.startsWith('undertone-infer')) return 'inference';
  if (threadName.startsWith('undertone-pipel')) return 'pipeline';
  return threadName === 'WorkerThread' ? 'callers' : 'helpers';
}

/** User and system time. The name before them may hold spaces and parentheses. */
function ticksOf(folder: string): number {
  const stat = readText(`${folder}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}

function readText(path: string): string {
  return readFileSync(path, 'utf8').trimEnd();
}
