// Starts servers in processes of their own, and ends them: the product's command line, or one with calls of any shape.
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { withCompileCache } from '../../scripts/setup/compile-cache.mjs';
import { serverFlags } from '../../scripts/setup/server-flags.mjs';
import type { CallerTotals, Said } from '../callers/types.ts';

/** Sections of the configuration, with what differs from the defaults. */
export type Settings = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** What `calls-server.ts` is started with. */
export interface CallsServerOptions {
  /** Without `talkRatio` the callers of a call speak as they like, else in turns. */
  readonly calls: readonly { readonly callId: string; readonly callers: number; readonly talkRatio?: number }[];
  readonly settings?: Settings;
}

/** How a server's process is started. */
export interface ProcessOptions {
  /** In a process group of its own, which a terminal's Ctrl-C does not reach: whoever started it ends it. @default false */
  readonly ownGroup?: boolean;
}

/** A line that `calls-server.ts` understands. When its input ends, it closes the server and exits. */
export type CallsServerCommand = 'collect' | 'hang-up';

/** A line that it writes. */
export type CallsServerMessage =
  | { readonly type: 'ready'; readonly url: string; readonly token: string }
  | { readonly type: 'said'; readonly callId: string; readonly said: Said }
  | { readonly type: 'collected'; readonly heapUsedBytes: number }
  | { readonly type: 'hung-up'; readonly totals: readonly CallerTotals[] };

/** A server that is up. */
export interface ServerProcess {
  readonly pid: number;
  readonly url: string;
  readonly token: string;
  /** Ends it and resolves to its exit status. */
  close(): Promise<number | null>;
}

/** A `calls-server.ts` that is up. */
export interface CallsServer extends ServerProcess {
  /** Collects its garbage and resolves to the bytes of the heap that live on. */
  collect(): Promise<number>;
  /** Ends the callers, not the calls. */
  hangUp(): Promise<readonly CallerTotals[]>;
}

const projectDir = join(import.meta.dirname, '../..');

/** Starts `src/cli.ts`, as a user does. @throws Error if it exits before it is ready; why is on stderr. */
export async function startCli(configFile: string): Promise<ServerProcess> {
  const child = start(['src/cli.ts', '--port', '0', '--json', '--config', configFile]);
  const lines = createInterface({ input: child.stdout });
  const line = await Promise.race([once(lines, 'line'), exitOf(child)]);
  const { url, token } = JSON.parse(String(line[0])) as { readonly url: string; readonly token: string };
  return { pid: child.pid, url, token, close: () => end(child) };
}

/** Starts a server with calls of simulated callers. @throws Error if it exits before it is ready; why is on stderr. */
export async function startCallsServer(
  options: CallsServerOptions,
  onSaid: (callId: string, said: Said) => void = () => undefined,
  processOptions: ProcessOptions = {},
): Promise<CallsServer> {
  const child = start(['--expose-gc', 'tools/bench/calls-server.ts', JSON.stringify(options)], processOptions);
  const waiting = new Map<CallsServerMessage['type'], (message: CallsServerMessage) => void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as CallsServerMessage;
    if (message.type === 'said') onSaid(message.callId, message.said);
    else waiting.get(message.type)?.(message);
  });
  const next = async <T extends CallsServerMessage['type']>(type: T): Promise<CallsServerMessage & { readonly type: T }> => {
    const came = new Promise<CallsServerMessage>((resolve) => {
      waiting.set(type, resolve);
    });
    return (await Promise.race([came, exitOf(child)])) as CallsServerMessage & { readonly type: T };
  };
  const ask = async <T extends CallsServerMessage['type']>(command: CallsServerCommand, type: T) => {
    const answer = next(type);
    child.stdin.write(`${command}\n`);
    return await answer;
  };
  const { url, token } = await next('ready');
  return {
    pid: child.pid,
    url,
    token,
    collect: async () => (await ask('collect', 'collected')).heapUsedBytes,
    hangUp: async () => (await ask('hang-up', 'hung-up')).totals,
    close: () => end(child),
  };
}

type Child = ChildProcessByStdio<Writable, Readable, null> & { readonly pid: number };

function start(args: readonly string[], { ownGroup = false }: ProcessOptions = {}): Child {
  const child = spawn(process.execPath, [...serverFlags, ...args], {
    cwd: projectDir,
    env: withCompileCache(projectDir),
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: ownGroup,
  });
  const kill = (): boolean => child.kill('SIGKILL');
  process.once('exit', kill);
  child.once('exit', () => process.off('exit', kill));
  if (child.pid === undefined) throw new Error(`Expected to start ${process.execPath}, and could not`);
  return child as Child;
}

/** Rejects once the child has exited. */
async function exitOf(child: Child): Promise<never> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  throw new Error(`Expected the server to go on, got its exit with status ${String(child.exitCode ?? child.signalCode)}`);
}

/** Ends a child: by a signal that the command line heeds, and by the end of its input, which the other one does. */
async function end(child: Child): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
  const exited = once(child, 'exit');
  child.stdin.end();
  if (child.spawnargs.includes('src/cli.ts')) child.kill('SIGTERM');
  await exited;
  return child.exitCode;
}
