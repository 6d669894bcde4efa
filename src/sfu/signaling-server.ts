// The signalling server: WebSocket upgrades, heartbeat, and a session for each socket.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import { SignalingSession, signalCloseCodes, type SessionContext, type SessionOptions } from './signaling-session.ts';

/** The subprotocol that a client must offer. */
export const signalProtocol = 'undertone.signal.v1';

/** Bounds of the server and of its sockets. */
export interface SignalingServerOptions extends SessionOptions {
  /** Between two pings; a socket that answers none within one is cut off, ms. @default 15000 */
  readonly heartbeatMs?: number;
  /** Sockets at a time. @default 5000 */
  readonly maxSockets?: number;
}

const maxMessageBytes = 64 * 1024;
/** How long clients may take to answer the close of a server that goes away. */
const closeTimeoutMs = 1_000;

/** Serves `/v1/signal` on the upgrades that a host's HTTP server hands over. */
export class SignalingServer {
  readonly #context: SessionContext;
  readonly #options: SignalingServerOptions;
  readonly #maxSockets: number;
  readonly #server: WebSocketServer;
  readonly #unanswered = new WeakSet<WebSocket>();
  readonly #heartbeat: NodeJS.Timeout;
  #closing: Promise<void> | undefined;

  constructor(context: SessionContext, options: SignalingServerOptions = {}) {
    this.#context = context;
    this.#options = options;
    this.#maxSockets = options.maxSockets ?? 5_000;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: maxMessageBytes,
      perMessageDeflate: false,
      handleProtocols: () => signalProtocol,
    });
    this.#heartbeat = setInterval(() => {
      this.#beat();
    }, options.heartbeatMs ?? 15_000);
    this.#heartbeat.unref();
  }

  /** Sockets open. */
  get sockets(): number {
    return this.#server.clients.size;
  }

  /** Takes over an HTTP upgrade. Refuses with 400 without the subprotocol, 503 where full or closing. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Until `ws` takes the socket over, nobody else listens for its faults.
    socket.on('error', ignore);
    if (this.#closing !== undefined || this.sockets >= this.#maxSockets) {
      refuse(socket, '503 Service Unavailable');
      return;
    }
    if (!offeredProtocols(request).includes(signalProtocol)) {
      refuse(socket, '400 Bad Request');
      return;
    }
    socket.removeListener('error', ignore);
    this.#server.handleUpgrade(request, socket, head, (client) => {
      this.#open(client);
    });
  }

  /** Closes every socket with 1001. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #open(client: WebSocket): void {
    client.on('pong', () => {
      this.#unanswered.delete(client);
    });
    new SignalingSession(client, this.#context, this.#options);
  }

  #beat(): void {
    for (const client of this.#server.clients) {
      if (this.#unanswered.has(client)) {
        client.terminate();
        continue;
      }
      this.#unanswered.add(client);
      if (client.readyState === client.OPEN) client.ping();
    }
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat);
    const ends = [...this.#server.clients].map(async (client) => {
      const ended = new Promise<void>((resolve) => {
        client.once('close', () => {
          resolve();
        });
      });
      client.close(signalCloseCodes.goingAway, 'server going away');
      const timer = setTimeout(() => {
        client.terminate();
      }, closeTimeoutMs);
      await ended;
      clearTimeout(timer);
    });
    await Promise.all(ends);
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }
}

function offeredProtocols(request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '').split(',').map((protocol) => protocol.trim());
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function ignore(): void {
  // The client went away before it was let in.
}
