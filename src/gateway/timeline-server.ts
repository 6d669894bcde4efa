// The WebSocket server of timelines: upgrades, heartbeat, and the going away of all sockets.
import { once } from 'node:events';
import { STATUS_CODES, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import { closeCodes, maxMessageBytes, timelineProtocol } from './protocol.ts';
import { TimelineConnection, type ConnectionContext, type TimelineLimits } from './timeline-connection.ts';

/** Options of a {@link TimelineServer}. */
export interface TimelineServerOptions extends Omit<ConnectionContext, 'limits'> {
  readonly limits?: Partial<TimelineLimits>;
  /** Sockets at a time. @default 5000 */
  readonly maxSockets?: number;
}

/** The bounds where nothing else is given. */
export const defaultTimelineLimits: TimelineLimits = {
  helloTimeoutMs: 5000,
  heartbeatMs: 15_000,
  maxInvalidMessages: 10,
  maxSubscriptions: 256,
  softLimitBytes: 256 * 1024,
  hardLimitBytes: 4 * 1024 * 1024,
  closeGraceMs: 3000,
};

/** Less than {@link TimelineLimits.closeGraceMs}: a server that goes away cannot wait long. */
const goingAwayGraceMs = 1000;

/** Where timelines are served. */
export const timelinePath = '/v1/timeline';

/** Serves {@link timelinePath} on the upgrades of a host's HTTP server. */
export class TimelineServer {
  readonly #context: ConnectionContext;
  readonly #maxSockets: number;
  readonly #server: WebSocketServer;
  readonly #connections = new Set<TimelineConnection>();
  readonly #heartbeat: NodeJS.Timeout;
  #closed: Promise<void> | undefined;

  constructor({ limits, maxSockets, ...context }: TimelineServerOptions) {
    this.#context = { ...context, limits: { ...defaultTimelineLimits, ...limits } };
    this.#maxSockets = maxSockets ?? 5000;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: maxMessageBytes,
      // Small messages; a compressor for each socket would cost more than it saves.
      perMessageDeflate: false,
      handleProtocols: () => timelineProtocol,
    });
    this.#heartbeat = setInterval(() => {
      for (const connection of this.#connections) connection.beat();
    }, this.#context.limits.heartbeatMs);
    this.#heartbeat.unref();
  }

  /** Takes an upgrade of this path over and returns true; any other is left to the caller. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    if (request.url?.split('?', 1)[0] !== timelinePath) return false;
    // Until `ws` takes the socket over, nobody else listens for its faults.
    socket.on('error', ignore);
    if (this.#closed !== undefined || this.#connections.size >= this.#maxSockets) refuse(socket, 503);
    else if (!offersProtocol(request)) refuse(socket, 400);
    else {
      socket.removeListener('error', ignore);
      this.#server.handleUpgrade(request, socket, head, (client) => {
        const connection = new TimelineConnection(client, socket, this.#context);
        this.#connections.add(connection);
        this.#context.metrics.timelineSockets.inc();
        client.once('close', () => {
          this.#connections.delete(connection);
          this.#context.metrics.timelineSockets.dec();
        });
        if (this.#closed !== undefined) connection.close(closeCodes.goingAway, 'server going away');
      });
    }
    return true;
  }

  /** Closes every socket with 1001, and resolves once all are gone. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#heartbeat);
    const gone = [...this.#server.clients].map((client) => once(client, 'close'));
    for (const connection of this.#connections) connection.close(closeCodes.goingAway, 'server going away', goingAwayGraceMs);
    await Promise.all(gone);
    this.#server.close();
  }
}

function offersProtocol(request: IncomingMessage): boolean {
  const offered = request.headers['sec-websocket-protocol'] ?? '';
  return offered.split(',').some((protocol) => protocol.trim() === timelineProtocol);
}

function refuse(socket: Duplex, status: 400 | 503): void {
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

function ignore(): void {
  // The client went away before it was let in.
}
