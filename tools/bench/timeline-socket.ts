// A bare WebSocket of the timeline protocol: says hello, subscribes, and hands out each message with the time at which it came.
import { once } from 'node:events';
import { WebSocket } from 'ws';
import { systemClock } from '../../src/clock.ts';
import { timelineProtocol, type ServerMessage } from '../../src/gateway/protocol.ts';

/** Where to connect, and who listens. */
export interface TimelineSocketOptions {
  readonly serverUrl: string;
  readonly token: string;
  /** @param atUnixMs wall time at which the message was read, ms since the Unix epoch */
  readonly onMessage: (message: ServerMessage, atUnixMs: number) => void;
  /** Called once where the link ends or fails and nobody closed it. */
  readonly onLost: (reason: string) => void;
}

/** Unlike the client SDK it neither reconnects nor hides anything: what the server does wrong is to be seen. */
export class TimelineSocket {
  readonly #socket: WebSocket;
  #over = false;

  private constructor(socket: WebSocket, { onMessage, onLost }: TimelineSocketOptions) {
    this.#socket = socket;
    const lose = (reason: string): void => {
      if (this.#over) return;
      this.#over = true;
      onLost(reason);
    };
    socket.on('message', (data: Buffer) => {
      const atUnixMs = systemClock.nowMs();
      onMessage(JSON.parse(data.toString()) as ServerMessage, atUnixMs);
    });
    socket.on('error', ({ message }) => {
      lose(message);
    });
    socket.on('close', (code) => {
      lose(`close code ${code}`);
    });
  }

  /** Connects and says hello. Rejects if the server cannot be reached. */
  static async connect(options: TimelineSocketOptions): Promise<TimelineSocket> {
    const url = new URL('/v1/timeline', options.serverUrl.replace(/^http/, 'ws'));
    const socket = new WebSocket(url, timelineProtocol);
    await once(socket, 'open');
    const made = new TimelineSocket(socket, options);
    socket.send(JSON.stringify({ type: 'hello', token: options.token }));
    return made;
  }

  /** Asks for all that is kept of a call and all that will come. */
  subscribe(callId: string): void {
    this.#socket.send(JSON.stringify({ type: 'subscribe', callId, resume: { seq: 0 } }));
  }

  close(): void {
    this.#over = true;
    this.#socket.terminate();
  }
}
