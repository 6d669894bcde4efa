// A gateway on a free port, and a reader that speaks the timeline protocol frame by frame.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import { createMetrics, type Metrics } from '../../src/metrics.ts';
import { createTokens, type IssueOptions, type Tokens } from '../../src/gateway/auth.ts';
import { Gateway, type GatewayOptions } from '../../src/gateway/gateway.ts';
import { MemoryTimelineStore } from '../../src/gateway/memory-store.ts';
import type { ServerMessage } from '../../src/gateway/protocol.ts';
import type { TimelineEvent, TimelineStore } from '../../src/gateway/types.ts';
import { silentLogger } from './timeline.ts';

export const testSecret = 'a secret of a test, 32 bytes long';

/** A gateway that listens. */
export interface TestGateway {
  readonly gateway: Gateway;
  readonly store: TimelineStore;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly port: number;
  readonly httpUrl: string;
  readonly wsUrl: string;
  token(options?: Partial<IssueOptions>): Promise<string>;
  /** A reader that was welcomed. */
  reader(options?: Partial<IssueOptions>): Promise<TestReader>;
  close(): Promise<void>;
}

export async function startGateway(options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const store = options.store ?? new MemoryTimelineStore();
  const metrics = options.metrics ?? createMetrics();
  const tokens = options.tokens ?? createTokens({ secret: testSecret });
  const gateway = Gateway.create({ logger: silentLogger, nodeId: 'test-node', ...options, store, metrics, tokens });
  const server = createServer((request, response) => gateway.handleRequest(request, response));
  server.on('upgrade', (request, socket, head) => {
    if (!gateway.handleUpgrade(request, socket, head)) socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const wsUrl = `ws://127.0.0.1:${port}/v1/timeline`;
  const token = (claims: Partial<IssueOptions> = {}): Promise<string> =>
    tokens.issue({ call: '*', scope: 'read list', ttlSeconds: 60, ...claims });
  const readers: TestReader[] = [];

  return {
    gateway,
    store,
    tokens,
    metrics,
    port,
    httpUrl: `http://127.0.0.1:${port}`,
    wsUrl,
    token,
    reader: async (claims) => {
      const reader = await TestReader.connect(wsUrl);
      readers.push(reader);
      await reader.hello(await token(claims));
      return reader;
    },
    close: async () => {
      await gateway.close();
      for (const reader of readers) reader.socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await store.close();
    },
  };
}

type MessageOf<T extends ServerMessage['type']> = Extract<ServerMessage, { type: T }>;

/** A WebSocket client that keeps all that it was sent. */
export class TestReader {
  readonly socket: WebSocket;
  readonly received: ServerMessage[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  #cursor = 0;
  #notify: () => void = () => undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer) => {
      this.received.push(JSON.parse(data.toString()) as ServerMessage);
      this.#notify();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      socket.once('close', (code, reason) => {
        resolve({ code, reason: reason.toString() });
        this.#notify();
      });
    });
  }

  static async connect(url: string): Promise<TestReader> {
    const socket = new WebSocket(url, 'undertone.v1');
    const reader = new TestReader(socket);
    await once(socket, 'open');
    return reader;
  }

  get events(): TimelineEvent[] {
    return this.received.flatMap((message) => (message.type === 'event' ? [message.event] : []));
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  async hello(token: string): Promise<MessageOf<'welcome'>> {
    this.send({ type: 'hello', token });
    return await this.next('welcome');
  }

  async subscribe(callId: string, resume?: { epoch?: string; seq: number }): Promise<MessageOf<'subscribed'>> {
    this.send({ type: 'subscribe', callId, ...(resume === undefined ? {} : { resume }) });
    return await this.next('subscribed');
  }

  /** The next message of a type after the last one that was asked for; rejects if the socket closes before. */
  async next<T extends ServerMessage['type']>(type: T): Promise<MessageOf<T>> {
    await this.until(() => this.received.slice(this.#cursor).some((message) => message.type === type));
    const index = this.received.findIndex((message, at) => at >= this.#cursor && message.type === type);
    this.#cursor = index + 1;
    return this.received[index] as MessageOf<T>;
  }

  /** Waits for a condition that each message may bring about; rejects if the socket closes before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.socket.readyState === WebSocket.CLOSED) {
        throw new Error(`The socket closed first; received: ${JSON.stringify(this.received.slice(-5))}`);
      }
      await new Promise<void>((resolve) => {
        this.#notify = resolve;
      });
    }
  }

  /** Waits for the event with this seq. */
  async untilSeq(seq: number): Promise<void> {
    await this.until(() => this.received.some((message) => message.type === 'event' && message.event.seq >= seq));
  }

  /** What happened to each seq, in order: `5` for an event, `6-9` for a skipped range, `!3` for a resync. */
  get account(): string[] {
    return this.received.flatMap((message) => {
      if (message.type === 'event') return [String(message.event.seq)];
      if (message.type === 'skipped') return [`${message.fromSeq}-${message.toSeq}`];
      return message.type === 'resync' ? [`!${message.nextSeq}`] : [];
    });
  }
}
