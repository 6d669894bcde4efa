// A tap: the RTP of one audio producer of any host's Router, through one DirectTransport a router.
import { Observable, ReplaySubject, type Subscriber } from 'rxjs';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { HostConsumer, HostDirectTransport, HostRouter } from './host.ts';
import { audioCodecs, audioLevelUri, isAudioMimeType } from './media-codecs.ts';
import { mediaFailed } from './media-error.ts';
import type { AudioTap, ClosedReason, RawRtp, TrackCodec, TrackInfo } from './types.ts';

/** Whose audio a tap carries. */
export type TapOwner = Pick<TrackInfo, 'callId' | 'participantId'>;

/** How a tap is opened. */
export interface OpenTapOptions {
  /** Stamps `arrivalMs`. @default systemClock */
  readonly clock?: Clock;
  /** Gives the tap up before it exists: nothing is consumed, or what was consumed is closed unread. */
  readonly signal?: AbortSignal;
}

/** A tap that also tells who closed it. */
export interface ObservableTap extends AudioTap {
  /** Emits the reason once, also to late subscribers, and completes. */
  readonly closed$: Observable<ClosedReason>;
}

/**
 * Opens a tap on an audio producer of a host's router. No packet is read before `rtp$` is first subscribed to.
 *
 * @throws UndertoneError UT_CODEC_UNSUPPORTED where the producer is not audio that can be decoded, UT_MEDIA_FAILED
 * where the host's mediasoup refuses (an unknown producer, a closed router) or `signal` aborts.
 */
export async function openTap<Capabilities>(
  router: HostRouter<Capabilities>,
  producerId: string,
  owner: TapOwner,
  options: OpenTapOptions = {},
): Promise<ObservableTap> {
  const { clock = systemClock, signal } = options;
  throwIfAborted(signal);
  const consumer = await consume(router, producerId, signal);
  try {
    throwIfAborted(signal);
    if (consumer.closed) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected the producer to be open, got one that closed meanwhile');
    return new RtpTap(consumer, trackOf(consumer, owner), clock);
  } catch (error) {
    consumer.close();
    throw error;
  }
}

class RtpTap implements ObservableTap {
  readonly track: TrackInfo;
  readonly rtp$: Observable<RawRtp>;
  readonly #consumer: HostConsumer;
  /** Told one after another, without a Subject between: this is run for each packet of each caller. */
  #receivers: readonly Subscriber<RawRtp>[] = [];
  readonly #closed$ = new ReplaySubject<ClosedReason>(1);
  readonly #onRtp: (packet: Uint8Array) => void;
  #closed = false;
  #started = false;

  constructor(consumer: HostConsumer, track: TrackInfo, clock: Clock) {
    this.track = track;
    this.#consumer = consumer;
    this.#onRtp = (packet) => {
      const raw: RawRtp = { data: packet, arrivalMs: clock.nowMs() };
      for (const receiver of this.#receivers) receiver.next(raw);
    };
    consumer.on('rtp', this.#onRtp);
    consumer.on('producerclose', () => {
      this.close('source');
    });
    consumer.on('transportclose', () => {
      this.close('error');
    });
    this.rtp$ = new Observable<RawRtp>((subscriber) => {
      if (this.#closed) {
        subscriber.complete();
        return;
      }
      this.#receivers = [...this.#receivers, subscriber];
      this.#start();
      return () => {
        this.#receivers = this.#receivers.filter((receiver) => receiver !== subscriber);
      };
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  get closed$(): Observable<ClosedReason> {
    return this.#closed$.asObservable();
  }

  close(reason: ClosedReason = 'owner'): void {
    if (this.#closed) return;
    this.#closed = true;
    // Before anything else: mediasoup delivers packets that it already read from the worker after close() too.
    this.#consumer.off('rtp', this.#onRtp);
    this.#consumer.close();
    const receivers = this.#receivers;
    this.#receivers = [];
    for (const receiver of receivers) receiver.complete();
    this.#closed$.next(reason);
    this.#closed$.complete();
  }

  #start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#consumer.resume().catch(() => {
      this.close('error');
    });
  }
}

const directTransports = new WeakMap<object, Promise<HostDirectTransport>>();

async function consume<Capabilities>(
  router: HostRouter<Capabilities>,
  producerId: string,
  signal: AbortSignal | undefined,
): Promise<HostConsumer> {
  try {
    const transport = await directTransportOf(router);
    throwIfAborted(signal);
    // Paused, so that not one packet is delivered before a listener stands.
    return await transport.consume({ producerId, rtpCapabilities: router.rtpCapabilities, paused: true });
  } catch (error) {
    throw mediaFailed(`a tap on producer \`${producerId}\``, error);
  }
}

async function directTransportOf<Capabilities>(router: HostRouter<Capabilities>): Promise<HostDirectTransport<Capabilities>> {
  const known = directTransports.get(router) as Promise<HostDirectTransport<Capabilities>> | undefined;
  if (known !== undefined) {
    const transport = await known;
    if (!transport.closed) return transport;
    // Another caller may have replaced it while this one waited.
    if (directTransports.get(router) !== known) return directTransportOf(router);
  }
  const created = router.createDirectTransport();
  directTransports.set(router, created);
  try {
    return await created;
  } catch (error) {
    if (directTransports.get(router) === created) directTransports.delete(router);
    throw error;
  }
}

function trackOf(consumer: HostConsumer, owner: TapOwner): TrackInfo {
  const audioLevel = consumer.rtpParameters.headerExtensions?.find((extension) => extension.uri === audioLevelUri);
  return {
    callId: owner.callId,
    participantId: owner.participantId,
    trackId: consumer.id,
    codec: codecOf(consumer),
    ...(audioLevel === undefined ? {} : { audioLevelExtensionId: audioLevel.id }),
  };
}

function codecOf(consumer: HostConsumer): TrackCodec {
  const codec = consumer.rtpParameters.codecs[0];
  const mimeType = codec?.mimeType.toLowerCase() ?? 'none';
  if (codec === undefined || consumer.kind !== 'audio' || !isAudioMimeType(mimeType)) {
    throw new UndertoneError('UT_CODEC_UNSUPPORTED', `Expected a codec of ${Object.keys(audioCodecs).join(', ')}, got \`${mimeType}\``);
  }
  return { mimeType, clockRateHz: codec.clockRate, channels: codec.channels ?? 1, payloadType: codec.payloadType };
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected the tap to be wanted still, got an abort');
}
