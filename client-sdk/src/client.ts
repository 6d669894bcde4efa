// The client: one link, any number of subscriptions to any number of calls.
import { exponentialBackoff, type RetryPolicy } from './backoff.ts';
import { createEmitter, type Listener } from './emitter.ts';
import { UndertoneClientError } from './errors.ts';
import { openLink, type ConnectionStatus, type RetryInfo, type TokenSource, type WebSocketConstructor } from './link.ts';
import type { ServerMessage } from './protocol.ts';
import { createReader, type Reader, type ReadResult, type SubscribeFrom, type Subscription } from './subscription.ts';

/** Options of {@link connect}. */
export interface ConnectOptions {
  /** The server: `ws:`, `wss:`, `http:` or `https:`. Without a path, `/v1/timeline` is meant. */
  readonly url: string | URL;
  /** A token with scope `read`, or a function that gives one; the function is asked before every connection. */
  readonly token: TokenSource;
  /** The WebSocket class. @default the global one */
  readonly WebSocket?: WebSocketConstructor;
  /** Wait before the next try, ms, or null to give up. @default exponentialBackoff() */
  readonly nextRetryDelayMs?: RetryPolicy;
  /** Longest time from the start of a connection to the server's welcome, ms. @default 10000 */
  readonly connectTimeoutMs?: number;
  /** How many refused tokens in a row a token function may give before the client closes, less one. @default 3 */
  readonly maxTokenRefusals?: number;
}

/** Options of {@link UndertoneClient.subscribe}. */
export interface SubscribeOptions {
  /** Where to begin. @default 'now' */
  readonly from?: SubscribeFrom;
}

/** What a client tells, by name. */
export interface ClientEvents {
  readonly status: ConnectionStatus;
  /** A connection failed or was lost, and when the next is tried. */
  readonly retry: RetryInfo;
  /** What went wrong with the link or the token. What concerns one call goes to its subscription. */
  readonly error: UndertoneClientError;
}

/** A connection to a server's timelines that keeps itself alive. */
export interface UndertoneClient {
  readonly status: ConnectionStatus;
  /** Adds a listener and gives the function that takes it off. */
  on<K extends keyof ClientEvents>(type: K, listener: Listener<ClientEvents[K]>): () => void;
  /** Reads a call's timeline. Works before the link is open. Throws `UT_CLIENT_CLOSED` once the client is closed. */
  subscribe(callId: string, options?: SubscribeOptions): Subscription;
  /** Ends all subscriptions and the link. Safe to call twice. */
  close(): Promise<void>;
}

/** What the server serves one call with: the readers of that call share it. */
interface Feed {
  readonly callId: string;
  readonly readers: Set<Reader>;
  /** Whether the server has been asked for it on this link. */
  asked: boolean;
  /** Requests that `subscribed` has not answered yet. */
  unanswered: number;
  /** Whether the last request named a position. */
  resumed: boolean;
  /** Refusals in a row. */
  attempt: number;
  retryTimer: ReturnType<typeof setTimeout> | undefined;
}

/** Refusals that trying again cannot mend. */
const finalRefusals = new Set(['UT_AUTH_SCOPE', 'UT_AUTH_TOKEN', 'UT_CALL_UNKNOWN', 'UT_MESSAGE_INVALID', 'UT_REQUEST_INVALID']);

/**
 * Connects to an Undertone server. Returns at once; `status` tells how it goes. Throws `UT_CLIENT_OPTION`.
 *
 * @example
 * const client = connect({ url: 'wss://voice.example', token: () => fetchToken() });
 * client.subscribe('support-42').on('point', (point) => show(point.participantId, point.label, point.confidence));
 */
export function connect(options: ConnectOptions): UndertoneClient {
  const emitter = createEmitter<ClientEvents>();
  const nextRetryDelayMs = options.nextRetryDelayMs ?? exponentialBackoff();
  const feeds = new Map<string, Feed>();
  const dirty = new Set<Feed>();

  const flush = (): void => {
    for (const feed of dirty) ask(feed);
    dirty.clear();
  };
  /** Readers that come in one go are asked for in one go. */
  const flushSoon = (feed: Feed): void => {
    if (dirty.size === 0) queueMicrotask(flush);
    dirty.add(feed);
  };

  const ask = (feed: Feed): void => {
    clearTimeout(feed.retryTimer);
    const { callId } = feed;
    if (feed.readers.size === 0) {
      if (feeds.get(callId) === feed) feeds.delete(callId);
      if (feed.asked) link.send({ type: 'unsubscribe', callId });
      return;
    }
    const resume = earliest([...feed.readers].map((reader) => reader.resume()));
    // A second request takes the first one's place at the server.
    if (!link.send(resume === null ? { type: 'subscribe', callId } : { type: 'subscribe', callId, resume })) return;
    feed.asked = true;
    feed.unanswered += 1;
    feed.resumed = resume !== null;
  };

  const refuse = (feed: Feed, error: UndertoneClientError): void => {
    feed.unanswered = Math.max(0, feed.unanswered - 1);
    const delayMs = finalRefusals.has(error.code) ? null : nextRetryDelayMs(feed.attempt++);
    if (delayMs === null) {
      feeds.delete(feed.callId);
      for (const reader of feed.readers) reader.close(error);
      return;
    }
    for (const reader of feed.readers) reader.error(error);
    clearTimeout(feed.retryTimer);
    feed.retryTimer = setTimeout(() => {
      ask(feed);
    }, delayMs);
  };

  /** Hands something to each reader of a call; a reader that finds events missing has them sent again. */
  const deliver = (callId: string, hand: (reader: Reader) => ReadResult): void => {
    const feed = feeds.get(callId);
    if (feed === undefined) return;
    let gap = false;
    for (const reader of [...feed.readers]) gap = hand(reader) === 'gap' || gap;
    if (gap && feed.unanswered === 0) flushSoon(feed);
  };

  const receive = (message: ServerMessage): void => {
    switch (message.type) {
      case 'subscribed': {
        const feed = feeds.get(message.call.callId);
        // Only the answer to the last request speaks of what will follow.
        if (feed === undefined || --feed.unanswered > 0) return;
        feed.unanswered = 0;
        feed.attempt = 0;
        for (const reader of [...feed.readers]) reader.subscribed(message.call, message.nextSeq, feed.resumed);
        return;
      }
      case 'event':
        deliver(message.event.callId, (reader) => reader.event(message.event));
        return;
      case 'skipped': {
        const { callId, fromSeq, toSeq } = message;
        deliver(callId, (reader) => reader.skipped({ callId, fromSeq, toSeq }));
        return;
      }
      case 'resync': {
        const { callId, epoch, nextSeq, reason } = message;
        for (const reader of feeds.get(callId)?.readers ?? []) reader.resync({ callId, epoch, nextSeq, reason });
        return;
      }
      case 'error': {
        const { code, callId } = message;
        const error = new UndertoneClientError(code, message.message, callId === undefined ? {} : { callId });
        const feed = callId === undefined ? undefined : feeds.get(callId);
        if (feed === undefined) emitter.emit('error', error);
        else refuse(feed, error);
        return;
      }
      default:
        return;
    }
  };

  const link = openLink(
    {
      url: timelineUrl(options.url),
      token: checkToken(options.token),
      WebSocket: options.WebSocket ?? globalWebSocket(),
      nextRetryDelayMs,
      connectTimeoutMs: options.connectTimeoutMs ?? 10_000,
      maxTokenRefusals: options.maxTokenRefusals ?? 3,
    },
    {
      status(status) {
        for (const feed of feeds.values()) {
          feed.asked = false;
          feed.unanswered = 0;
          clearTimeout(feed.retryTimer);
          if (status === 'open') flushSoon(feed);
        }
        emitter.emit('status', status);
      },
      message: receive,
      retry(info) {
        emitter.emit('retry', info);
      },
      error(error) {
        emitter.emit('error', error);
      },
      closed(error) {
        if (error !== null) emitter.emit('error', error);
        for (const feed of feeds.values()) for (const reader of feed.readers) reader.close(error);
        feeds.clear();
        dirty.clear();
        emitter.clear();
      },
    },
  );

  return {
    get status() {
      return link.status();
    },
    on: (type, listener) => emitter.on(type, listener),
    subscribe(callId, { from = 'now' } = {}) {
      if (link.status() === 'closed') throw new UndertoneClientError('UT_CLIENT_CLOSED', 'Expected an open client, got a closed one');
      if (callId === '') throw new UndertoneClientError('UT_CLIENT_OPTION', 'Expected `callId` to be a non-empty string, got ``');
      let feed = feeds.get(callId);
      if (feed === undefined) {
        feed = { callId, readers: new Set(), asked: false, unanswered: 0, resumed: false, attempt: 0, retryTimer: undefined };
        feeds.set(callId, feed);
      }
      const shared = feed;
      const reader = createReader(callId, from, () => {
        shared.readers.delete(reader);
        if (shared.readers.size === 0) flushSoon(shared);
      });
      shared.readers.add(reader);
      flushSoon(shared);
      return reader.handle;
    },
    close: () => link.close(),
  };
}

type Resume = ReturnType<Reader['resume']>;

/** The earliest of what readers of one call need; null if all of them mean "now". */
function earliest(positions: readonly Resume[]): Resume {
  let found: Resume = null;
  for (const position of positions) {
    if (position === null) continue;
    // Of another epoch than the rest: the whole timeline suits all, for each reader drops what it has seen.
    if (found !== null && epochOf(found) !== epochOf(position)) return { seq: 0 };
    if (found === null || position.seq < found.seq) found = position;
  }
  return found;
}

function epochOf(position: NonNullable<Resume>): string | undefined {
  return 'epoch' in position ? position.epoch : undefined;
}

function timelineUrl(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new UndertoneClientError('UT_CLIENT_OPTION', `Expected \`url\` to be an absolute URL, got \`${String(url)}\``);
  }
  const protocol = { 'http:': 'ws:', 'https:': 'wss:', 'ws:': 'ws:', 'wss:': 'wss:' }[parsed.protocol];
  if (protocol === undefined) {
    throw new UndertoneClientError('UT_CLIENT_OPTION', `Expected \`url\` to be of ws, wss, http or https, got \`${parsed.protocol}\``);
  }
  parsed.protocol = protocol;
  parsed.hash = '';
  if (parsed.pathname === '/') parsed.pathname = '/v1/timeline';
  return parsed.href;
}

function checkToken(token: unknown): TokenSource {
  if (typeof token === 'function' || (typeof token === 'string' && token !== '')) return token as TokenSource;
  throw new UndertoneClientError('UT_CLIENT_OPTION', 'Expected `token` to be a non-empty string or a function');
}

function globalWebSocket(): WebSocketConstructor {
  const { WebSocket } = globalThis as { WebSocket?: WebSocketConstructor };
  if (WebSocket !== undefined) return WebSocket;
  throw new UndertoneClientError('UT_CLIENT_OPTION', 'Expected `WebSocket` to be given where there is no global one');
}
