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
  const first = data[0] ?? 0;
  const second = data[1] ?? 0;
  if (first >> 6 !== 2) return 'version';
  let at = fixedHeaderBytes + 4 * (first & 15);
  if (at > data.length) return 'csrc';
  let audioLevelDbov: number | undefined;
  if ((first & 16) !== 0) {
    if (at + 4 > data.length) return 'extension';
    const profile = uint16(data, at);
    const end = at + 4 + 4 * uint16(data, at + 2);
    if (end > data.length) return 'extension';
    if (audioLevelExtensionId !== undefined) audioLevelDbov = readAudioLevel(data.subarray(at + 4, end), profile, audioLevelExtensionId);
    at = end;
  }
  let end = data.length;
  if ((first & 32) !== 0) {
    const paddingBytes = data[data.length - 1] ?? 0;
    end -= paddingBytes;
    if (paddingBytes === 0 || end < at) return 'padding';
  }
  const packet = {
    sequenceNumber: uint16(data, 2),
    timestamp: uint32(data, 4),
    ssrc: uint32(data, 8),
    payloadType: second & 127,
    marker: (second & 128) !== 0,
    payload: data.subarray(at, end),
    arrivalMs: raw.arrivalMs,
  };
  return audioLevelDbov === undefined ? packet : { ...packet, audioLevelDbov };
}

function uint16(data: Uint8Array, at: number): number {
  return ((data[at] ?? 0) << 8) | (data[at + 1] ?? 0);
}

function uint32(data: Uint8Array, at: number): number {
  return ((uint16(data, at) << 16) | uint16(data, at + 2)) >>> 0;
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
