// Where a tap's packets come from: a consumer on the router's DirectTransport, or on a transport that sends them to an intake by UDP.
import type { Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { HostConsumer, HostRouter, HostRtpCapabilities, HostTransport } from './host.ts';
import { audioLevelUri } from './media-codecs.ts';
import { mediaFailed } from './media-error.ts';
import type { RtpIntake, TakeRtp } from './rtp-intake.ts';

/** A paused consumer, and its packets. */
export interface TapFeed {
  readonly consumer: HostConsumer;
  /** Hands packets on until what it returns is called. */
  listen(take: TakeRtp): () => void;
  /** Hands on what has come and was not handed on yet. */
  drain(): void;
}

/** How a feed is opened. */
export interface TapFeedOptions {
  readonly clock: Clock;
  readonly intake: RtpIntake | undefined;
  readonly signal: AbortSignal | undefined;
}

/** @throws UndertoneError UT_MEDIA_FAILED where the host's mediasoup refuses or `signal` aborts */
export async function openFeed<Capabilities extends HostRtpCapabilities>(
  router: HostRouter<Capabilities>,
  producerId: string,
  { clock, intake, signal }: TapFeedOptions,
): Promise<TapFeed> {
  throwIfAborted(signal);
  // Paused, so that not one packet is delivered before a listener stands.
  const options = { producerId, rtpCapabilities: tapCapabilities(router.rtpCapabilities), paused: true };
  try {
    const by = (await intake?.transportOf(router)) ?? null;
    if (intake !== undefined && by !== null) {
      throwIfAborted(signal);
      const consumer = await by.transport.consume(options);
      const ssrc = consumer.rtpParameters.encodings?.[0]?.ssrc;
      if (ssrc !== undefined) {
        return {
          consumer,
          listen: (take) => intake.listen(by.port, ssrc, take),
          drain: () => {
            intake.read();
          },
        };
      }
      consumer.close();
    }
    const transport = await directTransportOf(router);
    throwIfAborted(signal);
    return directFeed(await transport.consume(options), clock);
  } catch (error) {
    throw mediaFailed(`a tap on producer \`${producerId}\``, error);
  }
}

/**
 * What a tap receives of what a router offers: every codec, without feedback, for a tap asks for nothing again, and so mediasoup keeps
 * no packet back for it; and of the header extensions the audio level alone.
 */
function tapCapabilities<Capabilities extends HostRtpCapabilities>(offered: Capabilities): Capabilities {
  return {
    ...offered,
    codecs: offered.codecs?.map((codec) => ({ ...codec, rtcpFeedback: [] })),
    headerExtensions: offered.headerExtensions?.filter(({ uri }) => uri === audioLevelUri),
  };
}

function directFeed(consumer: HostConsumer, clock: Clock): TapFeed {
  return {
    consumer,
    listen: (take) => {
      const onRtp = (packet: Uint8Array): void => {
        take(packet, clock.nowMs());
      };
      consumer.on('rtp', onRtp);
      return () => {
        consumer.off('rtp', onRtp);
      };
    },
    // The channel keeps the order of packets and of what else it tells.
    drain: () => undefined,
  };
}

const directTransports = new WeakMap<object, Promise<HostTransport>>();

async function directTransportOf<Capabilities extends HostRtpCapabilities>(
  router: HostRouter<Capabilities>,
): Promise<HostTransport<Capabilities>> {
  const known = directTransports.get(router) as Promise<HostTransport<Capabilities>> | undefined;
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

/** @throws UndertoneError UT_MEDIA_FAILED where it aborts */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected the tap to be wanted still, got an abort');
}
