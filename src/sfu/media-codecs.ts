// The codecs of every call: which audio can be measured, and what a Router offers to browsers.
import type { types } from 'mediasoup';

/** Audio codecs that the pipeline decodes, by lower-case MIME type. */
export const audioCodecs = {
  'audio/opus': { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2 },
  'audio/pcmu': { mimeType: 'audio/PCMU', clockRateHz: 8_000, channels: 1 },
  'audio/pcma': { mimeType: 'audio/PCMA', clockRateHz: 8_000, channels: 1 },
} as const;

/** Lower-case MIME type of an audio codec that can be measured. */
export type AudioMimeType = keyof typeof audioCodecs;

/**
 * What telephone exchanges send within a G.711 stream besides sound: comfort noise (RFC 3389) and keys (RFC 4733), by the payload
 * type that they have there. Known to mediasoup, they leave no gap in the sequence of what it hands on.
 */
export const telephonySignals = [
  { mimeType: 'audio/CN', payloadType: 13, clockRate: 8_000 },
  { mimeType: 'audio/telephone-event', payloadType: 101, clockRate: 8_000 },
] as const;

/** Whether a lower-case MIME type names an audio codec that can be measured. */
export function isAudioMimeType(mimeType: string): mimeType is AudioMimeType {
  return Object.hasOwn(audioCodecs, mimeType);
}

/** The URI of the RFC 6464 audio-level header extension. */
export const audioLevelUri = 'urn:ietf:params:rtp-hdrext:ssrc-audio-level';

/** What each call's Router offers. Whether silence is sent is the sender's choice. */
export const routerMediaCodecs: types.RouterRtpCodecCapability[] = [
  { kind: 'audio', mimeType: 'audio/opus', clockRate: 48_000, channels: 2, parameters: { useinbandfec: 1 } },
  { kind: 'audio', mimeType: 'audio/PCMU', clockRate: 8_000, preferredPayloadType: 0 },
  { kind: 'audio', mimeType: 'audio/PCMA', clockRate: 8_000, preferredPayloadType: 8 },
  ...telephonySignals.map(({ mimeType, payloadType, clockRate }) => {
    return { kind: 'audio' as const, mimeType, clockRate, preferredPayloadType: payloadType };
  }),
  { kind: 'video', mimeType: 'video/VP8', clockRate: 90_000 },
  {
    kind: 'video',
    mimeType: 'video/H264',
    clockRate: 90_000,
    parameters: { 'packetization-mode': 1, 'level-asymmetry-allowed': 1, 'profile-level-id': '42e01f' },
  },
];
