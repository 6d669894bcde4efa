// Plain RTP from a telephone exchange: a port for each participant, from the policy's yes to their last packet.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { types } from 'mediasoup';
import type { Observable } from 'rxjs';
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { CallRegistry, Joined } from './call-registry.ts';
import type { SfuEvent } from './events.ts';
import { IngestPorts } from './ingest-ports.ts';
import { IngestWatch, longestLookMs } from './ingest-watch.ts';
import { defaultIngestOptions, ingestCodecs } from './ingest-types.ts';
import type { IngestInfo, IngestOpened, IngestOptions, IngestRequest } from './ingest-types.ts';
import type { PlainEndpoint } from './participant.ts';
import { plainRtpParameters } from './plain-rtp.ts';
import { findSsrc, type SsrcFinder } from './ssrc-finder.ts';
import type { TapManager } from './tap-manager.ts';
import type { ConsentState, Decision } from './types.ts';

/** What {@link Ingests} needs of its server. */
export interface IngestsContext {
  readonly registry: CallRegistry;
  readonly taps: TapManager;
  /** The server's events: they tell when an ingest's participant has left, for whatever reason. */
  readonly events$: Observable<SfuEvent>;
  readonly logger: Logger;
}

interface Ingest {
  readonly ingestId: string;
  readonly request: IngestRequest;
  readonly payloadType: number;
  readonly joined: Joined;
  readonly port: number;
  ssrc: number | null;
  finder: SsrcFinder | undefined;
  endpoint: PlainEndpoint | undefined;
  readonly watch: IngestWatch;
  /** Which of the timer's turns looks after it: not all at once. */
  readonly turn: number;
  released: boolean;
}

/** How often the idle are looked for, in a part of the time that they may be idle. */
const looksPerTimeout = 4;
const turnsPerLook = 8;

/** How often, and how long apart, it is tried to take a port back that mediasoup has just been told to give up. */
const takeBackTries = 20;
const takeBackMs = 50;

/** The ingests of this node. An ingest lives as long as its participant: closing one removes the other. */
export class Ingests {
  readonly #context: IngestsContext;
  readonly #options: IngestOptions;
  readonly #ports: IngestPorts;
  readonly #ingests = new Map<string, Ingest>();
  readonly #timer: NodeJS.Timeout;
  #turn = 0;
  #opening = 0;
  #opened = 0;
  #closed = false;

  constructor(context: IngestsContext, options: Partial<IngestOptions> = {}) {
    this.#context = context;
    this.#options = { ...defaultIngestOptions, ...options };
    this.#ports = new IngestPorts(this.#options);
    context.events$.subscribe((event) => {
      if (event.type === 'participantLeft') this.#onLeft(event.participant);
    });
    const lookMs = Math.min(longestLookMs, this.#options.idleTimeoutMs / looksPerTimeout);
    this.#timer = setInterval(() => {
      this.#turn = (this.#turn + 1) % turnsPerLook;
      for (const ingest of this.#ingests.values()) if (ingest.turn === this.#turn) void this.#check(ingest);
    }, lookMs / turnsPerLook);
    this.#timer.unref();
  }

  /** Those that are open. */
  get list(): readonly IngestInfo[] {
    return [...this.#ingests.values()].map((ingest) => this.#infoOf(ingest));
  }

  get(ingestId: string): IngestInfo | undefined {
    const ingest = this.#ingests.get(ingestId);
    return ingest === undefined ? undefined : this.#infoOf(ingest);
  }

  /**
   * Lets a participant join and opens the port on which they are heard.
   *
   * @throws UndertoneError UT_POLICY_DENIED before anything exists, UT_SERVER_OVERLOADED at a limit or without a free port,
   * UT_REQUEST_INVALID where the participant is in the call already, UT_MEDIA_FAILED where mediasoup refuses.
   */
  async open(request: IngestRequest): Promise<IngestOpened> {
    this.#expectRoom();
    this.#opening += 1;
    try {
      return await this.#open(request);
    } finally {
      this.#opening -= 1;
    }
  }

  /** Takes a new consent into account; where the answer is no, nothing is measured from now on, and the port stays. */
  setConsent(ingestId: string, consent: ConsentState): Decision {
    const ingest = this.#ingests.get(ingestId);
    if (ingest === undefined) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected an open ingest, got one that is closed or unknown');
    const { call, participant } = ingest.joined;
    return call.updateParticipant(participant, { consent });
  }

  /** Closes an ingest; its participant leaves. @returns whether there was one */
  delete(ingestId: string): boolean {
    const ingest = this.#ingests.get(ingestId);
    if (ingest === undefined) return false;
    ingest.joined.call.removeParticipant(ingest.joined.participant);
    return true;
  }

  /** Closes all, and opens none any more. Safe to call twice. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const ingestId of [...this.#ingests.keys()].reverse()) this.delete(ingestId);
  }

  async #open(request: IngestRequest): Promise<IngestOpened> {
    const { callId, participantId, displayName, role, consent, codec, ssrc } = request;
    const { registry, taps } = this.#context;
    const decision = taps.ask({ callId, participantId, role, consent }, registry.infoOf(callId));
    if (!decision.allow) {
      throw new UndertoneError('UT_POLICY_DENIED', `Expected a participant whom the policy allows, got \`${decision.reason}\``);
    }
    const payloadType = request.payloadType ?? ingestCodecs[codec].payloadType;
    const joined = await registry.join(callId, { participantId, displayName, role, consent, notify: () => undefined });
    const ingest = await this.#listen({ request, payloadType, joined }).catch((error: unknown) => {
      joined.call.removeParticipant(joined.participant);
      throw error;
    });
    if (joined.participant.closed || this.#closed) {
      this.#release(ingest);
      joined.call.removeParticipant(joined.participant);
      throw new UndertoneError('UT_MEDIA_FAILED', 'Expected a call that goes on, got one that ended meanwhile', {
        retryable: !this.#closed,
      });
    }
    this.#ingests.set(ingest.ingestId, ingest);
    if (ingest.finder !== undefined) void this.#learn(ingest, ingest.finder);
    const local = request.srtp === undefined || ssrc === undefined ? undefined : ingest.endpoint?.transport.srtpParameters;
    return { ...this.#infoOf(ingest), ...(local === undefined ? {} : { srtp: local }) };
  }

  async #listen(found: Pick<Ingest, 'request' | 'payloadType' | 'joined'>): Promise<Ingest> {
    const { request, payloadType } = found;
    const { callId, participantId, ssrc } = request;
    const { taps } = this.#context;
    const base = {
      ...found,
      ingestId: randomUUID(),
      watch: new IngestWatch(() => taps.packetsOf({ callId, participantId })),
      turn: this.#opened++ % turnsPerLook,
      released: false,
    };
    if (ssrc === undefined) {
      const { port, opened } = await this.#ports.open((at) => findSsrc(this.#options.listenIp, at, payloadType));
      return { ...base, port, ssrc: null, finder: opened, endpoint: undefined };
    }
    const { port, opened } = await this.#ports.open((at) => this.#receive(base, ssrc, at));
    return { ...base, port, ssrc, finder: undefined, endpoint: opened };
  }

  async #receive(ingest: Pick<Ingest, 'request' | 'payloadType' | 'joined'>, ssrc: number, port: number): Promise<PlainEndpoint> {
    const { request, payloadType, joined } = ingest;
    const { mimeType } = ingestCodecs[request.codec];
    const { audioLevelExtensionId: levelId } = request;
    const level = levelId === undefined ? {} : { audioLevelExtensionId: levelId };
    return await joined.participant.producePlain(plainRtpParameters({ mimeType, payloadType, ssrc, ...level }), {
      listenInfo: this.#listenInfo(port),
      rtcpMux: request.rtcpMux ?? true,
      ...(request.srtp === undefined ? {} : { srtp: request.srtp }),
    });
  }

  /** Hands the port over to mediasoup once the stream has a name; the packets of those few milliseconds are lost. */
  async #learn(ingest: Ingest, finder: SsrcFinder): Promise<void> {
    const ssrc = await finder.found;
    try {
      await finder.close();
      if (ingest.released) return;
      ingest.endpoint = await this.#receive(ingest, ssrc, ingest.port);
      ingest.ssrc = ssrc;
      ingest.watch.restart();
    } catch (error) {
      if (ingest.released) return;
      this.#context.logger.error({ ingestId: ingest.ingestId, err: messageOf(error) }, 'An ingest could not take its stream');
      this.delete(ingest.ingestId);
    }
  }

  async #check(ingest: Ingest): Promise<void> {
    const { endpoint, joined, request, watch } = ingest;
    if (watch.looking) return;
    try {
      if (endpoint !== undefined) {
        const { transport, producerId } = endpoint;
        const another = await watch.look({ producer: joined.participant.producer(producerId), transport });
        if (another && request.ssrc === undefined) await this.#learnAnew(ingest);
      }
    } catch (error) {
      // The media is gone, or about to be; its end is told by an event.
      this.#context.logger.debug({ ingestId: ingest.ingestId, err: messageOf(error) }, 'An ingest could not be looked after');
    }
    if (ingest.released || watch.idleMs < this.#options.idleTimeoutMs) return;
    const { callId, participantId } = request;
    this.#context.logger.info({ ingestId: ingest.ingestId, callId, participantId }, 'An ingest was idle and is closed');
    this.delete(ingest.ingestId);
  }

  /**
   * The exchange goes on with another stream (a transfer, a call taken off hold): its name is learned as the first one's was,
   * from the same host alone. The participant stays; their track is a new one.
   */
  async #learnAnew(ingest: Ingest): Promise<void> {
    const { endpoint, port, payloadType } = ingest;
    if (endpoint === undefined) return;
    const fromIp = endpoint.transport.tuple.remoteIp;
    this.#context.logger.info({ ingestId: ingest.ingestId }, 'An ingest is sent another stream and learns its SSRC');
    endpoint.transport.close();
    Object.assign(ingest, { endpoint: undefined, ssrc: null });
    // Somebody is there: they have the time that anybody has to be found.
    ingest.watch.restart();
    for (let tries = 1; !ingest.released; tries += 1) {
      try {
        ingest.finder = await findSsrc(this.#options.listenIp, port, payloadType, fromIp);
        break;
      } catch (error) {
        if (tries === takeBackTries) throw error;
        await sleep(takeBackMs);
      }
    }
    const { finder } = ingest;
    if (ingest.released) await finder?.close();
    else if (finder !== undefined) void this.#learn(ingest, finder);
  }

  #onLeft({ callId, participantId }: { readonly callId: string; readonly participantId: string }): void {
    for (const ingest of this.#ingests.values()) {
      const { request, joined } = ingest;
      if (request.callId === callId && request.participantId === participantId && joined.participant.closed) this.#release(ingest);
    }
  }

  #release(ingest: Ingest): void {
    if (ingest.released) return;
    ingest.released = true;
    this.#ingests.delete(ingest.ingestId);
    const { finder, port } = ingest;
    if (finder === undefined) this.#ports.release(port);
    else {
      void finder.close().then(() => {
        this.#ports.release(port);
      });
    }
  }

  #expectRoom(): void {
    if (this.#closed) throw new UndertoneError('UT_SERVER_OVERLOADED', 'Expected an open server, got one that is shutting down');
    const { maxIngests } = this.#options;
    if (this.#ingests.size + this.#opening < maxIngests) return;
    const message = `Expected at most ${String(maxIngests)} ingests (\`ingest.maxIngests\`), got one more`;
    throw new UndertoneError('UT_SERVER_OVERLOADED', message, { retryable: true });
  }

  #listenInfo(port: number): types.TransportListenInfo {
    const { listenIp, announcedAddress } = this.#options;
    return { protocol: 'udp', ip: listenIp, port, ...(announcedAddress === undefined ? {} : { announcedAddress }) };
  }

  #infoOf({ ingestId, request, payloadType, port, ssrc }: Ingest): IngestInfo {
    const { callId, participantId, codec, rtcpMux = true } = request;
    const ip = this.#options.announcedAddress ?? this.#options.listenIp;
    return { ingestId, callId, participantId, ip, port, ...(rtcpMux ? {} : { rtcpPort: port + 1 }), codec, payloadType, ssrc };
  }
}
