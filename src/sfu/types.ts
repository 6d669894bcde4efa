// What src/sfu hands on: who is in which call, and the raw RTP of the callers who may be measured.
import type { Observable } from 'rxjs';

/** One RTP packet as it came off the wire. `data` may be the host's memory: whoever keeps it until later takes a copy. */
export interface RawRtp {
  readonly data: Uint8Array;
  /** Wall time of arrival, ms since the Unix epoch; for latency figures alone. */
  readonly arrivalMs: number;
}

/** The codec of an audio track, as negotiated. */
export interface TrackCodec {
  /** Lower case: `audio/opus`, `audio/pcmu`, `audio/pcma`. */
  readonly mimeType: string;
  readonly clockRateHz: number;
  readonly channels: number;
  readonly payloadType: number;
}

/** An audio track of one participant; a new producer is a new track. */
export interface TrackInfo {
  readonly callId: string;
  readonly participantId: string;
  /** Unique within the process. */
  readonly trackId: string;
  readonly codec: TrackCodec;
  /** Id of the RFC 6464 audio-level header extension, where negotiated. */
  readonly audioLevelExtensionId?: number;
}

/** Who closed a thing: its owner here, its source (participant, producer), or a fault. */
export type ClosedReason = 'owner' | 'source' | 'error';

/** The RTP of one consenting caller. Exists only after the policy allowed it. */
export interface AudioTap {
  readonly track: TrackInfo;
  /** Hot; completes when the tap closes. Nothing arrives after `close()`. */
  readonly rtp$: Observable<RawRtp>;
  readonly closed: boolean;
  close(reason?: ClosedReason): void;
}

/** A participant's own word on being measured. */
export type ConsentState = 'unknown' | 'granted' | 'denied' | 'withdrawn';

/** What of a participant the policy and the timeline may know. No name. */
export interface ParticipantInfo {
  readonly callId: string;
  readonly participantId: string;
  readonly role: string;
  readonly consent: ConsentState;
}

/** What the call as a whole declares to the policy. */
export interface CallInfo {
  readonly callId: string;
  readonly purpose: string;
  readonly region: string;
}

/** The policy's answer. `reason` is a stable word such as `no-consent`, for events and the audit log. */
export interface Decision {
  readonly allow: boolean;
  readonly reason: string;
}

/** Decides whether a participant may be measured; pure and synchronous. */
export type Decide = (participant: ParticipantInfo, call: CallInfo) => Decision;
