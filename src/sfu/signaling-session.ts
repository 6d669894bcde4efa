// One signalling socket: its requests in order, each answered; its end is its participant's end.
import { randomUUID } from 'node:crypto';
import type { types } from 'mediasoup';
import type { RawData, WebSocket } from 'ws';
import { isUndertoneError, messageOf, UndertoneError, type ErrorCode } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { CallRegistry, Joined } from './call-registry.ts';
import type { SignalAnswer, SignalNotification } from './signaling-messages.ts';
import { claimedIdentity, parseRequest, type SignalRequest } from './signaling-schema.ts';
import type { Decision } from './types.ts';

/** What a token allows. */
export interface SignalClaims {
  /** The call that it is good for, or `*`. */
  readonly callId: string;
  readonly scopes: ReadonlySet<string>;
  /** The participant that it joins as. */
  readonly participantId?: string;
  /** The role that it joins in. */
  readonly role?: string;
}

/** Checks a token. Rejects with UT_AUTH_TOKEN. */
export type VerifyToken = (token: string) => Promise<SignalClaims>;

/** Bounds of one socket. */
export interface SessionOptions {
  /** Role of a participant where neither token nor client names one. @default 'guest' */
  readonly defaultRole?: string;
  /** How long a socket may stay without a first join, ms. @default 10000 */
  readonly joinTimeoutMs?: number;
  /** Refused messages after which a socket is closed. @default 20 */
  readonly maxInvalidMessages?: number;
  /** Requests of one socket that may wait for their turn. @default 64 */
  readonly maxPendingRequests?: number;
  /** Bytes that may wait for a slow reader before it is cut off. @default 1048576 */
  readonly maxBufferedBytes?: number;
}

/** What a session needs of its server. */
export interface SessionContext {
  readonly registry: CallRegistry;
  readonly verifyToken: VerifyToken;
  readonly logger: Logger;
  readonly onInvalidMessage: () => void;
}

/** Close codes that docs/protocol.md names. */
export const signalCloseCodes = { goingAway: 1001, policyViolation: 1008, tryAgainLater: 1013, replaced: 4409 } as const;

/** Serves one socket. */
export class SignalingSession {
  readonly #socket: WebSocket;
  readonly #context: SessionContext;
  readonly #options: Required<SessionOptions>;
  readonly #joinTimer: NodeJS.Timeout;
  #joined: Joined | undefined;
  #queue: Promise<void> = Promise.resolve();
  #pendingRequests = 0;
  #invalidMessages = 0;
  #gone = false;

  constructor(socket: WebSocket, context: SessionContext, options: SessionOptions = {}) {
    this.#socket = socket;
    this.#context = context;
    this.#options = {
      defaultRole: options.defaultRole ?? 'guest',
      joinTimeoutMs: options.joinTimeoutMs ?? 10_000,
      maxInvalidMessages: options.maxInvalidMessages ?? 20,
      maxPendingRequests: options.maxPendingRequests ?? 64,
      maxBufferedBytes: options.maxBufferedBytes ?? 1_048_576,
    };
    this.#joinTimer = setTimeout(() => {
      this.#shut(signalCloseCodes.policyViolation, 'no join in time');
    }, this.#options.joinTimeoutMs);
    socket.on('message', (data, isBinary) => {
      this.#onMessage(data, isBinary);
    });
    socket.on('close', () => {
      this.#onGone();
    });
    // The frame was too large, not UTF-8, or no WebSocket frame at all; `ws` closes the socket with the fitting code.
    socket.on('error', () => {
      this.#context.onInvalidMessage();
    });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    // A socket that is being closed for its faults gets no more work done.
    if (this.#gone || this.#socket.readyState !== this.#socket.OPEN) return;
    if (isBinary) {
      this.#refuse(null, 'UT_MESSAGE_INVALID', 'Expected a text frame, got a binary one');
      return;
    }
    const parsed = parseRequest(textOf(data));
    if (!parsed.ok) {
      this.#refuse(parsed.id, 'UT_MESSAGE_INVALID', parsed.message);
      return;
    }
    const { request } = parsed;
    if (this.#pendingRequests >= this.#options.maxPendingRequests) {
      const limit = String(this.#options.maxPendingRequests);
      this.#refuse(request.id, 'UT_SERVER_OVERLOADED', `Expected at most ${limit} requests without an answer, got one more`);
      return;
    }
    this.#pendingRequests += 1;
    this.#queue = this.#queue.then(() => this.#serve(request));
  }

  async #serve(request: SignalRequest): Promise<void> {
    try {
      if (this.#gone) return;
      this.#send({ id: request.id, ok: true, data: await this.#handle(request) });
    } catch (error) {
      this.#answerError(request, error);
    } finally {
      this.#pendingRequests -= 1;
    }
  }

  async #handle(request: SignalRequest): Promise<object> {
    if (request.method === 'join') return await this.#join(request.data);
    const { call, participant } = this.#requireJoined();
    switch (request.method) {
      case 'createTransport':
        return await participant.createTransport(request.data.direction);
      case 'connectTransport':
        await participant.connectTransport(request.data.transportId, request.data.dtlsParameters);
        return {};
      case 'restartIce':
        return { iceParameters: await participant.restartIce(request.data.transportId) };
      case 'produce': {
        const { transportId, kind, rtpParameters, source } = request.data;
        // mediasoup checks what the schema leaves open, such as the URIs of header extensions.
        const producer = await participant.produce(transportId, kind, rtpParameters as types.RtpParameters, source);
        return { producerId: producer.producerId };
      }
      case 'closeProducer':
        participant.closeProducer(request.data.producerId);
        return {};
      case 'pauseProducer':
        await participant.setProducerPaused(request.data.producerId, true);
        return {};
      case 'resumeProducer':
        await participant.setProducerPaused(request.data.producerId, false);
        return {};
      case 'consume': {
        const { transportId, producerId, rtpCapabilities } = request.data;
        return await participant.consume(transportId, producerId, rtpCapabilities as types.RtpCapabilities);
      }
      case 'resumeConsumer':
        await participant.resumeConsumer(request.data.consumerId);
        return {};
      case 'setConsent':
        return measurementOf(call.updateParticipant(participant, { consent: request.data.consent }));
      case 'leave':
        this.#leave();
        return {};
    }
  }

  async #join(data: Extract<SignalRequest, { method: 'join' }>['data']): Promise<object> {
    if (this.#joined !== undefined && !this.#joined.participant.closed) {
      throw new UndertoneError('UT_REQUEST_INVALID', 'Expected `leave` before another `join`');
    }
    const claims = await this.#authorise(data.token, data.callId, data.role);
    const { registry } = this.#context;
    this.#joined = await registry.join(
      data.callId,
      {
        participantId: claims.participantId ?? randomUUID(),
        displayName: data.displayName,
        role: claims.role ?? data.role ?? this.#options.defaultRole,
        consent: data.consent,
        notify: (notification) => {
          this.#send(notification);
        },
        onReplaced: () => {
          this.#shut(signalCloseCodes.replaced, 'joined elsewhere');
        },
      },
      () => !this.#gone,
    );
    clearTimeout(this.#joinTimer);
    const { call, participant } = this.#joined;
    return {
      participantId: participant.info.participantId,
      routerRtpCapabilities: call.router.rtpCapabilities,
      participants: call.participants.filter((other) => other !== participant).map((other) => call.viewOf(other)),
      ...measurementOf(call.decisionOn(participant)),
    };
  }

  async #authorise(token: string, callId: string, role: string | undefined): Promise<SignalClaims> {
    let claims: SignalClaims;
    try {
      claims = await this.#context.verifyToken(token);
    } catch (error) {
      this.#countInvalid();
      if (isUndertoneError(error)) throw error;
      throw new UndertoneError('UT_AUTH_TOKEN', 'Expected a valid token, got one that could not be verified', { cause: error });
    }
    if (!claimedIdentity.safeParse(claims).success) {
      this.#countInvalid();
      throw new UndertoneError('UT_AUTH_TOKEN', 'Expected `sub` and `role` of the token to be ids, got something else');
    }
    const fault = scopeFault(claims, callId, role);
    if (fault === undefined) return claims;
    this.#countInvalid();
    throw new UndertoneError('UT_AUTH_SCOPE', fault);
  }

  #requireJoined(): Joined {
    if (this.#joined === undefined || this.#joined.participant.closed) {
      throw new UndertoneError('UT_REQUEST_INVALID', 'Expected `join` before any other request');
    }
    return this.#joined;
  }

  #leave(): void {
    const joined = this.#joined;
    this.#joined = undefined;
    joined?.call.removeParticipant(joined.participant);
  }

  /** Closes the socket; its participant leaves now, not when the other side has answered the close. */
  #shut(code: number, reason: string): void {
    this.#socket.close(code, reason);
    this.#onGone();
  }

  #onGone(): void {
    this.#gone = true;
    clearTimeout(this.#joinTimer);
    this.#leave();
  }

  #answerError(request: SignalRequest, error: unknown): void {
    if (isUndertoneError(error)) {
      this.#send({ id: request.id, ok: false, error: { code: error.code, message: error.message } });
      return;
    }
    // Not a documented failure, so a fault of ours: said in full to the log, and to the client only that it happened.
    this.#context.logger.error({ method: request.method, err: messageOf(error) }, 'A signalling request failed unexpectedly');
    this.#send({
      id: request.id,
      ok: false,
      error: { code: 'UT_MEDIA_FAILED', message: 'Expected the request to succeed, got an internal fault' },
    });
  }

  #refuse(id: number | null, code: ErrorCode, message: string): void {
    this.#send({ id, ok: false, error: { code, message } });
    this.#context.onInvalidMessage();
    this.#countInvalid();
  }

  #countInvalid(): void {
    this.#invalidMessages += 1;
    if (this.#invalidMessages >= this.#options.maxInvalidMessages) {
      this.#shut(signalCloseCodes.policyViolation, 'too many invalid messages');
    }
  }

  #send(message: SignalAnswer | SignalNotification): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    if (this.#socket.bufferedAmount > this.#options.maxBufferedBytes) {
      this.#shut(signalCloseCodes.tryAgainLater, 'reader too slow');
      return;
    }
    this.#socket.send(JSON.stringify(message));
  }
}

function scopeFault(claims: SignalClaims, callId: string, role: string | undefined): string | undefined {
  if (!claims.scopes.has('join')) return 'Expected a token with the scope `join`';
  if (claims.callId !== '*' && claims.callId !== callId) return 'Expected a token for this call, got one for another';
  if (role !== undefined && claims.role !== undefined && role !== claims.role) return 'Expected the role that the token names, got another';
  return undefined;
}

function measurementOf(decision: Decision): { measured: boolean; reason: string } {
  return { measured: decision.allow, reason: decision.reason };
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString('utf8');
  return data instanceof ArrayBuffer ? Buffer.from(data).toString('utf8') : data.toString('utf8');
}
