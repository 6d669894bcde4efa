// What a telephone exchange asks of an ingest, and what it is told.
import type { types } from 'mediasoup';
import type { ConsentState } from './types.ts';

/** Codecs that an ingest takes, and the payload type that each has where none is named. */
export const ingestCodecs = {
  /** 107 is Asterisk's own. */
  opus: { mimeType: 'audio/opus', payloadType: 107 },
  pcmu: { mimeType: 'audio/pcmu', payloadType: 0 },
  pcma: { mimeType: 'audio/pcma', payloadType: 8 },
} as const;

/** Who will be heard, and how their audio comes. */
export interface IngestRequest {
  readonly callId: string;
  readonly participantId: string;
  /** Told to others in the same call only. */
  readonly displayName: string;
  readonly role: string;
  readonly consent: ConsentState;
  readonly codec: keyof typeof ingestCodecs;
  /** Left out, it is learned from the first packet. */
  readonly ssrc?: number;
  readonly payloadType?: number;
  /** Id of the audio level (RFC 6464) among the packets' header extensions, where they have one. */
  readonly audioLevelExtensionId?: number;
  /** Whether RTCP, if any, comes to the same port. Without, `ssrc` is needed. @default true */
  readonly rtcpMux?: boolean;
  /** The sender's key. */
  readonly srtp?: types.SrtpParameters;
}

/** An open ingest. */
export interface IngestInfo {
  readonly ingestId: string;
  readonly callId: string;
  readonly participantId: string;
  readonly ip: string;
  readonly port: number;
  /** Where RTCP does not come to `port`. */
  readonly rtcpPort?: number;
  readonly codec: keyof typeof ingestCodecs;
  readonly payloadType: number;
  /** Null until the first packet has told it. */
  readonly ssrc: number | null;
}

/** Answer to a new ingest. `srtp` is the key of what the server sends, which is RTCP alone; known where `ssrc` was given. */
export type IngestOpened = IngestInfo & { readonly srtp?: types.SrtpParameters };

/** Where ingests listen, and how many there may be. */
export interface IngestOptions {
  /** Ingests open on this node. @default 64 */
  readonly maxIngests: number;
  /** Without a packet of its stream for so long, an ingest is closed and its participant leaves. @default 30000 */
  readonly idleTimeoutMs: number;
  /** @default 61000 */
  readonly portMin: number;
  /** @default 61999 */
  readonly portMax: number;
  /** @default '127.0.0.1' */
  readonly listenIp: string;
  /** Address that senders are told instead. */
  readonly announcedAddress?: string;
}

/** What holds where nothing else is configured. */
export const defaultIngestOptions: IngestOptions = {
  maxIngests: 64,
  idleTimeoutMs: 30_000,
  portMin: 61_000,
  portMax: 61_999,
  listenIp: '127.0.0.1',
};
