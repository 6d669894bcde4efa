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
  readonly encodings?: readonly { readonly ssrc?: number | undefined }[] | undefined;
  readonly headerExtensions?: readonly { readonly uri: string; readonly id: number }[] | undefined;
}

/** What is changed of mediasoup's `RtpCapabilities` for a tap. */
export interface HostRtpCapabilities {
  readonly codecs?: readonly object[] | undefined;
  readonly headerExtensions?: readonly { readonly uri: string }[] | undefined;
}

/** As mediasoup's `Consumer`; only those on a DirectTransport emit `rtp`. */
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

/** What of any of mediasoup's transports is used. `Capabilities` is whatever the host's router calls its RTP capabilities. */
export interface HostTransport<Capabilities = HostRtpCapabilities> {
  readonly closed: boolean;
  consume(options: { producerId: string; rtpCapabilities: Capabilities; paused?: boolean }): Promise<HostConsumer>;
  close(): void;
}

/** As mediasoup's `PlainTransport`. */
export interface HostPlainTransport<Capabilities = HostRtpCapabilities> extends HostTransport<Capabilities> {
  readonly tuple: { readonly localPort: number };
  readonly observer: { on(event: 'close', listener: () => void): unknown };
  connect(remote: { ip: string; port: number }): Promise<void>;
}

/** How a {@link HostPlainTransport} is made. */
export interface HostPlainTransportOptions {
  readonly listenInfo: {
    readonly protocol: 'udp';
    readonly ip: string;
    readonly portRange: { readonly min: number; readonly max: number };
  };
  readonly rtcpMux: boolean;
  readonly comedia: boolean;
}

/** As mediasoup's `Router`. */
export interface HostRouter<Capabilities = HostRtpCapabilities> {
  readonly id: string;
  readonly closed: boolean;
  readonly rtpCapabilities: Capabilities;
  createDirectTransport(): Promise<HostTransport<Capabilities>>;
  /** Asked for by a host that gives taps an intake of their own, see rtp-intake.ts. */
  createPlainTransport?(options: HostPlainTransportOptions): Promise<HostPlainTransport<Capabilities>>;
}
