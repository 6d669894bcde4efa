// A server that serves the real pages and plays the other side of both protocols by the test's script, without media.
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { CallSummary, TimelineEvent } from '../../../client-sdk/src/index.ts';
import { emptyCallState, reduceCall } from '../../../client-sdk/src/overlay-state.ts';
import { createWeb } from '../../../src/web.ts';
import { answerMedia, routerRtpCapabilities } from './scripted-media.ts';

/** An event without the parts that the timeline gives it. */
export type ScriptedEvent = TimelineEvent extends infer E ? (E extends TimelineEvent ? Omit<E, 'epoch' | 'seq' | 'callId'> : never) : never;

/** Somebody whom the script puts into a call. */
export interface ScriptedPerson {
  readonly participantId: string;
  readonly displayName: string;
  readonly role?: string;
}

/** A request as it came. */
export interface RecordedRequest {
  readonly method: string;
  readonly data: Readonly<Record<string, unknown>>;
}

/** A call of the script. */
export interface ScriptedCall {
  /** Adds events to the timeline and sends them to who subscribed. */
  append(...events: ScriptedEvent[]): void;
  summary(): CallSummary;
}

/** The server. */
export interface ScriptedServer {
  readonly url: string;
  readonly requests: RecordedRequest[];
  /** Whether `POST /v1/dev/token` is answered. */
  devTokens: boolean;
  /** Whether a signalling socket is accepted. */
  acceptSignal: boolean;
  call(callId: string, startedAtUnixMs?: number): ScriptedCall;
  enter(callId: string, person: ScriptedPerson): void;
  depart(callId: string, participantId: string): void;
  /** Sends a notification to all signalling sockets. */
  notify(event: string, data: object): void;
  /** Resolves once a request of this method came; at once if one has. */
  requested(method: string, count?: number): Promise<RecordedRequest>;
  dropSignal(): void;
  signalSockets(): number;
  /** Timeline sockets that are subscribed to a call. */
  subscribersOf(callId: string): number;
  close(): Promise<void>;
}

interface CallRecord {
  readonly events: TimelineEvent[];
  readonly people: Map<string, ScriptedPerson>;
  readonly call: ScriptedCall;
}

/** Starts the server on a free port of this machine. */
export async function startScriptedServer(outDir?: string): Promise<ScriptedServer> {
  const web = await createWeb(outDir === undefined ? {} : { outDir });
  const calls = new Map<string, CallRecord>();
  const requests: RecordedRequest[] = [];
  const waiting: { method: string; count: number; resolve: (request: RecordedRequest) => void }[] = [];
  const subscriptions = new Map<WebSocket, Set<string>>();
  const signals = new Set<WebSocket>();
  let joined = 0;

  const record = (callId: string, startedAtUnixMs = Date.now()): CallRecord => {
    const found = calls.get(callId);
    if (found !== undefined) return found;
    const events: TimelineEvent[] = [];
    const made: CallRecord = {
      events,
      people: new Map(),
      call: {
        append(...added) {
          for (const body of added) {
            const event: TimelineEvent = { ...body, epoch: 'epoch-1', seq: events.length + 1, callId };
            events.push(event);
            for (const [socket, ids] of subscriptions) if (ids.has(callId)) send(socket, { type: 'event', event });
          }
        },
        summary() {
          const state = events.reduce(reduceCall, emptyCallState);
          return {
            callId,
            epoch: 'epoch-1',
            startedAtUnixMs,
            live: events[events.length - 1]?.type !== 'end',
            node: 'node-1',
            purpose: 'personal',
            region: 'eu',
            lastSeq: events.length,
            participants: [...state.participants.values()].map(({ participantId, role, present, measured, reason, speaking, current }) => ({
              ...{ participantId, role, present, measured, reason, speaking },
              current: current === null ? null : { atMs: 0, label: current.label, confidence: current.confidence, unreliable: false },
            })),
          };
        },
      },
    };
    calls.set(callId, made);
    return made;
  };

  const answerTimeline = (socket: WebSocket, message: Record<string, unknown>): void => {
    const callId = String(message['callId']);
    const mine = subscriptions.get(socket) ?? new Set();
    subscriptions.set(socket, mine);
    if (message['type'] === 'hello') send(socket, { type: 'welcome', protocol: 'undertone.v1', heartbeatMs: 15_000 });
    if (message['type'] === 'unsubscribe') mine.delete(callId);
    if (message['type'] !== 'subscribe') return;
    const { events, call } = record(callId);
    const after = (message['resume'] as { seq: number } | undefined)?.seq ?? events.length;
    send(socket, { type: 'subscribed', call: call.summary(), nextSeq: after + 1 });
    for (const event of events.slice(after)) send(socket, { type: 'event', event });
    mine.add(callId);
  };

  const answerSignal = (method: string, data: Record<string, unknown>): object => {
    if (method === 'join') {
      const { people, call } = record(String(data['callId']));
      const participantId = `self-${String(++joined)}`;
      const measured = data['consent'] === 'granted';
      call.append({ type: 'participant', atMs: 0, participantId, action: 'joined', role: 'guest' });
      call.append({
        ...{ type: 'consent', atMs: 0, participantId, consent: measured ? 'granted' : 'denied', measured },
        reason: measured ? 'granted' : 'no-consent',
      });
      const participants = [...people.values()].map((person) => viewOf(person));
      return { participantId, routerRtpCapabilities, participants, measured, reason: measured ? 'granted' : 'no-consent' };
    }
    if (method === 'setConsent') return { measured: data['consent'] === 'granted', reason: String(data['consent']) };
    return answerMedia(method);
  };

  const http = createServer((request, response) => {
    const json = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    void (async () => {
      if (await web.handler(request, response)) return;
      if (request.url === '/v1/dev/token' && server.devTokens) json(200, { token: 'token' });
      else if (request.url === '/v1/calls') json(200, { calls: [...calls.values()].map(({ call }) => call.summary()) });
      else json(404, { error: { code: 'UT_REQUEST_INVALID', message: 'Not found' } });
    })();
  });
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (protocols) => [...protocols][0] ?? false });
  http.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    const isSignal = request.url === '/v1/signal';
    if (isSignal && !server.acceptSignal) {
      stream.destroy();
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      if (isSignal) signals.add(socket);
      socket.on('close', () => {
        signals.delete(socket);
        subscriptions.delete(socket);
      });
      socket.on('message', (frame: Buffer) => {
        const message = JSON.parse(frame.toString()) as Record<string, unknown>;
        if (!isSignal) {
          answerTimeline(socket, message);
          return;
        }
        const request = { method: String(message['method']), data: message['data'] as Record<string, unknown> };
        requests.push(request);
        send(socket, { id: message['id'], ok: true, data: answerSignal(request.method, request.data) });
        tellWaiting();
      });
    });
  });

  const tellWaiting = (): void => {
    for (const entry of [...waiting]) {
      const found = requests.filter(({ method }) => method === entry.method)[entry.count - 1];
      if (found === undefined) continue;
      waiting.splice(waiting.indexOf(entry), 1);
      entry.resolve(found);
    }
  };

  const server: ScriptedServer = {
    url: '',
    requests,
    devTokens: true,
    acceptSignal: true,
    call: (callId, startedAtUnixMs) => record(callId, startedAtUnixMs).call,
    enter(callId, person) {
      record(callId).people.set(person.participantId, person);
      server.notify('participantJoined', viewOf(person));
    },
    depart(callId, participantId) {
      record(callId).people.delete(participantId);
      server.notify('participantLeft', { participantId });
    },
    notify(event, data) {
      for (const socket of signals) send(socket, { event, data });
    },
    requested: (method, count = 1) =>
      new Promise((resolve) => {
        waiting.push({ method, count, resolve });
        tellWaiting();
      }),
    dropSignal() {
      for (const socket of signals) socket.terminate();
    },
    signalSockets: () => signals.size,
    subscribersOf: (callId) => [...subscriptions.values()].filter((ids) => ids.has(callId)).length,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return Object.assign(server, { url: `http://localhost:${String((http.address() as AddressInfo).port)}` });
}

function viewOf({ participantId, displayName, role = 'guest' }: ScriptedPerson): object {
  return { participantId, displayName, role, measured: true, reason: 'granted', producers: [] };
}

function send(socket: WebSocket, message: object): void {
  socket.send(JSON.stringify(message));
}
