// The server that is loaded: one of the tool's own in a process of its own, or one that runs already.
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { loadConfig } from '../../config/load.ts';
import { messageOf } from '../../src/errors.ts';
import { createTokens, isLoopbackHost } from '../../src/gateway/auth.ts';
import { shippedModelDir } from '../analyse/play.ts';
import { scrape, type Scrape } from '../bench/scrape.ts';
import { startCallsServer, type Settings } from '../bench/server-process.ts';
import { audioLevelExtensionId } from './caller-stream.ts';
import type { LoadOptions } from './options.ts';

/** A participant to bring in. */
export interface IngestOrder {
  readonly callId: string;
  readonly participantId: string;
  readonly codec: LoadOptions['codec'];
  readonly ssrc: number;
  /** Whether the packets say their level. */
  readonly audioLevel: boolean;
}

/** A port that listens to a participant. */
export interface OpenIngest {
  readonly ingestId: string;
  readonly payloadType: number;
  readonly remote: { readonly ip: string; readonly port: number };
}

interface IngestAnswer {
  readonly ingestId: string;
  readonly payloadType: number;
  readonly ip: string;
  readonly port: number;
  readonly error?: { readonly code: string; readonly message: string };
}

const projectDir = join(import.meta.dirname, '../..');
const scopes = ['ingest', 'read'];
const tokenTtlSeconds = 25 * 3600;
/** Whom every policy that allows anybody allows. */
const role = 'customer';
/** Below the ports that Linux hands out by itself. */
const ownPorts = { portMin: 10_000, portMax: 32_767 };
/** Of `/readyz`. */
const readyTimeoutMs = 30_000;
const readyIntervalMs = 200;

/** A server to load. */
export class Target {
  readonly url: string;
  /** Reads timelines, and brings in participants. */
  readonly token: string;
  readonly own: boolean;
  /** Folder of its model; of a server that ran before it is not known, and taken for the one that ships. */
  readonly modelDir: string;
  readonly #close: () => Promise<unknown>;
  readonly #addresses = new Map<string, Promise<string>>();

  private constructor(of: Pick<Target, 'url' | 'token' | 'own' | 'modelDir'>, close: () => Promise<unknown>) {
    this.url = of.url;
    this.token = of.token;
    this.own = of.own;
    this.modelDir = of.modelDir;
    this.#close = close;
  }

  /**
   * Starts a server of the tool's own, or looks at the running one.
   * @throws Error that says why it cannot be loaded: it does not answer, is not ready, or there is no token for it.
   */
  static async open(options: Pick<LoadOptions, 'url' | 'token' | 'configFile'>): Promise<Target> {
    const { url, token, configFile } = options;
    if (url !== null) {
      await expectReady(url);
      const running = { url, token: token ?? (await getToken(url)), own: false, modelDir: shippedModelDir };
      return new Target(running, () => Promise.resolve());
    }
    const { settings, modelDir } = ownSettings(configFile);
    const server = await startCallsServer({ calls: [], settings }, undefined, { ownGroup: true });
    return new Target({ url: server.url, token: server.token, own: true, modelDir }, () => server.close());
  }

  /** Reads the server's metrics. @throws Error where it is gone */
  async scrape(): Promise<Scrape> {
    try {
      return await scrape(this.url);
    } catch (cause) {
      throw new Error(`Expected the server at ${this.url} to go on, but it does not answer: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Brings in a participant. @throws Error with the server's reason where it refuses. */
  async openIngest({ callId, participantId, codec, ssrc, audioLevel }: IngestOrder): Promise<OpenIngest> {
    const participant = { id: participantId, role, consent: 'granted' };
    const level = audioLevel ? { audioLevelExtensionId } : {};
    const response = await this.#ask('POST', '', { callId, participant, codec, ssrc, ...level });
    const answer = (await response.json()) as IngestAnswer;
    if (response.status !== 201) throw new Error(`Expected the server to take another caller, got ${describe(response.status, answer)}`);
    const { ingestId, payloadType, ip, port } = answer;
    return { ingestId, payloadType, remote: { ip: await this.#addressOf(ip), port } };
  }

  /** Takes a participant out again. */
  async closeIngest(ingestId: string): Promise<void> {
    const response = await this.#ask('DELETE', `/${ingestId}`);
    await response.arrayBuffer();
  }

  /** Ends the tool's own server, and leaves one that ran before as it is. */
  async close(): Promise<void> {
    await this.#close();
  }

  async #ask(method: string, path: string, body?: unknown): Promise<Response> {
    return await fetch(new URL(`/v1/ingest${path}`, this.url), {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** The number of an address, looked up once. */
  async #addressOf(host: string): Promise<string> {
    if (isIP(host) !== 0) return host;
    let found = this.#addresses.get(host);
    if (found === undefined) {
      found = lookup(host).then(({ address }) => address);
      this.#addresses.set(host, found);
    }
    return await found;
  }
}

/**
 * The settings of the tool's own server: the operator's, with room for all callers; and the folder of its model.
 * @throws UndertoneError UT_CONFIG_INVALID as the server would
 */
function ownSettings(configFile: string | null): { readonly settings: Settings; readonly modelDir: string } {
  const { dir } = loadConfig(configFile === null ? {} : { file: configFile }).model;
  const given = configFile === null ? {} : (JSON.parse(readFileSync(configFile, 'utf8')) as Settings);
  const { $schema: _schema, log, ingest, ...others } = given;
  const settings = { ...others, log: { level: 'warn', ...log }, ingest: { maxIngests: 10_000, ...ownPorts, ...ingest } };
  return { settings, modelDir: isAbsolute(dir) ? dir : join(projectDir, dir) };
}

async function expectReady(url: string): Promise<void> {
  const untilMs = performance.now() + readyTimeoutMs;
  for (;;) {
    let got: string;
    try {
      const response = await fetch(new URL('/readyz', url));
      got = `status ${response.status}: ${await response.text()}`;
      if (response.ok) return;
      if (response.status !== 503) throw new Error(`Expected an Undertone server at ${url}, got ${got}`);
    } catch (cause) {
      if (cause instanceof TypeError) {
        throw new Error(`Expected a server at ${url}, but it cannot be reached: ${reasonOf(cause)}`, { cause });
      }
      throw cause;
    }
    if (performance.now() > untilMs) throw new Error(`Expected the server at ${url} to become ready, got ${got}`);
    await delay(readyIntervalMs);
  }
}

/** A token signed with the operator's secret, or the one that a server without a secret hands out to its own machine. */
async function getToken(url: string): Promise<string> {
  const secret = process.env['UNDERTONE_AUTH_SECRET'];
  const scope = scopes.join(' ');
  if (secret !== undefined && secret !== '') return await createTokens({ secret }).issue({ call: '*', scope, ttlSeconds: tokenTtlSeconds });
  const hint = 'give --token, or set UNDERTONE_AUTH_SECRET to the secret of the server';
  if (!isLoopbackHost(new URL(url).hostname)) throw new Error(`Expected a token for ${url}, got none: ${hint}`);
  const response = await fetch(new URL('/v1/dev/token', url), {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ call: '*', scope }),
  });
  if (!response.ok) throw new Error(`Expected ${url} to hand out a token, got status ${response.status}: ${hint}`);
  return ((await response.json()) as { readonly token: string }).token;
}

/** Of a request that failed, what the system said. */
function reasonOf(error: unknown): string {
  return messageOf(error instanceof TypeError && error.cause !== undefined ? error.cause : error);
}

function describe(status: number, { error }: IngestAnswer): string {
  return error === undefined ? `status ${status}` : `${error.code}: ${error.message}`;
}
