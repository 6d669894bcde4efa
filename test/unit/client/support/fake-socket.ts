// A WebSocket whose other side the test plays.
import { connect, type ConnectOptions, type TimelineEvent, type UndertoneClient } from '../../../../client-sdk/src/index.ts';
import type { CallSummary, WebSocketConstructor } from '../../../../client-sdk/src/index.ts';

type Handlers = Record<'open' | 'error' | 'message' | 'close', ((event: never) => void)[]>;

/** One connection, as the server sees it. */
export class FakeSocket {
  readonly url: string;
  readonly protocol: string;
  readonly sent: Record<string, unknown>[] = [];
  closedWith: number | null = null;
  readonly #handlers: Handlers = { open: [], error: [], message: [], close: [] };

  constructor(url: string, protocol: string) {
    this.url = url;
    this.protocol = protocol;
  }

  addEventListener(type: keyof Handlers, handler: (event: never) => void): void {
    this.#handlers[type].push(handler);
  }
  send(data: string): void {
    this.sent.push(JSON.parse(data) as Record<string, unknown>);
  }
  close(code = 1005): void {
    this.closedWith ??= code;
  }

  open(): void {
    for (const handler of this.#handlers.open) handler(undefined as never);
  }
  receive(message: unknown): void {
    const data = typeof message === 'string' ? message : JSON.stringify(message);
    for (const handler of this.#handlers.message) handler({ data } as never);
  }
  /** The server, or the network, ends it. */
  drop(code = 1006, reason = ''): void {
    for (const handler of this.#handlers.close) handler({ code, reason } as never);
  }
  welcome(heartbeatMs = 1000): void {
    this.open();
    this.receive({ type: 'welcome', protocol: 'undertone.v1', heartbeatMs });
  }
  subscribed(call: CallSummary, nextSeq: number): void {
    this.receive({ type: 'subscribed', call, nextSeq });
  }
  events(...events: TimelineEvent[]): void {
    for (const event of events) this.receive({ type: 'event', event });
  }
}

/** Every connection that a client made, oldest first, and the client. */
export function connectFake(options: Partial<ConnectOptions> = {}): {
  client: UndertoneClient;
  sockets: FakeSocket[];
  last: () => FakeSocket;
} {
  const sockets: FakeSocket[] = [];
  class Recorded extends FakeSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      sockets.push(this);
    }
  }
  const client = connect({
    url: 'ws://server.test',
    token: 'token',
    WebSocket: Recorded satisfies WebSocketConstructor,
    nextRetryDelayMs: () => 100,
    ...options,
  });
  return { client, sockets, last: () => sockets[sockets.length - 1]! };
}

/** Lets promises that are due settle, without any time passing. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

/** A call of which `lastSeq` events exist. */
export function call(lastSeq: number, extra: Partial<CallSummary> = {}): CallSummary {
  return {
    callId: 'call',
    epoch: 'e1',
    startedAtUnixMs: 0,
    live: true,
    node: 'node',
    purpose: 'personal',
    region: 'eu',
    lastSeq,
    participants: [],
    ...extra,
  };
}

/** An event of little content. */
export function speech(seq: number, epoch = 'e1', callId = 'call'): TimelineEvent {
  return { type: 'speech', epoch, seq, callId, atMs: seq * 10, participantId: 'p', state: seq % 2 === 0 ? 'end' : 'start' };
}
