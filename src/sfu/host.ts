// What the plugin needs of a host's mediasoup, as structural types, so that it attaches to any Router of any version.

/** A codec of a consumer, as mediasoup's `RtpCodecParameters`. */
export interface HostCodec {
  readonly mimeType: string;
  readonly payloadType: number;
  readonly clockRate: number;
  readonly channels?: number | undefined;
}

/** As mediasoup's `RtpParameters`. */
export interface HostRtpParameters {
  readonly codecs: readonly HostCodec[];
  readonly headerExtensions?: readonly { readonly uri: string; readonly id: number }[] | undefined;
}

/** As mediasoup's `Consumer` on a DirectTransport. */
export interface HostConsumer {
  readonly id: string;
  readonly closed: boolean;
  readonly kind: string;
  readonly rtpParameters: HostRtpParameters;
  on(event: 'rtp', listener: (packet: Uint8Array) => void): unknown;
  on(event: 'producerclose' | 'transportclose', listener: () => void): unknown;
  off(event: 'rtp', listener: (packet: Uint8Array) => void): unknown;
  resume(): Promise<void>;
  close(): void;
}

/** As mediasoup's `DirectTransport`. `Capabilities` is whatever the host's router calls its RTP capabilities. */
export interface HostDirectTransport<Capabilities = unknown> {
  readonly closed: boolean;
  consume(options: { producerId: string; rtpCapabilities: Capabilities; paused?: boolean }): Promise<HostConsumer>;
  close(): void;
}

/** As mediasoup's `Router`. */
export interface HostRouter<Capabilities = unknown> {
  readonly id: string;
  readonly closed: boolean;
  readonly rtpCapabilities: Capabilities;
  createDirectTransport(): Promise<HostDirectTransport<Capabilities>>;
}
