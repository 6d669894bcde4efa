// Whole servers for tests: the command line in a process of its own, or the app in this one, and readers of their timelines.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect, type Subscription, type SubscribeFrom, type TimelineEvent, type UndertoneClient } from '../../client-sdk/src/index.ts';
import { loadConfig } from '../../config/load.ts';
import { createApp, type App } from '../../src/app.ts';
import type { CallSummary } from '../../src/gateway/types.ts';
import { findWorkerBin } from '../../src/sfu/worker-bin.ts';
import { Log } from './log.ts';
import { silentLogger } from './timeline.ts';

const cliPath = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

/** What `--json` prints. */
export interface Ready {
  readonly url: string;
  readonly callUrl: string;
  readonly consoleUrl: string;
  readonly callId: string;
  readonly token: string;
}

/** A server process. */
export interface ServerProcess {
  readonly child: ChildProcess;
  readonly stdout: Log<string>;
  readonly stderr: Log<string>;
  /** Once all that it wrote is read. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null; readonly atMs: number }>;
  /** The first line that it wrote, or will write, that meets the test; rejects with what it wrote instead where it ends before. */
  line(output: 'stdout' | 'stderr', test: (line: string) => boolean): Promise<string>;
  /** What it printed with `--json`. */
  ready(): Promise<Ready>;
  /** Resolves once no process is left that it started, itself included. */
  gone(): Promise<void>;
  /** Ends it at once, with all that it started. For `afterEach`; safe twice. */
  kill(): Promise<void>;
}

let processCount = 0;

/** Starts the server's command line with these arguments and no others; `environment` is added to this process's own. */
export function startCli(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ServerProcess {
  // Media workers inherit it, so they are found also when their parent is gone.
  const marker = `TEST_SERVER=${process.pid}-${(processCount += 1)}`;
  const [markerName = '', markerValue = ''] = marker.split('=');
  const env = { ...process.env, ...environment, [markerName]: markerValue };
  const child = spawn(process.execPath, [cliPath, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout = new Log<string>();
  const stderr = new Log<string>();
  createInterface(child.stdout).on('line', (line) => stdout.add(line));
  createInterface(child.stderr).on('line', (line) => stderr.add(line));
  let exitedAtMs = 0;
  child.once('exit', () => (exitedAtMs = performance.now()));
  const exited = once(child, 'close').then(([code, signal]) => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    atMs: exitedAtMs,
  }));

  const line = async (output: 'stdout' | 'stderr', test: (line: string) => boolean): Promise<string> => {
    const found = await Promise.race([(output === 'stdout' ? stdout : stderr).first(test), exited]);
    if (typeof found === 'string') return found;
    throw new Error(`Expected the server to go on, but it ended with ${found.code ?? found.signal}:\n${stderr.items.join('\n')}`);
  };

  return {
    child,
    stdout,
    stderr,
    exited,
    line,
    ready: async () => JSON.parse(await line('stdout', () => true)) as Ready,
    gone: () => untilGone(marker),
    async kill() {
      for (const pid of processesOf(marker)) killQuietly(pid);
      await exited;
    },
  };
}

/** The media workers among the processes that a server process started and that still run. */
export function mediaWorkersOf(server: ServerProcess): number[] {
  return childrenOf(server.child.pid ?? 0).filter((pid) => nameOf(pid).startsWith('mediasoup'));
}

/** The app in this process, without the demo call. */
export interface TestApp {
  readonly app: App;
  readonly url: string;
  token(call?: string, scope?: string): Promise<string>;
  client(): Promise<UndertoneClient>;
  /** Reads a call from its start. The call must be open. */
  read(callId: string, from?: SubscribeFrom): Promise<Reader>;
  metric(name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
  close(): Promise<void>;
}

/** Starts the app on a free port, on one media worker, with the settings that are given. */
export async function startApp(settings: Record<string, Record<string, unknown>> = {}): Promise<TestApp> {
  const config = loadConfig({
    flags: { ...settings, server: { port: 0, ...settings['server'] }, media: { workers: 1, ...settings['media'] } },
  });
  const app = await createApp({ config, logger: silentLogger, workerBin: findWorkerBin(process.env) });
  const url = `http://127.0.0.1:${app.port}`;
  const clients: UndertoneClient[] = [];
  const token = (call = '*', scope = 'read list'): Promise<string> => app.tokens.issue({ call, scope, ttlSeconds: 600 });
  const client = async (): Promise<UndertoneClient> => {
    const made = connect({ url, token: await token() });
    clients.push(made);
    return made;
  };
  return {
    app,
    url,
    token,
    client,
    read: async (callId, from = 'start') => new Reader((await client()).subscribe(callId, { from })),
    metric: async (name, labels = {}) => metricOf(await (await fetch(`${url}/metrics`)).text(), name, labels),
    close: async () => {
      await Promise.all(clients.map((one) => one.close()));
      await app.close();
    },
  };
}

/** Keeps all that a subscription hears. */
export class Reader {
  readonly subscription: Subscription;
  readonly events = new Log<TimelineEvent>();
  readonly errors: Error[] = [];
  /** Resolves with the call once the server has answered. */
  readonly subscribed: Promise<CallSummary>;

  constructor(subscription: Subscription) {
    this.subscription = subscription;
    subscription.on('event', (event) => this.events.add(event));
    subscription.on('error', (error) => this.errors.push(error));
    this.subscribed = new Promise((resolve) => subscription.on('call', resolve));
  }

  /** The first event of a type, past or to come, that meets the test. */
  first<T extends TimelineEvent['type']>(type: T, test: (event: EventOf<T>) => boolean = () => true): Promise<EventOf<T>> {
    return this.events.first((event): event is EventOf<T> => event.type === type && test(event as EventOf<T>));
  }

  /** The first such event after those that have come. */
  next<T extends TimelineEvent['type']>(type: T, test: (event: EventOf<T>) => boolean = () => true): Promise<EventOf<T>> {
    return this.events.next((event) => event.type === type && test(event as EventOf<T>)) as Promise<EventOf<T>>;
  }

  /** All events of a type so far. */
  all<T extends TimelineEvent['type']>(type: T, participantId?: string): EventOf<T>[] {
    return this.events.items.filter(
      (event): event is EventOf<T> =>
        event.type === type && (participantId === undefined || ('participantId' in event && event.participantId === participantId)),
    );
  }
}

/** An event of one type. */
export type EventOf<T extends TimelineEvent['type']> = Extract<TimelineEvent, { type: T }>;

/** Reads all of a call's timeline that is kept, in pages, and the call as it stands. */
export async function fetchTimeline(url: string, callId: string, token: string, limit = 1000) {
  const events: TimelineEvent[] = [];
  for (;;) {
    const after = events.at(-1)?.seq ?? 0;
    const page = (await getJson(`${url}/v1/calls/${callId}/timeline?after=${after}&limit=${limit}`, token)) as {
      call: CallSummary;
      epoch: string;
      firstSeq: number;
      lastSeq: number;
      events: TimelineEvent[];
    };
    events.push(...page.events);
    if (page.events.length < limit) return { ...page, events };
  }
}

export async function fetchCalls(url: string, token: string): Promise<CallSummary[]> {
  return ((await getJson(`${url}/v1/calls`, token)) as { calls: CallSummary[] }).calls;
}

/** The answer's body. Throws for any status but 200. */
export async function getJson(url: string, token?: string): Promise<unknown> {
  const response = await fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
  if (response.status !== 200) throw new Error(`Expected 200 of ${url}, got ${response.status}: ${await response.text()}`);
  return await response.json();
}

/** The value of one series in a Prometheus text; 0 where there is none. */
export function metricOf(text: string, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const wanted = Object.entries(labels).map(([key, value]) => `${key}="${value}"`);
  const line = text.split('\n').find((candidate) => {
    const series = /^(\w+)(?:\{(.*)\})? /.exec(candidate);
    return series?.[1] === name && wanted.every((label) => (series[2] ?? '').split(',').includes(label));
  });
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
}

async function untilGone(marker: string): Promise<void> {
  for (let left = processesOf(marker); left.length > 0; left = processesOf(marker)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Processes with this variable in their environment. One that has ended but was not waited for has none. */
function processesOf(marker: string): number[] {
  return allProcesses().filter((pid) => readQuietly(`/proc/${pid}/environ`).split('\0').includes(marker));
}

function childrenOf(parent: number): number[] {
  return allProcesses().filter((pid) => new RegExp(`^PPid:\\s+${parent}$`, 'm').test(readQuietly(`/proc/${pid}/status`)));
}

function allProcesses(): number[] {
  return readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? [Number(name)] : []));
}

function nameOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/exe`).split('/').at(-1) ?? '';
  } catch {
    return '';
  }
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended meanwhile.
  }
}
