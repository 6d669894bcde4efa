// The options of a load test, read from the command line and checked.
import { existsSync, statSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { settleSeconds } from './stretches.ts';

/** Options of a load test. */
export interface LoadOptions {
  /** Callers at a time; with `findLimit`, those of the first step. */
  readonly callers: number;
  /** Length of the measurement, after the warm-up. */
  readonly seconds: number;
  /** Time before it in which everybody calls already. */
  readonly warmUpSeconds: number;
  /** Folder of recordings; null for the demo's clips. */
  readonly audioDir: string | null;
  readonly codec: 'opus' | 'pcmu';
  /** Bit rate that clips are encoded at; null for clips as they are where they are Opus, else `defaultBitrateKbps`. */
  readonly bitrateKbps: number | null;
  /** Packets that the network loses, percent, in bursts. */
  readonly lossPercent: number;
  /** Longest that the network holds a packet up. */
  readonly jitterMs: number;
  /** Whether silence is not sent. */
  readonly dtx: boolean;
  /** Whether packets say their level (RFC 6464), as browsers' do. */
  readonly audioLevel: boolean;
  /** Level of the room's noise between turns; null for digital silence, as of a microphone that is off. */
  readonly roomDbov: number | null;
  /** Callers who leave, each for a new one, in a minute. */
  readonly churnPerMinute: number;
  /** Share of the time that each caller speaks. */
  readonly talkRatio: number;
  /** Share of the callers who never speak, whatever the others do. */
  readonly listenerShare: number;
  /** How long those talk and listen in turns, s; null: they listen all the time. */
  readonly stretchSeconds: number | null;
  /** Whether nothing at all is sent while they listen. */
  readonly mute: boolean;
  /** Callers of one call. */
  readonly callSize: number;
  /** Sockets that follow calls; null for one a call. */
  readonly subscribers: number | null;
  readonly findLimit: boolean;
  /** Where the search for the limit ends. */
  readonly maxCallers: number;
  /** The server to load; null for one of the tool's own. */
  readonly url: string | null;
  /** A token of scopes `ingest` and `read` for every call; null for one that the tool gets itself. */
  readonly token: string | null;
  /** Settings of the tool's own server; null for the defaults. */
  readonly configFile: string | null;
  /** Fixes who says what when, and which packets are lost or late. */
  readonly seed: number;
  /** Where the figures go; `-` for standard output. */
  readonly json: string | null;
  /** Where the report goes. */
  readonly html: string | null;
}

export const usage = `Usage: npm run load -- --callers N --seconds S [options]

  --callers N        callers at a time, 1 to 5000; with --find-limit, of the first step
  --seconds S        length of the measurement, after the warm-up
  --warm-up S        time before it in which everybody calls already (3)
  --audio DIR        what they say: every WAV, FLAC and Ogg Opus file of a folder (the demo's clips)
  --codec CODEC      opus (default) or pcmu
  --bitrate K        Opus at K kbit/s (clips that are Opus as they are, others 24)
  --loss P           the network loses P percent of the packets, in bursts of 3 on average
  --jitter MS        the network holds each packet up for 0 to MS ms, in order
  --dtx              silence is not sent, but for an update each 400 ms
  --audio-level      packets say their level (RFC 6464), as browsers' do
  --room DB          between turns a room is heard, of noise so many dB under full scale, 30 to 90 (digital silence)
  --churn PER_MIN    that many callers a minute leave, each for a new one
  --talk RATIO       share of the time that each caller speaks (0.4); 1: everybody talks all the time
  --listeners SHARE  that share of the callers never speaks, from 0 to 1 (0)
  --alternate S      those talk for S seconds and listen for S, in turns: the figures have both, side by side
  --mute             they send nothing while they listen, as of a muted microphone
  --call-size N      callers of one call, 1 to 30 (4)
  --subscribers M    sockets that follow the calls (one a call)
  --find-limit       raise the callers until points are missing, the hop widens or the p99 of latency passes 500 ms
  --max-callers N    where that search ends (5000)
  --url URL          the server to load (one of its own, on a free port)
  --token TOKEN      for that server: scopes ingest and read, for every call; or set UNDERTONE_AUTH_SECRET
  --config FILE      settings of its own server
  --seed N           of who says what when, of loss and jitter (1)
  --json FILE        the figures as JSON; - for standard output
  --html FILE        the report (load-report.html); --no-html for none`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const known = {
  ...{ callers: text, seconds: text, 'warm-up': text, audio: text, codec: text, bitrate: text, loss: text, jitter: text, churn: text },
  ...{ talk: text, 'call-size': text, subscribers: text, 'max-callers': text, url: text, token: text, config: text, seed: text },
  ...{ json: text, html: text, 'no-html': flag, dtx: flag, 'find-limit': flag, help: flag, 'audio-level': flag },
  ...{ room: text, listeners: text, alternate: text, mute: flag },
};

/** Callers that one run may have: as many as a server of the tool's own has ports for. */
const mostCallers = 5000;
const longestSeconds = 24 * 3600;
/** Most milliseconds that a packet may be held up: the packets' wheel turns in two seconds. */
const longestJitterMs = 1000;
/** Long enough for some seconds in which nothing changes; see {@link settleSeconds}. */
const shortestStretchSeconds = 3 * settleSeconds;
/** A server takes a stream of which nothing comes for 30 s for one that has ended (`ingest.idleTimeoutMs`). */
const longestMuteSeconds = 25;

/**
 * Reads the command line; null where help is asked for.
 * @throws Error that says which option is not as expected, and what came instead.
 */
export function readOptions(args: readonly string[]): LoadOptions | null {
  const values = parse(args);
  if (values.help === true) return null;
  if (values.callers === undefined) throw expected('--callers', `a whole number from 1 to ${mostCallers}`, undefined);
  if (values.seconds === undefined) throw expected('--seconds', `a number from 1 to ${longestSeconds}`, undefined);
  const codec = (['opus', 'pcmu'] as const).find((name) => name === (values.codec ?? 'opus'));
  if (codec === undefined) throw expected('--codec', 'opus or pcmu', values.codec);
  if (values.bitrate !== undefined && codec !== 'opus') throw excludes('--bitrate', '--codec pcmu', 'G.711 has one bit rate');
  if (values.html !== undefined && values['no-html'] === true) throw excludes('--html', '--no-html', 'one of them');
  const url = values.url === undefined ? null : readUrl(values.url);
  if (url === null && values.token !== undefined) throw new Error('Expected --token with --url, got none: its own server needs no token');
  if (url !== null && values.config !== undefined) throw excludes('--config', '--url', 'a running server has its settings');
  const findLimit = values['find-limit'] === true;
  if (!findLimit && values['max-callers'] !== undefined) throw new Error('Expected --max-callers with --find-limit, got it alone');
  const callers = whole('--callers', values.callers, 1, mostCallers);
  const seconds = number('--seconds', values.seconds, 1, longestSeconds);
  const listenerShare = number('--listeners', values.listeners ?? '0', 0, 1);
  const stretchSeconds = values.alternate === undefined ? null : number('--alternate', values.alternate, shortestStretchSeconds, 3600);
  const mute = values.mute === true;
  if (mute && stretchSeconds === null) throw new Error('Expected --mute with --alternate, got it alone');
  if (mute && (stretchSeconds ?? 0) > longestMuteSeconds) {
    throw expected(
      '--alternate',
      `at most ${longestMuteSeconds} with --mute, for servers hang up on who is silent for longer`,
      values.alternate,
    );
  }
  if (stretchSeconds !== null) {
    if (listenerShare === 0) throw new Error('Expected --alternate with --listeners, got nobody who is to listen');
    if (findLimit) throw excludes('--alternate', '--find-limit', 'a limit is of one load');
    // Wherever they begin, a pair of stretches lies in them.
    if (seconds < 4 * stretchSeconds) {
      throw expected('--seconds', `at least four stretches of --alternate, ${4 * stretchSeconds}`, values.seconds);
    }
  }
  return {
    callers,
    seconds,
    warmUpSeconds: number('--warm-up', values['warm-up'] ?? '3', 0, 3600),
    audioDir: values.audio === undefined ? null : existing('--audio', values.audio, 'folder'),
    codec,
    bitrateKbps: values.bitrate === undefined ? null : number('--bitrate', values.bitrate, 6, 510),
    lossPercent: number('--loss', values.loss ?? '0', 0, 90),
    jitterMs: number('--jitter', values.jitter ?? '0', 0, longestJitterMs),
    dtx: values.dtx === true,
    audioLevel: values['audio-level'] === true,
    roomDbov: values.room === undefined ? null : -number('--room', values.room, 30, 90),
    churnPerMinute: number('--churn', values.churn ?? '0', 0, 6000),
    talkRatio: number('--talk', values.talk ?? '0.4', 0.01, 1),
    listenerShare,
    stretchSeconds,
    mute,
    callSize: whole('--call-size', values['call-size'] ?? '4', 1, 30),
    subscribers: values.subscribers === undefined ? null : whole('--subscribers', values.subscribers, 1, 5000),
    findLimit,
    maxCallers: whole('--max-callers', values['max-callers'] ?? String(mostCallers), callers, mostCallers),
    url,
    token: values.token ?? null,
    configFile: values.config === undefined ? null : existing('--config', values.config, 'file'),
    seed: whole('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
    json: values.json ?? null,
    html: values['no-html'] === true ? null : (values.html ?? 'load-report.html'),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: known }).values;
  } catch (error) {
    throw new Error(`${messageOf(error)}\n\n${usage}`, { cause: error });
  }
}

function readUrl(given: string): string {
  const url = URL.canParse(given) ? new URL(given) : null;
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw expected('--url', 'an http or https address', given);
  return url.origin;
}

function existing(name: string, path: string, kind: 'file' | 'folder'): string {
  if (!existsSync(path) || statSync(path).isDirectory() !== (kind === 'folder')) throw expected(name, `a ${kind}`, path);
  return path;
}

function number(name: string, given: string, least: number, most: number): number {
  const value = given.trim() === '' ? NaN : Number(given);
  if (!(value >= least && value <= most)) throw expected(name, `a number from ${least} to ${most}`, given);
  return value;
}

function whole(name: string, given: string, least: number, most: number): number {
  const value = /^\d+$/.test(given) ? Number(given) : NaN;
  if (!(value >= least && value <= most)) throw expected(name, `a whole number from ${least} to ${most}`, given);
  return value;
}

function excludes(name: string, other: string, why: string): Error {
  return new Error(`Expected ${name} without ${other}, got both: ${why}`);
}

function expected(name: string, what: string, got: string | undefined): Error {
  return new Error(`Expected ${name} to be ${what}, got ${got === undefined ? 'none' : `\`${got}\``}`);
}
