// The HTTP side of the gateway: health, metrics, calls, timelines, development tokens.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { UndertoneError, isUndertoneError, messageOf } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import { authorize, coversCall, type Claims, type Tokens } from './auth.ts';
import { issueDevToken } from './dev-token.ts';
import { sendError, sendJson, sendText } from './http-answer.ts';
import { createIngestRoutes, type IngestHost } from './ingest-routes.ts';
import type { TimelineStore } from './types.ts';

/** Whether the server can do its work, and what it still waits for. */
export interface Readiness {
  readonly ready: boolean;
  readonly missing: readonly string[];
  /** The inference engine in force, if the host says it. */
  readonly engine?: string;
}

/** Answers what is no route of the API. @returns whether it did */
export type StaticHandler = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** Options of {@link createHttpHandler}. */
export interface HttpOptions {
  readonly store: TimelineStore;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly readiness: () => Readiness | Promise<Readiness>;
  /** Serves `POST /v1/dev/token`. Only where the secret was made for this run, on loopback. */
  readonly development: boolean;
  readonly staticHandler?: StaticHandler | undefined;
  /** Serves `/v1/ingest`. */
  readonly ingests?: IngestHost | undefined;
}

/** @param id what the path names, of a call for instance */
export type Handler = (request: IncomingMessage, response: ServerResponse, url: URL, id: string) => Promise<void>;

/** A path and what answers it. */
export interface Route {
  readonly path: RegExp;
  readonly methods: readonly string[];
  readonly handle: Handler;
}

const defaultLimit = 200;
const maxLimit = 1000;

/** Makes the request handler. It never throws and always answers. */
export function createHttpHandler(options: HttpOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { store, tokens, metrics, logger, staticHandler } = options;
  const get = ['GET', 'HEAD'];
  const routes: Route[] = [
    { path: /^\/healthz$/, methods: get, handle: health },
    { path: /^\/readyz$/, methods: get, handle: ready },
    { path: /^\/metrics$/, methods: get, handle: exposeMetrics },
    { path: /^\/v1\/calls$/, methods: get, handle: listCalls },
    { path: /^\/v1\/calls\/([^/]+)\/timeline$/, methods: get, handle: readTimeline },
  ];
  if (options.ingests !== undefined) routes.push(...createIngestRoutes(options.ingests, claimsOf));
  if (options.development) routes.push({ path: /^\/v1\/dev\/token$/, methods: ['POST'], handle: devToken });

  async function handleRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      await route(request, response);
    } catch (error) {
      if (isUndertoneError(error)) {
        if (error.code === 'UT_MESSAGE_INVALID') metrics.invalidMessages.inc({ channel: 'http' });
        // The rest of a body that is refused is not waited for.
        sendError(response, error, undefined, request.complete ? {} : { Connection: 'close' });
        return;
      }
      logger.error({ error: messageOf(error) }, 'A request could not be served');
      sendError(response, new UndertoneError('UT_SERVER_FAILED', 'The server failed on this request'));
    }
  }

  async function route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request);
    for (const { path, methods, handle } of routes) {
      const match = path.exec(url.pathname);
      if (match === null) continue;
      if (!methods.includes(request.method ?? '')) {
        const error = new UndertoneError(
          'UT_REQUEST_INVALID',
          `Expected the method ${methods.join(' or ')}, got \`${request.method ?? ''}\``,
        );
        sendError(response, error, 405, { Allow: methods.join(', ') });
        return;
      }
      await handle(request, response, url, decodeSegment(match[1] ?? ''));
      return;
    }
    if (!url.pathname.startsWith('/v1/') && (await staticHandler?.(request, response)) === true) return;
    sendError(response, new UndertoneError('UT_REQUEST_INVALID', 'Expected a path that is served here'), 404);
  }

  function health(_request: IncomingMessage, response: ServerResponse): Promise<void> {
    sendJson(response, 200, { status: 'ok' });
    return Promise.resolve();
  }

  async function ready(_request: IncomingMessage, response: ServerResponse): Promise<void> {
    const readiness = await options.readiness();
    // Not as it is: it may be of a host's making.
    const { missing, engine } = readiness;
    sendJson(response, readiness.ready ? 200 : 503, { ready: readiness.ready, missing, ...(engine === undefined ? {} : { engine }) });
  }

  async function exposeMetrics(_request: IncomingMessage, response: ServerResponse): Promise<void> {
    sendText(response, 200, metrics.registry.contentType, await metrics.registry.metrics());
  }

  async function listCalls(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const claims = await claimsOf(request);
    authorize(claims, 'list');
    const calls = await store.calls();
    sendJson(response, 200, { calls: calls.filter((call) => coversCall(claims, call.callId)) });
  }

  async function readTimeline(request: IncomingMessage, response: ServerResponse, url: URL, callId: string): Promise<void> {
    authorize(await claimsOf(request), 'read', callId);
    const after = integerOf(url, 'after', 0, Number.MAX_SAFE_INTEGER, 0);
    const limit = integerOf(url, 'limit', 1, maxLimit, defaultLimit);
    const call = await store.call(callId);
    const page = call === null ? null : await store.read(callId, after, limit);
    if (call === null || page === null) throw new UndertoneError('UT_CALL_UNKNOWN', 'Expected a call that is known here, got another');
    sendJson(response, 200, { call, ...page });
  }

  async function devToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    sendJson(response, 200, await issueDevToken(request, tokens));
  }

  async function claimsOf(request: IncomingMessage): Promise<Claims> {
    const match = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '');
    if (match?.[1] === undefined) throw new UndertoneError('UT_AUTH_TOKEN', 'Expected the header `Authorization: Bearer TOKEN`');
    return await tokens.verify(match[1]);
  }

  return handleRequest;
}

function urlOf(request: IncomingMessage): URL {
  // The base only makes the path a URL; no part of it is used.
  const url = URL.parse(`http://localhost${request.url ?? '/'}`);
  if (url === null) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected a valid request target');
  return url;
}

function decodeSegment(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new UndertoneError('UT_REQUEST_INVALID', 'Expected a path in valid percent-encoding');
  }
}

function integerOf(url: URL, name: string, min: number, max: number, fallback: number): number {
  const text = url.searchParams.get(name);
  if (text === null) return fallback;
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  const got = text.slice(0, 24);
  throw new UndertoneError('UT_MESSAGE_INVALID', `Expected \`${name}\` to be an integer from ${min} to ${max}, got \`${got}\``);
}
