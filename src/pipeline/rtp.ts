// Parses RTP packets: RFC 3550 header, RFC 8285 header extensions, RFC 6464 audio level.
import type { RawRtp } from '../sfu/types.ts';
import type { RtpPacket } from './types.ts';

/** Why bytes are not an RTP packet: the part of it that does not fit. */
export type RtpFault = 'short' | 'version' | 'csrc' | 'extension' | 'padding';

const fixedHeaderBytes = 12;
const oneByteProfile = 0xbede;
const twoByteProfile = 0x100;

/**
 * Parses one packet. Never throws: anything that is not RTP gives a word that says what is wrong. The packet's
 * `payload` is a view of `raw.data`, without header extensions and padding; it may be empty.
 */
export function parseRtp(raw: RawRtp, audioLevelExtensionId?: number): RtpPacket | RtpFault {
  const { data } = raw;
  if (data.length < fixedHeaderBytes) return 'short';
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const first = view.getUint8(0);
  const second = view.getUint8(1);
  if (first >> 6 !== 2) return 'version';
  let at = fixedHeaderBytes + 4 * (first & 15);
  if (at > data.length) return 'csrc';
  let audioLevelDbov: number | undefined;
  if ((first & 16) !== 0) {
    if (at + 4 > data.length) return 'extension';
    const profile = view.getUint16(at);
    const end = at + 4 + 4 * view.getUint16(at + 2);
    if (end > data.length) return 'extension';
    if (audioLevelExtensionId !== undefined) audioLevelDbov = readAudioLevel(data.subarray(at + 4, end), profile, audioLevelExtensionId);
    at = end;
  }
  let end = data.length;
  if ((first & 32) !== 0) {
    const paddingBytes = view.getUint8(data.length - 1);
    end -= paddingBytes;
    if (paddingBytes === 0 || end < at) return 'padding';
  }
  return {
    sequenceNumber: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    payloadType: second & 127,
    marker: (second & 128) !== 0,
    payload: data.subarray(at, end),
    arrivalMs: raw.arrivalMs,
    ...(audioLevelDbov === undefined ? {} : { audioLevelDbov }),
  };
}

/** The level in the extension of that id; undefined where there is none. Elements that do not fit are passed over, as RFC 8285 asks. */
function readAudioLevel(elements: Uint8Array, profile: number, id: number): number | undefined {
  const oneByte = profile === oneByteProfile;
  if (!oneByte && profile >> 4 !== twoByteProfile) return undefined;
  for (let at = 0; at < elements.length;) {
    const head = elements[at++] ?? 0;
    const elementId = oneByte ? head >> 4 : head;
    // In the one-byte form a padding byte is 0, and id 15 ends the block.
    if (elementId === 0) continue;
    if (oneByte && elementId === 15) return undefined;
    const length = oneByte ? (head & 15) + 1 : (elements[at++] ?? 0);
    const level = elements[at];
    if (elementId === id) return level === undefined || length < 1 ? undefined : 0 - (level & 127);
    at += length;
  }
  return undefined;
}
