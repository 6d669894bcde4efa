// A tap: the RTP of one audio producer of any host's Router.
import { Observable, ReplaySubject, type Subscriber } from 'rxjs';
import { systemClock, type Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { HostConsumer, HostRouter, HostRtpCapabilities } from './host.ts';
import { audioCodecs, audioLevelUri, isAudioMimeType } from './media-codecs.ts';
import type { RtpIntake, TakeRtp } from './rtp-intake.ts';
import { openFeed, throwIfAborted, type TapFeed } from './tap-feed.ts';
import type { AudioTap, ClosedReason, RawRtp, TrackCodec, TrackInfo } from './types.ts';

/** Whose audio a tap carries. */
export type TapOwner = Pick<TrackInfo, 'callId' | 'participantId'>;

/** How a tap is opened. */
export interface OpenTapOptions {
  /** Stamps `arrivalMs`. @default systemClock */
  readonly clock?: Clock;
  /** By which the packets come. @default none: mediasoup's channel, which takes no socket */
  readonly intake?: RtpIntake | undefined;
  /** Gives the tap up before it exists: nothing is consumed, or what was consumed is closed unread. */
  readonly signal?: AbortSignal;
}

/** A tap that also tells who closed it. */
export interface ObservableTap extends AudioTap {
  /** Packets handed on so far. */
  readonly packets: number;
  /** Emits the reason once, also to late subscribers, and completes. */
  readonly closed$: Observable<ClosedReason>;
}

/**
 * Opens a tap on an audio producer of a host's router. No packet is read before `rtp$` is first subscribed to.
 *
 * @throws UndertoneError UT_CODEC_UNSUPPORTED where the producer is not audio that can be decoded, UT_MEDIA_FAILED
 * where the host's mediasoup refuses (an unknown producer, a closed router) or `signal` aborts.
 */
export async function openTap<Capabilities extends HostRtpCapabilities>(
  router: HostRouter<Capabilities>,
  producerId: string,
  owner: TapOwner,
  options: OpenTapOptions = {},
): Promise<ObservableTap> {
  const { clock = systemClock, intake, signal } = options;
  const feed = await openFeed(router, producerId, { clock, intake, signal });
  const { consumer } = feed;
  try {
    throwIfAborted(signal);
    if (consumer.closed) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected the producer to be open, got one that closed meanwhile');
    return new RtpTap(feed, trackOf(consumer, owner));
  } catch (error) {
    consumer.close();
    throw error;
  }
}

class RtpTap implements ObservableTap {
  readonly track: TrackInfo;
  readonly rtp$: Observable<RawRtp>;
  readonly #feed: TapFeed;
  /** Told one after another, without a Subject between: this is run for each packet of each caller. */
  #receivers: readonly Subscriber<RawRtp>[] = [];
  readonly #closed$ = new ReplaySubject<ClosedReason>(1);
  readonly #stopListening: () => void;
  #packets = 0;
  #closed = false;
  #started = false;

  constructor(feed: TapFeed, track: TrackInfo) {
    this.track = track;
    this.#feed = feed;
    this.#stopListening = feed.listen(this.#take);
    feed.consumer.on('producerclose', () => {
      feed.drain();
      this.close('source');
    });
    feed.consumer.on('transportclose', () => {
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

  get packets(): number {
    return this.#packets;
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
    this.#stopListening();
    this.#feed.consumer.close();
    const receivers = this.#receivers;
    this.#receivers = [];
    for (const receiver of receivers) receiver.complete();
    this.#closed$.next(reason);
    this.#closed$.complete();
  }

  readonly #take: TakeRtp = (data, arrivalMs) => {
    this.#packets += 1;
    const raw: RawRtp = { data, arrivalMs };
    for (const receiver of this.#receivers) receiver.next(raw);
  };

  #start(): void {
    if (this.#started || this.#closed) return;
    this.#started = true;
    this.#feed.consumer.resume().catch(() => {
      this.close('error');
    });
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
