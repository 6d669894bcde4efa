// One connection that keeps itself alive: token, hello, watchdog, reconnect with back-off.
import type { RetryPolicy } from './backoff.ts';
import { UndertoneClientError } from './errors.ts';
import { closeTokenRefused, protocolName, readServerMessage, type ClientMessage, type ServerMessage } from './protocol.ts';

/** What the client is doing. `closed` is final. */
export type ConnectionStatus = 'connecting' | 'open' | 'reconnecting' | 'closed';

/** A token, or what fetches one; asked before each connection, so that it may be short-lived. */
export type TokenSource = string | (() => Promise<string> | string);

/** The part of a WebSocket that is used: that of browsers, of Node and of `ws` fit. */
export interface WebSocketLike {
  send(data: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: 'open' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  addEventListener(type: 'close', listener: (event: { readonly code: number; readonly reason: string }) => void): void;
}

/** Opens a {@link WebSocketLike}. */
export type WebSocketConstructor = new (url: string, protocol: string) => WebSocketLike;

/** A failed or lost connection, and when the next is tried. */
export interface RetryInfo {
  /** Failures in a row before this one. */
  readonly attempt: number;
  readonly delayMs: number;
  /** WebSocket close code; 0 where there was none. */
  readonly closeCode: number;
  readonly reason: string;
}

/** What a link works with. */
export interface LinkOptions {
  readonly url: string;
  readonly token: TokenSource;
  readonly WebSocket: WebSocketConstructor;
  readonly nextRetryDelayMs: RetryPolicy;
  readonly connectTimeoutMs: number;
  readonly maxTokenRefusals: number;
}

/** Whom a link tells. */
export interface LinkHandlers {
  status(status: ConnectionStatus): void;
  /** Any message but `welcome` and `heartbeat`. */
  message(message: ServerMessage): void;
  retry(info: RetryInfo): void;
  error(error: UndertoneClientError): void;
  /** The link is closed for good; with an error if nobody asked for it. */
  closed(error: UndertoneClientError | null): void;
}

/** A connection that keeps itself alive. */
export interface Link {
  status(): ConnectionStatus;
  /** Sends if the link is open, else gives false. */
  send(message: ClientMessage): boolean;
  close(): Promise<void>;
}

/** Silence after which a link counts as dead, in heartbeats. */
const heartbeatsOfSilence = 2.5;
/** Time for which a link must have been open before its failures count from 0 again, ms. */
const stableMs = 5000;
/** Longest wait for the other side's part of a close, ms. */
const closeTimeoutMs = 1000;

/** Opens a link; it reports to `handlers` from the next microtask on. */
export function openLink(options: LinkOptions, handlers: LinkHandlers): Link {
  let status: ConnectionStatus = 'connecting';
  let socket: WebSocketLike | null = null;
  // Counts connections, so that whatever an abandoned one still reports is told apart.
  let generation = 0;
  let attempt = 0;
  let refusals = 0;
  let openedAtMs: number | null = null;
  let serverError = '';
  let watchdog: Timer | undefined;
  let retryTimer: Timer | undefined;
  let closing: Promise<void> | undefined;
  let onSocketClosed = (): void => undefined;

  const setStatus = (next: ConnectionStatus): void => {
    if (status === next) return;
    status = next;
    handlers.status(next);
  };

  const watch = (timeoutMs: number, reason: string): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => {
      lost(0, reason);
    }, timeoutMs);
  };

  const finish = (error: UndertoneClientError | null): void => {
    if (status === 'closed') return;
    abandon();
    clearTimeout(retryTimer);
    setOnline(false);
    setStatus('closed');
    handlers.closed(error);
  };

  /** Lets go of the present socket: nothing it does counts any more. */
  const abandon = (closeCode = 1000): void => {
    generation += 1;
    clearTimeout(watchdog);
    socket?.close(closeCode);
    socket = null;
  };

  const retry = (closeCode: number, reason: string): void => {
    const delayMs = options.nextRetryDelayMs(attempt);
    if (delayMs === null) {
      finish(new UndertoneClientError('UT_CLIENT_GAVE_UP', `Gave up after ${String(attempt + 1)} failures: ${reason}`));
      return;
    }
    setStatus('reconnecting');
    clearTimeout(retryTimer);
    retryTimer = setTimeout(connect, delayMs);
    handlers.retry({ attempt, delayMs, closeCode, reason });
    attempt += 1;
  };

  const lost = (closeCode: number, reason: string): void => {
    abandon(4000);
    if (openedAtMs !== null && Date.now() - openedAtMs >= stableMs) attempt = 0;
    openedAtMs = null;
    if (closeCode === closeTokenRefused) {
      refusals += 1;
      if (typeof options.token === 'string' || refusals > options.maxTokenRefusals) {
        finish(new UndertoneClientError('UT_AUTH_TOKEN', serverError || reason || 'The server refused the token'));
        return;
      }
    }
    retry(closeCode, serverError || reason || `closed with code ${String(closeCode)}`);
  };

  const receive = (data: unknown): void => {
    let message: ServerMessage | null;
    try {
      message = readServerMessage(data);
    } catch (cause) {
      handlers.error(new UndertoneClientError('UT_CLIENT_PROTOCOL', 'The server sent what is not a message', { cause }));
      lost(0, 'unreadable message');
      return;
    }
    if (message?.type === 'welcome') {
      if (message.protocol !== protocolName) {
        const expected = `Expected the protocol \`${protocolName}\`, got \`${message.protocol}\``;
        finish(new UndertoneClientError('UT_CLIENT_PROTOCOL', expected));
        return;
      }
      silenceMs = message.heartbeatMs * heartbeatsOfSilence;
      openedAtMs = Date.now();
      refusals = 0;
      serverError = '';
      watch(silenceMs, 'no heartbeat');
      setStatus('open');
      return;
    }
    if (status === 'open') watch(silenceMs, 'no heartbeat');
    if (message === null || message.type === 'heartbeat') return;
    // Before the welcome an error tells why the close that follows comes.
    if (message.type === 'error' && status !== 'open') serverError = message.message;
    else handlers.message(message);
  };
  let silenceMs = 0;

  const connect = (): void => {
    const mine = ++generation;
    clearTimeout(retryTimer);
    watch(options.connectTimeoutMs, 'no answer in time');
    fetchToken(options.token).then(
      (token) => {
        if (mine === generation) dial(token);
      },
      (cause: unknown) => {
        if (mine !== generation) return;
        abandon();
        handlers.error(new UndertoneClientError('UT_CLIENT_TOKEN', 'Expected the token function to give a token, got none', { cause }));
        retry(0, 'no token');
      },
    );
  };

  const dial = (token: string): void => {
    const mine = generation;
    let opened: WebSocketLike;
    try {
      opened = new options.WebSocket(options.url, protocolName);
    } catch (cause) {
      finish(new UndertoneClientError('UT_CLIENT_OPTION', `Expected a URL that may be connected to, got \`${options.url}\``, { cause }));
      return;
    }
    socket = opened;
    opened.addEventListener('open', () => {
      if (mine === generation) opened.send(JSON.stringify({ type: 'hello', token } satisfies ClientMessage));
    });
    opened.addEventListener('message', (event) => {
      if (mine === generation) receive(event.data);
    });
    opened.addEventListener('close', (event) => {
      if (mine === generation) lost(event.code, event.reason);
      else onSocketClosed();
    });
    // The close that follows an error says what there is to say; `ws` needs a listener all the same.
    opened.addEventListener('error', () => undefined);
  };

  /** A browser that comes back online need not sit out the wait. */
  const online = (): void => {
    if (status === 'reconnecting' && socket === null) connect();
  };
  const setOnline = (listen: boolean): void => {
    const target = globalThis as { addEventListener?: OnlineTarget; removeEventListener?: OnlineTarget };
    (listen ? target.addEventListener : target.removeEventListener)?.call(globalThis, 'online', online);
  };

  setOnline(true);
  connect();

  return {
    status: () => status,
    send(message) {
      if (status !== 'open' || socket === null) return false;
      socket.send(JSON.stringify(message));
      return true;
    },
    close() {
      closing ??= new Promise((resolve) => {
        if (socket === null) {
          resolve();
        } else {
          const timer = setTimeout(resolve, closeTimeoutMs);
          onSocketClosed = () => {
            clearTimeout(timer);
            resolve();
          };
        }
        finish(null);
      });
      return closing;
    },
  };
}

type Timer = ReturnType<typeof setTimeout>;
type OnlineTarget = (type: string, listener: () => void) => void;

async function fetchToken(source: TokenSource): Promise<string> {
  const token: unknown = typeof source === 'string' ? source : await source();
  if (typeof token !== 'string' || token === '') throw new TypeError('Expected a non-empty string');
  return token;
}
