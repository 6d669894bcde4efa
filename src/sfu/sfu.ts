// The stand-alone SFU: workers, calls, signalling and taps behind one facade.
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { types } from 'mediasoup';
import { Subject, type Observable } from 'rxjs';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import { createLogger, type Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { Call } from './call.ts';
import { CallRegistry, type Joined } from './call-registry.ts';
import type { SfuEvent } from './events.ts';
import type { IngestOptions } from './ingest-types.ts';
import { Ingests } from './ingests.ts';
import { defaultLimits, type SfuLimits } from './limits.ts';
import { plainRtpParameters, type PlainParticipant } from './plain-rtp.ts';
import { countEvents } from './sfu-metrics.ts';
import type { RtpIntake } from './rtp-intake.ts';
import { SignalingServer, type SignalingServerOptions } from './signaling-server.ts';
import type { VerifyToken } from './signaling-session.ts';
import { TapManager } from './tap-manager.ts';
import type { CallInfo, ConsentState, Decide, Decision, ParticipantInfo } from './types.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';

/** What an {@link Sfu} is made from. */
export interface SfuOptions {
  /** The policy: asked before a tap exists. */
  readonly decide: Decide;
  /** Checks the token of each `join`. */
  readonly verifyToken: VerifyToken;
  /** @default a silent one */
  readonly logger?: Logger;
  readonly metrics?: Metrics;
  /** @default systemClock */
  readonly clock?: Clock;
  /** By which the packets of taps come; the SFU closes it. @default none: mediasoup's channel */
  readonly intake?: RtpIntake | undefined;
  /** Workers and the addresses that they listen on. */
  readonly workers?: Omit<WorkerPoolOptions, 'logger'>;
  /** What every call declares to the policy. @default { purpose: 'conversation', region: 'EU' } */
  readonly callDefaults?: Omit<CallInfo, 'callId'>;
  /** How long a call is kept after its last participant left, ms. @default 0 */
  readonly emptyCallLingerMs?: number;
  /** @default defaultLimits */
  readonly limits?: Partial<SfuLimits>;
  readonly signaling?: SignalingServerOptions;
  /** Plain RTP from telephone exchanges. Its addresses are those of the workers where it has none of its own. */
  readonly ingest?: Partial<IngestOptions>;
}

/** A mediasoup server with signalling, and a tap on everyone whom the policy allows. */
export class Sfu {
  /** Ports for plain RTP from telephone exchanges. */
  readonly ingests: Ingests;
  readonly #pool: WorkerPool;
  readonly #taps: TapManager;
  readonly #registry: CallRegistry;
  readonly #signaling: SignalingServer;
  readonly #events: Subject<SfuEvent>;
  readonly #intake: RtpIntake | undefined;
  readonly #plainListenInfo: types.TransportListenInfo;
  #closing: Promise<void> | undefined;

  private constructor(options: SfuOptions, pool: WorkerPool) {
    const { decide, clock = systemClock, callDefaults = { purpose: 'conversation', region: 'EU' } } = options;
    const logger = options.logger ?? createLogger('silent');
    const events = new Subject<SfuEvent>();
    const emit = (event: SfuEvent): void => {
      events.next(event);
    };
    this.#pool = pool;
    this.#events = events;
    if (options.metrics !== undefined) countEvents(events, options.metrics);
    logEvents(events, logger);
    this.#intake = options.intake;
    this.#taps = new TapManager({ decide, clock, intake: options.intake });
    this.#taps.events$.subscribe(emit);
    this.#registry = new CallRegistry({
      pool,
      taps: this.#taps,
      limits: { ...defaultLimits, ...options.limits },
      emit,
      callDefaults,
      emptyCallLingerMs: options.emptyCallLingerMs ?? 0,
      clock,
    });
    pool.deaths$.subscribe((dead) => {
      emit({ type: 'workerDied', pid: dead.worker.pid });
      this.#registry.endCallsOn(dead, 'media-worker-died');
    });
    this.#signaling = new SignalingServer(
      {
        registry: this.#registry,
        verifyToken: options.verifyToken,
        logger,
        onInvalidMessage: () => options.metrics?.invalidMessages.inc({ channel: 'signal' }),
      },
      options.signaling,
    );
    const { announcedAddress, listenIp = '127.0.0.1' } = options.workers ?? {};
    const address = announcedAddress === undefined ? {} : { announcedAddress };
    this.#plainListenInfo = { protocol: 'udp', ip: listenIp, ...address };
    const ingestContext = { registry: this.#registry, taps: this.#taps, events$: events, logger };
    this.ingests = new Ingests(ingestContext, { listenIp, ...address, ...options.ingest });
  }

  /** Starts the workers. @throws UndertoneError UT_MEDIA_FAILED where they cannot start. */
  static async create(options: SfuOptions): Promise<Sfu> {
    const pool = await WorkerPool.create({ ...options.workers, ...(options.logger === undefined ? {} : { logger: options.logger }) });
    return new Sfu(options, pool);
  }

  /** Hot; completes when closed. Listeners that must see a call from its start subscribe before the first join. */
  get events$(): Observable<SfuEvent> {
    return this.#events.asObservable();
  }

  /** Whether media can be taken. */
  get ready(): boolean {
    return this.#pool.ready;
  }

  /** Process ids of the media workers. */
  get workerPids(): readonly number[] {
    return this.#pool.pids;
  }

  /** Calls open on this node, and who is in them. */
  get calls(): readonly { readonly call: CallInfo; readonly participants: readonly ParticipantInfo[] }[] {
    return this.#registry.calls.map((call) => ({
      call: call.info,
      participants: call.participants.map((participant) => participant.info),
    }));
  }

  /** The Router of a call, for what else a host does with it: recording, piping, or its own view of what is consumed. */
  router(callId: string): types.Router | undefined {
    return this.#registry.get(callId)?.router;
  }

  /** Takes over an HTTP upgrade of `/v1/signal`. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#signaling.handleUpgrade(request, socket, head);
  }

  /**
   * Adds a participant who sends plain RTP, and resolves to the address to send it to. The first valid RTP packet
   * fixes the sender: packets from elsewhere are ignored afterwards.
   *
   * @throws UndertoneError UT_CODEC_UNSUPPORTED, UT_SERVER_OVERLOADED at a limit, UT_REQUEST_INVALID where the id is
   * taken, UT_MEDIA_FAILED where mediasoup refuses.
   */
  async addPlainParticipant(plain: PlainParticipant): Promise<{ ip: string; port: number }> {
    const rtpParameters = plainRtpParameters(plain);
    const { callId, participantId, displayName, role, consent } = plain;
    const { call, participant } = await this.#registry.join(callId, { participantId, displayName, role, consent, notify: () => undefined });
    try {
      const { ip, port } = await participant.producePlain(rtpParameters, { listenInfo: this.#plainListenInfo });
      return { ip, port };
    } catch (error) {
      call.removeParticipant(participant);
      throw error;
    }
  }

  /** Takes a participant's new consent or role into account. Where measuring ends, nothing is delivered after this returns. */
  updateParticipant(callId: string, participantId: string, change: { readonly consent?: ConsentState; readonly role?: string }): Decision {
    const { call, participant } = this.#find(callId, participantId);
    return call.updateParticipant(participant, change);
  }

  /** Removes a participant and all their media, at once. @throws UndertoneError UT_CALL_UNKNOWN, UT_REQUEST_INVALID */
  removeParticipant(callId: string, participantId: string): void {
    const { call, participant } = this.#find(callId, participantId);
    call.removeParticipant(participant);
  }

  /** Ends a call for everyone in it. @throws UndertoneError UT_CALL_UNKNOWN */
  endCall(callId: string): void {
    this.#call(callId).close('closed');
  }

  /** Ends every call (`shutdown`), closes sockets with 1001 and ends the workers. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#registry.close('shutdown');
    this.ingests.close();
    this.#taps.close();
    this.#intake?.close();
    await Promise.all([this.#signaling.close(), this.#pool.close()]);
    this.#events.complete();
  }

  #call(callId: string): Call {
    const call = this.#registry.get(callId);
    if (call === undefined) throw new UndertoneError('UT_CALL_UNKNOWN', `Expected \`callId\` to be an open call, got \`${callId}\``);
    return call;
  }

  #find(callId: string, participantId: string): Joined {
    const call = this.#call(callId);
    const participant = call.participant(participantId);
    if (participant !== undefined) return { call, participant };
    throw new UndertoneError('UT_REQUEST_INVALID', `Expected \`participantId\` to be in the call, got \`${participantId}\``);
  }
}

function logEvents(events$: Observable<SfuEvent>, logger: Logger): void {
  events$.subscribe((event) => {
    if (event.type === 'callOpened') logger.info({ callId: event.call.callId }, 'Call opened');
    else if (event.type === 'callClosed') logger.info({ callId: event.call.callId, reason: event.reason }, 'Call closed');
    else if (event.type === 'tapFailed') {
      const { callId, participantId } = event.participant;
      logger.warn({ callId, participantId, code: event.error.code, err: event.error.message }, 'A tap could not be opened');
    }
  });
}
