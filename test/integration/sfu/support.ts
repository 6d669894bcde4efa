// What the SFU's tests share: a server on a real mediasoup worker, signalling clients, and senders of real RTP.
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { types } from 'mediasoup';
import { WebSocket } from 'ws';
import { UndertoneError } from '../../../src/errors.ts';
import { createMetrics } from '../../../src/metrics.ts';
import { createPolicy } from '../../../src/policy/policy.ts';
import type { SfuEvent } from '../../../src/sfu/events.ts';
import type { PlainParticipant } from '../../../src/sfu/plain-rtp.ts';
import { Sfu, type SfuOptions } from '../../../src/sfu/sfu.ts';
import { signalProtocol } from '../../../src/sfu/signaling-server.ts';
import type { SignalClaims } from '../../../src/sfu/signaling-session.ts';
import type { AudioTap, RawRtp } from '../../../src/sfu/types.ts';
import { findWorkerBin } from '../../../src/sfu/worker-bin.ts';
import { Log } from '../../support/log.ts';

export { Log };

export const workerBin = findWorkerBin(process.env);

/** Options of a pool of so many workers, with the binary that the set-up left. */
export function workers(workerCount: number) {
  return { workerCount, ...(workerBin === undefined ? {} : { workerBin }) };
}

export type EventOf<Type extends SfuEvent['type']> = Extract<SfuEvent, { type: Type }>;

/** Tokens of the tests are their claims as JSON. */
export function token(claims: { call?: string; scope?: string; sub?: string; role?: string } = {}): string {
  return JSON.stringify({ call: '*', scope: 'join', ...claims });
}

async function verifyToken(text: string): Promise<SignalClaims> {
  try {
    const claims = JSON.parse(text) as { call: string; scope: string; sub?: string; role?: string };
    return {
      callId: claims.call,
      scopes: new Set(claims.scope.split(' ')),
      ...(claims.sub === undefined ? {} : { participantId: claims.sub }),
      ...(claims.role === undefined ? {} : { role: claims.role }),
    };
  } catch {
    throw new UndertoneError('UT_AUTH_TOKEN', 'Expected a valid token, got one that does not verify');
  }
}

/** A server with everything that a test looks at. */
export async function startServer(options: Partial<SfuOptions> = {}) {
  const metrics = createMetrics();
  const sfu = await Sfu.create({ decide: createPolicy(), verifyToken, metrics, workers: workers(1), ...options });
  const events = new Log<SfuEvent>();
  const taps = new Map<string, { tap: AudioTap; packets: Log<RawRtp>; completed: Promise<void> }>();
  sfu.events$.subscribe((event) => {
    if (event.type === 'tapOpened') {
      const packets = new Log<RawRtp>();
      const completed = new Promise<void>((resolve) => {
        const next = ({ data, arrivalMs }: RawRtp) => packets.add({ data: new Uint8Array(data), arrivalMs });
        event.tap.rtp$.subscribe({ next, complete: resolve });
      });
      taps.set(event.participant.participantId, { tap: event.tap, packets, completed });
    }
    events.add(event);
  });
  const http = createServer();
  http.on('upgrade', (request, socket, head) => sfu.handleUpgrade(request, socket, head));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const url = `ws://127.0.0.1:${String((http.address() as AddressInfo).port)}/v1/signal`;
  const clients: SignalClient[] = [];
  const senders: RtpSender[] = [];

  return {
    sfu,
    events,
    metrics,
    url,
    event: <Type extends SfuEvent['type']>(type: Type, test: (event: EventOf<Type>) => boolean = () => true) =>
      events.first((event): event is EventOf<Type> => event.type === type && test(event as EventOf<Type>)),
    /** The tap of a participant, once it is open. */
    async tapOf(participantId: string) {
      await events.first((event) => event.type === 'tapOpened' && event.participant.participantId === participantId);
      const tap = taps.get(participantId);
      if (tap === undefined) throw new Error('Expected a tap');
      return tap;
    },
    async connect(): Promise<SignalClient> {
      const client = await SignalClient.connect(url);
      clients.push(client);
      return client;
    },
    /** Adds a plain participant and starts to send their silence. */
    async call(callId: string, participantId: string, plain: Partial<PlainParticipant> = {}): Promise<RtpSender> {
      const full = plainParticipant(callId, participantId, plain);
      const sender = new RtpSender(await sfu.addPlainParticipant(full), full.ssrc, full.payloadType);
      senders.push(sender);
      return sender;
    },
    async close(): Promise<void> {
      for (const sender of senders) sender.close();
      await sfu.close();
      for (const client of clients) client.socket.terminate();
      http.closeAllConnections();
      await new Promise((resolve) => http.close(resolve));
    },
  };
}

let nextSsrc = 1000;

export function plainParticipant(callId: string, participantId: string, plain: Partial<PlainParticipant> = {}): PlainParticipant {
  nextSsrc += 1;
  return {
    callId,
    participantId,
    displayName: `Name of ${participantId}`,
    role: 'guest',
    consent: 'granted',
    ssrc: nextSsrc,
    payloadType: 100,
    mimeType: 'audio/opus',
    ...plain,
  };
}

type Answer =
  | { id: number | null; ok: true; data: Record<string, unknown> }
  | { id: number | null; ok: false; error: { code: string; message: string } };
interface Notification {
  event: string;
  data: Record<string, unknown>;
}

/** A signalling client that keeps what it is told. */
export class SignalClient {
  readonly socket: WebSocket;
  readonly answers = new Log<Answer>();
  readonly notifications = new Log<Notification>();
  readonly closed: Promise<number>;
  #nextId = 1;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.on('close', resolve));
    socket.on('error', () => undefined);
    socket.on('message', (data: Buffer) => {
      const message = JSON.parse(data.toString('utf8')) as Answer | Notification;
      if ('event' in message) this.notifications.add(message);
      else this.answers.add(message);
    });
  }

  static async connect(url: string): Promise<SignalClient> {
    const socket = new WebSocket(url, signalProtocol);
    const client = new SignalClient(socket);
    await once(socket, 'open');
    return client;
  }

  /** Sends a request and resolves to its answer. */
  async ask(method: string, data: unknown = {}): Promise<Answer> {
    const id = this.#nextId++;
    this.socket.send(JSON.stringify({ id, method, data }));
    return await this.answers.first((answer) => answer.id === id);
  }

  /** Sends a request that must succeed, and resolves to its data. */
  async request(method: string, data: unknown = {}): Promise<Record<string, unknown>> {
    const answer = await this.ask(method, data);
    if (!answer.ok) throw new Error(`${method}: ${answer.error.code} ${answer.error.message}`);
    return answer.data;
  }

  /** Sends a request that must fail, and resolves to the error's code. */
  async refusal(method: string, data: unknown = {}): Promise<string> {
    const answer = await this.ask(method, data);
    if (answer.ok) throw new Error(`Expected ${method} to be refused`);
    return answer.error.code;
  }

  /** Sends any text and resolves to the next answer. */
  async raw(text: string | Buffer): Promise<Answer> {
    const next = this.answers.next(() => true);
    this.socket.send(text);
    return await next;
  }

  join(callId: string, data: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.request('join', { token: token(), callId, displayName: 'Ada', consent: 'granted', ...data });
  }

  told(event: string): Promise<Record<string, unknown>> {
    return this.notifications.first((notification) => notification.event === event).then((notification) => notification.data);
  }
}

/** One RTP packet (RFC 3550). `extension` is a whole extension header, in words of four bytes. */
export function rtpPacket(
  sequenceNumber: number,
  timestamp: number,
  ssrc: number,
  payloadType: number,
  payload: Uint8Array,
  extension: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(12);
  header[0] = extension.length === 0 ? 0x80 : 0x90;
  header[1] = payloadType;
  header.writeUInt16BE(sequenceNumber & 0xffff, 2);
  header.writeUInt32BE(timestamp >>> 0, 4);
  header.writeUInt32BE(ssrc, 8);
  return Buffer.concat([header, extension, payload]);
}

/** An extension header of one element (RFC 8285) that carries an audio level (RFC 6464). */
export function audioLevel(id: number, level: number): Buffer {
  return Buffer.from([0xbe, 0xde, 0, 1, id << 4, level, 0, 0]);
}

/** The elements of a packet's one-byte extension header, by id. */
export function extensionsOf(packet: RawRtp): Map<number, Uint8Array> {
  const elements = new Map<number, Uint8Array>();
  const end = 16 + 4 * (((packet.data[14] ?? 0) << 8) | (packet.data[15] ?? 0));
  for (let at = 16; at < end;) {
    const first = packet.data[at] ?? 0;
    const length = first === 0 ? 0 : (first & 15) + 1;
    if (first !== 0) elements.set(first >> 4, packet.data.slice(at + 1, at + 1 + length));
    at += 1 + length;
  }
  return elements;
}

/** 20 ms of silence in Opus: a CELT frame for full band. */
export const opusSilence = Buffer.from([0xf8, 0xff, 0xfe]);

/** Sends a stream of silence over UDP, faster than real time, until closed. */
export class RtpSender {
  readonly socket: Socket = createSocket('udp4');
  readonly target: { ip: string; port: number };
  #sent = 0;
  readonly #timer: NodeJS.Timeout;

  constructor(target: { ip: string; port: number }, ssrc: number, payloadType: number, extension?: Uint8Array) {
    this.target = target;
    this.#timer = setInterval(() => {
      // Starts shortly before the wrap of the sequence number, as a stream may.
      this.send(rtpPacket(65_500 + this.#sent, this.#sent * 960, ssrc, payloadType, opusSilence, extension));
      this.#sent += 1;
    }, 5);
  }

  send(data: Buffer): void {
    this.socket.send(data, this.target.port, this.target.ip);
  }

  close(): void {
    clearInterval(this.#timer);
    try {
      this.socket.close();
    } catch {
      // Closed before.
    }
  }
}

export const sequenceNumberOf = (packet: RawRtp): number => ((packet.data[2] ?? 0) << 8) | (packet.data[3] ?? 0);

export const timestampOf = (packet: RawRtp): number => new DataView(packet.data.buffer, packet.data.byteOffset).getUint32(4);

/** What a browser would say of its microphone. */
export function microphone(ssrc: number): types.RtpParameters {
  return {
    mid: '0',
    codecs: [
      {
        mimeType: 'audio/opus',
        payloadType: 111,
        clockRate: 48_000,
        channels: 2,
        parameters: { minptime: 10, useinbandfec: 1 },
        rtcpFeedback: [{ type: 'transport-cc', parameter: '' }],
      },
    ],
    headerExtensions: [{ uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level', id: 1, encrypt: false, parameters: {} }],
    encodings: [{ ssrc, dtx: false }],
    rtcp: { cname: 'abc', reducedSize: true },
  };
}
