// The media of one stay in a call: mediasoup-client's device, its two transports, what is sent and what comes in.
import { Device, type types } from 'mediasoup-client';
import type { ProducerView, Signaling } from './signaling.ts';

/** A stream from somebody else. */
export interface IncomingMedia {
  readonly participantId: string;
  readonly producerId: string;
  readonly consumerId: string;
  readonly kind: types.MediaKind;
  readonly track: MediaStreamTrack;
}

/** Whom it tells. */
export interface MediaHandlers {
  /** Media flows, or has ceased to and is being mended. */
  flowing(flowing: boolean): void;
  /** Media cannot be mended over this signalling socket. */
  broken(): void;
}

/** The media of one stay. */
export interface Media {
  /** Sends a track; resolves to its producer's id. */
  send(track: MediaStreamTrack, source: ProducerView['source']): Promise<void>;
  /** Stops sending. The track is left as it is. */
  stop(source: ProducerView['source']): void;
  setMuted(muted: boolean): void;
  receive(producerId: string): Promise<IncomingMedia | null>;
  /** Forgets what came of a producer or a consumer. */
  drop(which: { readonly producerId: string } | { readonly consumerId: string }): void;
  close(): void;
}

/** A link that has only stumbled mends itself within this time, ms. */
const patienceMs = 3000;

/** Prepares the device for what the call's router can do. Rejects if the browser has no WebRTC. */
export async function createMedia(
  signaling: Signaling,
  routerRtpCapabilities: types.RtpCapabilities,
  handlers: MediaHandlers,
): Promise<Media> {
  const device = await Device.factory();
  await device.load({ routerRtpCapabilities });
  const producers = new Map<ProducerView['source'], types.Producer>();
  const consumers = new Map<string, types.Consumer>();
  const transports = new Map<'send' | 'recv', Promise<types.Transport>>();
  let closed = false;

  const createTransport = async (direction: 'send' | 'recv'): Promise<types.Transport> => {
    const { transportId, ...parameters } = await signaling.request('createTransport', { direction });
    const options = { id: transportId, ...parameters };
    const transport = direction === 'send' ? device.createSendTransport(options) : device.createRecvTransport(options);
    transport.on('connect', ({ dtlsParameters }, done, failed) => {
      signaling.request('connectTransport', { transportId, dtlsParameters }).then(done, failed);
    });
    transport.on('produce', ({ kind, rtpParameters, appData }, done, failed) => {
      const source = appData['source'] === 'camera' ? 'camera' : 'microphone';
      signaling.request('produce', { transportId, kind, rtpParameters, source }).then(({ producerId }) => {
        done({ id: producerId });
      }, failed);
    });
    watchTransport(transport);
    return transport;
  };
  const transportFor = (direction: 'send' | 'recv'): Promise<types.Transport> => {
    const found = transports.get(direction);
    if (found !== undefined) return found;
    const made = createTransport(direction);
    transports.set(direction, made);
    return made;
  };

  const watchTransport = (transport: types.Transport): void => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const mend = async (): Promise<void> => {
      try {
        const { iceParameters } = await signaling.request('restartIce', { transportId: transport.id });
        await transport.restartIce({ iceParameters });
      } catch {
        if (!closed) handlers.broken();
      }
    };
    transport.on('connectionstatechange', (state) => {
      clearTimeout(timer);
      if (closed) return;
      if (state === 'connected') handlers.flowing(true);
      if (state !== 'failed' && state !== 'disconnected') return;
      handlers.flowing(false);
      timer = setTimeout(() => void mend(), state === 'failed' ? 0 : patienceMs);
    });
  };

  return {
    async send(track, source) {
      const transport = await transportFor('send');
      const producer = await transport.produce({
        track,
        appData: { source },
        stopTracks: false,
        zeroRtpOnPause: true,
        // Most of a call somebody else speaks: with DTX a listener's microphone sends a packet each 400 ms and not each 20.
        ...(source === 'microphone' ? { codecOptions: { opusFec: true, opusDtx: true } } : {}),
      });
      producers.set(source, producer);
    },
    stop(source) {
      const producer = producers.get(source);
      if (producer === undefined) return;
      producers.delete(source);
      producer.close();
      signaling.request('closeProducer', { producerId: producer.id }).catch(() => undefined);
    },
    setMuted(muted) {
      const producer = producers.get('microphone');
      if (producer === undefined || producer.paused === muted) return;
      if (muted) producer.pause();
      else producer.resume();
      signaling.request(muted ? 'pauseProducer' : 'resumeProducer', { producerId: producer.id }).catch(() => undefined);
    },
    async receive(producerId) {
      const transport = await transportFor('recv');
      const answer = await signaling.request('consume', {
        transportId: transport.id,
        producerId,
        rtpCapabilities: device.recvRtpCapabilities,
      });
      const { consumerId, participantId, kind, rtpParameters } = answer;
      const consumer = await transport.consume({ id: consumerId, producerId, kind, rtpParameters });
      if (closed) return null;
      consumers.set(consumerId, consumer);
      await signaling.request('resumeConsumer', { consumerId });
      return { participantId, producerId, consumerId, kind, track: consumer.track };
    },
    drop(which) {
      for (const [consumerId, consumer] of consumers) {
        if ('producerId' in which ? consumer.producerId !== which.producerId : consumerId !== which.consumerId) continue;
        consumers.delete(consumerId);
        consumer.close();
      }
    },
    close() {
      closed = true;
      for (const transport of transports.values()) {
        transport.then(
          (made) => {
            made.close();
          },
          () => undefined,
        );
      }
      transports.clear();
      producers.clear();
      consumers.clear();
    },
  };
}
