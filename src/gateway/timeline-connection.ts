// One timeline socket: hello, then subscriptions, each message checked and answered in its turn.
import type { Duplex } from 'node:stream';
import type { RawData, WebSocket } from 'ws';
import { UndertoneError, isUndertoneError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { authorize, type Claims, type Tokens } from './auth.ts';
import { Outbox } from './outbox.ts';
import { closeCodes, parseClientMessage, timelineProtocol, type ClientMessage, type Resume } from './protocol.ts';
import { Subscription } from './subscription.ts';
import type { TimelineStore } from './types.ts';

/** Bounds of one socket. */
export interface TimelineLimits {
  /** Time within which the hello must come. @default 5000 */
  readonly helloTimeoutMs: number;
  /** Between two heartbeats; a socket that answers none of three is cut off. @default 15000 */
  readonly heartbeatMs: number;
  /** Messages that are refused before the socket is closed. @default 10 */
  readonly maxInvalidMessages: number;
  /** Calls that one socket may follow. @default 256 */
  readonly maxSubscriptions: number;
  /** Unsent bytes from which on points are coalesced. @default 262144 */
  readonly softLimitBytes: number;
  /** Unsent bytes from which on the reader is too slow. @default 4194304 */
  readonly hardLimitBytes: number;
  /** Time that a reader has to take in the close. @default 3000 */
  readonly closeGraceMs: number;
}

/** What connections share. */
export interface ConnectionContext {
  readonly store: TimelineStore;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly limits: TimelineLimits;
}

/** Messages that may wait before the socket is no longer read. */
const maxQueuedMessages = 32;
const maxMissedBeats = 3;

/** Serves one socket until it closes. */
export class TimelineConnection {
  readonly #socket: WebSocket;
  readonly #context: ConnectionContext;
  readonly #outbox: Outbox;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #helloTimer: NodeJS.Timeout;
  #claims: Claims | undefined;
  #turn: Promise<void> = Promise.resolve();
  #queued = 0;
  #invalid = 0;
  #missedBeats = 0;
  #closed = false;

  /** @param stream what the socket writes to */
  constructor(socket: WebSocket, stream: Duplex, context: ConnectionContext) {
    this.#socket = socket;
    this.#context = context;
    const { softLimitBytes, hardLimitBytes, helloTimeoutMs } = context.limits;
    this.#outbox = new Outbox(socket, { softLimitBytes, hardLimitBytes, stream, onTooSlow: () => this.#endSlowReader() });
    this.#helloTimer = setTimeout(() => this.close(closeCodes.policy, 'no hello in time'), helloTimeoutMs);
    socket.on('message', (data, isBinary) => this.#queue(data, isBinary));
    socket.on('pong', () => (this.#missedBeats = 0));
    // The close that follows says all: ws closes with 1009 and 1007 by itself.
    socket.on('error', (error) => context.logger.debug({ error: error.message }, 'Timeline socket error'));
    socket.on('close', () => this.#release());
  }

  /** Sends a heartbeat, or cuts a dead socket off. */
  beat(): void {
    if (++this.#missedBeats > maxMissedBeats) {
      this.#socket.terminate();
      return;
    }
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping();
    // A reader with a backlog gets enough to see that the link lives.
    if (this.#claims !== undefined && this.#outbox.idle) this.#outbox.send({ type: 'heartbeat' });
  }

  /** Closes the socket, and cuts it off if the reader does not take that in. Safe to call twice. */
  close(code: number, reason: string, graceMs = this.#context.limits.closeGraceMs): void {
    if (this.#closed) return;
    this.#release();
    this.#socket.close(code, reason);
    const timer = setTimeout(() => this.#socket.terminate(), graceMs);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #release(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#helloTimer);
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.#subscriptions.clear();
    this.#outbox.close();
  }

  #endSlowReader(): void {
    this.#context.metrics.slowReaders.inc();
    this.close(closeCodes.tooSlow, 'reader too slow');
  }

  #queue(data: RawData, isBinary: boolean): void {
    this.#missedBeats = 0;
    if (++this.#queued >= maxQueuedMessages) this.#socket.pause();
    this.#turn = this.#turn.then(async () => {
      if (!this.#closed) await this.#answer(data, isBinary);
      if (--this.#queued === 0 && this.#socket.isPaused) this.#socket.resume();
    });
  }

  async #answer(data: RawData, isBinary: boolean): Promise<void> {
    let message: ClientMessage | undefined;
    try {
      if (isBinary) throw new UndertoneError('UT_MESSAGE_INVALID', 'Expected a text message, got a binary one');
      message = parseClientMessage(textOf(data));
      await this.#handle(message);
    } catch (error) {
      this.#refuse(error, message);
    }
  }

  async #handle(message: ClientMessage): Promise<void> {
    if (message.type === 'hello') {
      await this.#welcome(message.token);
      return;
    }
    if (this.#claims === undefined) {
      throw new UndertoneError('UT_MESSAGE_INVALID', `Expected \`hello\` first, got \`${message.type}\``);
    }
    if (message.type === 'subscribe') await this.#subscribe(this.#claims, message.callId, message.resume);
    else this.#unsubscribe(message.callId);
  }

  async #welcome(token: string): Promise<void> {
    if (this.#claims !== undefined) throw new UndertoneError('UT_MESSAGE_INVALID', 'Expected one `hello`, got another');
    this.#claims = await this.#context.tokens.verify(token);
    clearTimeout(this.#helloTimer);
    this.#outbox.send({ type: 'welcome', protocol: timelineProtocol, heartbeatMs: this.#context.limits.heartbeatMs });
  }

  async #subscribe(claims: Claims, callId: string, resume: Resume | undefined): Promise<void> {
    authorize(claims, 'read', callId);
    const { store, logger, limits } = this.#context;
    if (!this.#subscriptions.has(callId) && this.#subscriptions.size >= limits.maxSubscriptions) {
      const message = `Expected at most \`${limits.maxSubscriptions}\` subscriptions on a socket, got one more`;
      throw new UndertoneError('UT_SERVER_OVERLOADED', message);
    }
    this.#drop(callId);
    const subscription = await Subscription.open({ store, outbox: this.#outbox, logger, callId, resume });
    if (this.#closed) subscription.close();
    else this.#subscriptions.set(callId, subscription);
  }

  #unsubscribe(callId: string): void {
    this.#drop(callId);
    this.#outbox.send({ type: 'unsubscribed', callId });
  }

  #drop(callId: string): void {
    this.#subscriptions.get(callId)?.close();
    this.#subscriptions.delete(callId);
  }

  #refuse(error: unknown, message: ClientMessage | undefined): void {
    const { metrics, logger, limits } = this.#context;
    if (!isUndertoneError(error)) {
      logger.error({ error: messageOf(error) }, 'A timeline message could not be served');
      this.#outbox.send({ type: 'error', code: 'UT_SERVER_FAILED', message: 'The server failed on this message' });
      return;
    }
    const callId = message !== undefined && 'callId' in message ? { callId: message.callId } : {};
    this.#outbox.send({ type: 'error', code: error.code, message: error.message, ...callId });
    if (error.code === 'UT_AUTH_TOKEN') {
      this.close(closeCodes.tokenRefused, 'token refused');
      return;
    }
    if (error.code !== 'UT_MESSAGE_INVALID') return;
    metrics.invalidMessages.inc({ channel: 'timeline' });
    if (++this.#invalid >= limits.maxInvalidMessages) this.close(closeCodes.policy, 'too many invalid messages');
  }
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.isBuffer(data) ? data.toString() : Buffer.from(data).toString();
}
