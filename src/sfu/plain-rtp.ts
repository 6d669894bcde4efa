// Participants of plain RTP: who they are, and their stream as mediasoup wants it described.
import type { types } from 'mediasoup';
import { UndertoneError } from '../errors.ts';
import { audioCodecs, audioLevelUri, isAudioMimeType, telephonySignals } from './media-codecs.ts';
import type { ConsentState } from './types.ts';

/** A participant who sends plain RTP: a simulated caller, or a gateway to a telephone network. */
export interface PlainParticipant {
  readonly callId: string;
  readonly participantId: string;
  /** Told to others in the same call only. */
  readonly displayName: string;
  readonly role: string;
  readonly consent: ConsentState;
  readonly ssrc: number;
  readonly payloadType: number;
  /** `audio/opus`, `audio/PCMU` or `audio/PCMA`, in any case. */
  readonly mimeType: string;
  /** Id of the RFC 6464 audio-level extension in the packets, where there is one. */
  readonly audioLevelExtensionId?: number;
}

/** @throws UndertoneError UT_CODEC_UNSUPPORTED */
export function plainRtpParameters(
  plain: Pick<PlainParticipant, 'mimeType' | 'payloadType' | 'ssrc' | 'audioLevelExtensionId'>,
): types.RtpParameters {
  const mimeType = plain.mimeType.toLowerCase();
  if (!isAudioMimeType(mimeType)) {
    throw new UndertoneError('UT_CODEC_UNSUPPORTED', `Expected a codec of ${Object.keys(audioCodecs).join(', ')}, got \`${mimeType}\``);
  }
  const codec = audioCodecs[mimeType];
  const sound = { mimeType: codec.mimeType, payloadType: plain.payloadType, clockRate: codec.clockRateHz, channels: codec.channels };
  const signals = mimeType === 'audio/opus' ? [] : telephonySignals.filter(({ payloadType }) => payloadType !== plain.payloadType);
  return {
    codecs: [sound, ...signals],
    headerExtensions: plain.audioLevelExtensionId === undefined ? [] : [{ uri: audioLevelUri, id: plain.audioLevelExtensionId }],
    encodings: [{ ssrc: plain.ssrc }],
    rtcp: { cname: `plain-${String(plain.ssrc)}` },
  };
}
