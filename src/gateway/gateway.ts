// The gateway as one thing: opens timelines of live calls, and serves all calls of the store.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Tokens } from './auth.ts';
import { createHttpHandler, type Readiness, type StaticHandler } from './http.ts';
import type { IngestHost } from './ingest-routes.ts';
import type { TimelineLimits } from './timeline-connection.ts';
import { TimelineServer } from './timeline-server.ts';
import { Timeline, type TimelineOptions } from './timeline.ts';
import type { TimelineStore } from './types.ts';

/** Options of {@link Gateway.create}. */
export interface GatewayOptions {
  /** Stays open when the gateway closes: whoever made it closes it, after the gateway. */
  readonly store: TimelineStore;
  readonly tokens: Tokens;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Names this node in call summaries. */
  readonly nodeId: string;
  /** @default systemClock */
  readonly clock?: Clock;
  /** @default always ready */
  readonly readiness?: () => Readiness | Promise<Readiness>;
  /** Answers paths that are not of the API. */
  readonly staticHandler?: StaticHandler;
  /** Hands out development tokens. @default false */
  readonly development?: boolean;
  /** Takes plain RTP; without one, `/v1/ingest` is no path of this gateway. */
  readonly ingests?: IngestHost;
  readonly limits?: Partial<TimelineLimits>;
  /** Timeline sockets at a time. @default 5000 */
  readonly maxSockets?: number;
  /** How long closing waits for the store to take the ends of calls. @default 1500 */
  readonly closeFlushMs?: number;
}

/** A live call to write a timeline of. */
export type OpenCallOptions = Pick<TimelineOptions, 'callId' | 'purpose' | 'region' | 'startedAtUnixMs' | 'onWritten'>;

/** Writes the timelines of this node's calls, and serves those of every node that shares the store. */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #server: TimelineServer;
  readonly #handle: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  /** Live ones, and ended ones whose end the store does not have yet. */
  readonly #timelines = new Map<string, Timeline>();
  #closed: Promise<void> | undefined;

  private constructor(options: GatewayOptions) {
    this.#options = options;
    const { store, tokens, metrics, logger, staticHandler } = options;
    const readiness = options.readiness ?? (() => ({ ready: true, missing: [] }));
    this.#server = new TimelineServer({
      store,
      tokens,
      metrics,
      logger,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
      ...(options.maxSockets === undefined ? {} : { maxSockets: options.maxSockets }),
    });
    this.#handle = createHttpHandler({
      store,
      tokens,
      metrics,
      logger,
      readiness,
      staticHandler,
      ingests: options.ingests,
      development: options.development ?? false,
    });
  }

  static create(options: GatewayOptions): Gateway {
    return new Gateway(options);
  }

  /**
   * Starts the timeline of a live call. Events may be written at once; `opened` of what is returned settles when the
   * store has the call. Throws UT_REQUEST_INVALID if the call is live on this node.
   */
  openCall(call: OpenCallOptions): Timeline {
    if (this.#closed !== undefined) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected an open gateway, got one that is closing');
    const former = this.#timelines.get(call.callId);
    if (former?.state === 'live') {
      throw new UndertoneError('UT_REQUEST_INVALID', `Expected a call that is not live here, got \`${call.callId}\``);
    }
    const { store, metrics, logger, nodeId, clock = systemClock } = this.#options;
    const after = former === undefined ? {} : { after: former.settled };
    const timeline = new Timeline({ ...call, ...after, store, metrics, logger, node: nodeId, clock });
    this.#timelines.set(call.callId, timeline);
    void timeline.settled.then(() => {
      if (this.#timelines.get(call.callId) === timeline) this.#timelines.delete(call.callId);
    });
    return timeline;
  }

  /** The timeline of a call that is live on this node. */
  timelineOf(callId: string): Timeline | undefined {
    const timeline = this.#timelines.get(callId);
    return timeline?.state === 'live' ? timeline : undefined;
  }

  /** Answers a request; never throws. */
  handleRequest(request: IncomingMessage, response: ServerResponse): void {
    void this.#handle(request, response);
  }

  /** Takes an upgrade to `/v1/timeline` over and returns true; any other is left to the caller. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    return this.#server.handleUpgrade(request, socket, head);
  }

  /** Ends every timeline, waits a little for the store to take that, and closes sockets with 1001. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    const timelines = [...this.#timelines.values()];
    const timer = setTimeout(() => {
      for (const timeline of timelines) timeline.abandon();
    }, this.#options.closeFlushMs ?? 1500);
    await Promise.all(timelines.map((timeline) => timeline.end('shutdown')));
    clearTimeout(timer);
    await this.#server.close();
  }
}
