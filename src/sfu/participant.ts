// One participant of a call: their transports, producers and consumers, and the limits on them.
import type { types } from 'mediasoup';
import { UndertoneError } from '../errors.ts';
import type { SfuLimits } from './limits.ts';
import { mediaFailed } from './media-error.ts';
import type { Notify, ProducerSource, ProducerView } from './signaling-messages.ts';
import type { ParticipantInfo } from './types.ts';

/** What a participant needs of their call. */
export interface ParticipantCall {
  readonly router: types.Router;
  readonly webRtcServer: types.WebRtcServer;
  readonly limits: SfuLimits;
  /** Finds a producer of another participant. */
  findProducer(producerId: string, except: Participant): { readonly owner: Participant; readonly producer: types.Producer } | undefined;
  onProducerAdded(owner: Participant, producer: ProducerView): void;
  onProducerClosed(owner: Participant, producer: ProducerView): void;
  onProducerPaused(owner: Participant, producerId: string, paused: boolean): void;
}

/** Who is at the other end. */
export interface ParticipantClient {
  readonly displayName: string;
  readonly notify: Notify;
  /** Called where the same participant joined again through another client. */
  readonly onReplaced?: () => void;
}

/** What a client is told of a new transport. */
export interface TransportParameters {
  readonly transportId: string;
  readonly iceParameters: types.IceParameters;
  readonly iceCandidates: readonly types.IceCandidate[];
  readonly dtlsParameters: types.DtlsParameters;
}

/** What a client is told of a new consumer, which starts paused. */
export interface ConsumerParameters {
  readonly consumerId: string;
  readonly producerId: string;
  readonly participantId: string;
  readonly kind: types.MediaKind;
  readonly rtpParameters: types.RtpParameters;
  readonly producerPaused: boolean;
}

/** How plain RTP is received. */
export interface PlainOptions {
  /** Where a port is named, RTCP of its own has the next one. */
  readonly listenInfo: types.TransportListenInfo;
  /** Whether RTCP comes to the same port. @default true */
  readonly rtcpMux?: boolean;
  /** The sender's key; without one, the packets come in the clear. */
  readonly srtp?: types.SrtpParameters;
}

/** Where plain RTP is received. */
export interface PlainEndpoint {
  readonly ip: string;
  readonly port: number;
  readonly transport: types.PlainTransport;
  readonly producerId: string;
}

type Direction = 'send' | 'recv';

interface OwnProducer {
  readonly producer: types.Producer;
  readonly source: ProducerSource;
}

/** Holds one participant's media. Every operation throws UT_REQUEST_INVALID for what is not there, UT_MEDIA_FAILED where mediasoup refuses. */
export class Participant {
  info: ParticipantInfo;
  readonly displayName: string;
  readonly notify: Notify;
  readonly onReplaced: (() => void) | undefined;
  readonly #call: ParticipantCall;
  readonly #transports = new Map<string, { readonly transport: types.WebRtcTransport; readonly direction: Direction }>();
  readonly #plainTransports = new Set<types.PlainTransport>();
  readonly #producers = new Map<string, OwnProducer>();
  readonly #consumers = new Map<string, types.Consumer>();
  #closed = false;

  constructor(info: ParticipantInfo, client: ParticipantClient, call: ParticipantCall) {
    this.info = info;
    this.displayName = client.displayName;
    this.notify = client.notify;
    this.onReplaced = client.onReplaced;
    this.#call = call;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** What others see of this participant's media. */
  get producers(): readonly ProducerView[] {
    return [...this.#producers.values()].map(viewOf);
  }

  /** One of this participant's producers. */
  producer(producerId: string): types.Producer | undefined {
    return this.#producers.get(producerId)?.producer;
  }

  async createTransport(direction: Direction): Promise<TransportParameters> {
    expectBelow('transports', this.#transports.size, this.#call.limits.maxTransportsPerParticipant);
    const transport = await this.#media('a WebRTC transport', () =>
      this.#call.router.createWebRtcTransport({ webRtcServer: this.#call.webRtcServer, enableUdp: true, enableTcp: true, preferUdp: true }),
    );
    this.#transports.set(transport.id, { transport, direction });
    transport.observer.on('close', () => this.#transports.delete(transport.id));
    transport.on('dtlsstatechange', (state) => {
      // The client closed its peer connection, or never was who it said: either way nothing more can come.
      if (state === 'closed' || state === 'failed') transport.close();
    });
    return {
      transportId: transport.id,
      iceParameters: transport.iceParameters,
      iceCandidates: transport.iceCandidates,
      dtlsParameters: transport.dtlsParameters,
    };
  }

  async connectTransport(transportId: string, dtlsParameters: types.DtlsParameters): Promise<void> {
    const { transport } = this.#transport(transportId);
    await this.#media('the transport to connect', () => transport.connect({ dtlsParameters }));
  }

  async restartIce(transportId: string): Promise<types.IceParameters> {
    const { transport } = this.#transport(transportId);
    return await this.#media('ICE to restart', () => transport.restartIce());
  }

  async produce(
    transportId: string,
    kind: types.MediaKind,
    rtpParameters: types.RtpParameters,
    source: ProducerSource,
  ): Promise<ProducerView> {
    const { transport } = this.#transport(transportId, 'send');
    return await this.#produceOn(transport, kind, rtpParameters, source);
  }

  /** Receives plain RTP, from whoever sends the first valid packet to the address that is returned. */
  async producePlain(rtpParameters: types.RtpParameters, options: PlainOptions): Promise<PlainEndpoint> {
    const { listenInfo, rtcpMux = true, srtp } = options;
    const { port } = listenInfo;
    const transport = await this.#media('a plain transport', () =>
      this.#call.router.createPlainTransport({
        listenInfo,
        comedia: true,
        rtcpMux,
        ...(rtcpMux || port === undefined ? {} : { rtcpListenInfo: { ...listenInfo, port: port + 1 } }),
        ...(srtp === undefined ? {} : { enableSrtp: true, srtpCryptoSuite: srtp.cryptoSuite }),
      }),
    );
    this.#plainTransports.add(transport);
    transport.observer.on('close', () => this.#plainTransports.delete(transport));
    try {
      if (srtp !== undefined) await this.#media('the SRTP key', () => transport.connect({ srtpParameters: srtp }));
      const { producerId } = await this.#produceOn(transport, 'audio', rtpParameters, 'microphone');
      return { ip: transport.tuple.localAddress, port: transport.tuple.localPort, transport, producerId };
    } catch (error) {
      transport.close();
      throw error;
    }
  }

  closeProducer(producerId: string): void {
    this.#producer(producerId).producer.close();
  }

  async setProducerPaused(producerId: string, paused: boolean): Promise<void> {
    const { producer } = this.#producer(producerId);
    if (producer.paused === paused) return;
    await this.#media('the producer to change', () => (paused ? producer.pause() : producer.resume()));
    this.#call.onProducerPaused(this, producerId, paused);
  }

  async consume(transportId: string, producerId: string, rtpCapabilities: types.RtpCapabilities): Promise<ConsumerParameters> {
    const { transport } = this.#transport(transportId, 'recv');
    const found = this.#call.findProducer(producerId, this);
    if (found === undefined) throw invalid(`Expected \`producerId\` to be a producer of another participant, got \`${producerId}\``);
    expectBelow('consumers', this.#consumers.size, this.#call.limits.maxConsumersPerParticipant);
    if (!this.#call.router.canConsume({ producerId, rtpCapabilities })) {
      throw invalid(`Expected \`rtpCapabilities\` to include the codec of producer \`${producerId}\``);
    }
    const consumer = await this.#media('a consumer', () => transport.consume({ producerId, rtpCapabilities, paused: true }));
    this.#consumers.set(consumer.id, consumer);
    consumer.observer.on('close', () => this.#consumers.delete(consumer.id));
    consumer.on('producerclose', () => {
      this.notify({ event: 'consumerClosed', data: { consumerId: consumer.id } });
    });
    return {
      consumerId: consumer.id,
      producerId,
      participantId: found.owner.info.participantId,
      kind: consumer.kind,
      rtpParameters: consumer.rtpParameters,
      producerPaused: consumer.producerPaused,
    };
  }

  async resumeConsumer(consumerId: string): Promise<void> {
    const consumer = this.#consumers.get(consumerId);
    if (consumer === undefined) throw invalid(`Expected \`consumerId\` to be one of this participant, got \`${consumerId}\``);
    await this.#media('the consumer to resume', () => consumer.resume());
  }

  /** Closes all media of this participant, transports last to first. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const transport of [...this.#plainTransports].reverse()) transport.close();
    for (const { transport } of [...this.#transports.values()].reverse()) transport.close();
  }

  async #produceOn(
    transport: types.Transport,
    kind: types.MediaKind,
    rtpParameters: types.RtpParameters,
    source: ProducerSource,
  ): Promise<ProducerView> {
    if ((kind === 'audio') !== (source === 'microphone')) {
      throw invalid(`Expected kind and source to be audio and microphone, or video and camera, got \`${kind}\` and \`${source}\``);
    }
    expectBelow('producers', this.#producers.size, this.#call.limits.maxProducersPerParticipant);
    const producer = await this.#media('a producer', () => transport.produce({ kind, rtpParameters }));
    if (producer.closed) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected an open transport, got one that closed meanwhile');
    const own: OwnProducer = { producer, source };
    this.#producers.set(producer.id, own);
    producer.observer.on('close', () => {
      this.#producers.delete(producer.id);
      this.#call.onProducerClosed(this, viewOf(own));
    });
    this.#call.onProducerAdded(this, viewOf(own));
    return viewOf(own);
  }

  /** Runs a media operation; what it made is closed again where the participant left meanwhile. */
  async #media<T>(expected: string, operation: () => Promise<T>): Promise<T> {
    if (this.#closed) throw invalid('Expected a participant of the call, got one who left');
    let result: T;
    try {
      result = await operation();
    } catch (error) {
      throw mediaFailed(expected, error, this.#call.router.closed);
    }
    if (this.closed) {
      if (isClosable(result)) result.close();
      throw invalid('Expected a participant of the call, got one who left meanwhile');
    }
    return result;
  }

  #transport(transportId: string, direction?: Direction): { readonly transport: types.WebRtcTransport } {
    const found = this.#transports.get(transportId);
    if (found === undefined) throw invalid(`Expected \`transportId\` to be one of this participant, got \`${transportId}\``);
    if (direction !== undefined && found.direction !== direction) {
      throw invalid(`Expected a transport of direction \`${direction}\`, got one of \`${found.direction}\``);
    }
    return found;
  }

  #producer(producerId: string): OwnProducer {
    const found = this.#producers.get(producerId);
    if (found === undefined) throw invalid(`Expected \`producerId\` to be one of this participant, got \`${producerId}\``);
    return found;
  }
}

function viewOf({ producer, source }: OwnProducer): ProducerView {
  return { producerId: producer.id, kind: producer.kind, source, paused: producer.paused };
}

function expectBelow(what: string, count: number, limit: number): void {
  if (count >= limit) {
    throw new UndertoneError('UT_SERVER_OVERLOADED', `Expected at most ${String(limit)} ${what} of one participant, got one more`);
  }
}

function invalid(message: string): UndertoneError {
  return new UndertoneError('UT_REQUEST_INVALID', message);
}

function isClosable(value: unknown): value is { close(): void } {
  return typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function';
}
