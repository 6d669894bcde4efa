// Reads the table-of-contents byte and the framing of an Opus packet (RFC 6716, sections 3.1 and 3.2).

/** What an Opus packet says of itself. */
export interface OpusPacketInfo {
  /** 0 to 31, the top five bits of the TOC byte. */
  readonly config: number;
  readonly mode: 'silk' | 'hybrid' | 'celt';
  readonly bandwidth: 'narrow' | 'medium' | 'wide' | 'super-wide' | 'full';
  readonly stereo: boolean;
  /** 1 to 48. */
  readonly frameCount: number;
  /** Samples of one frame at 16 kHz: 40 (2.5 ms) to 960 (60 ms). */
  readonly frameSamples: number;
  /** Samples of the whole packet at 16 kHz, 1920 (120 ms) at most. */
  readonly sampleCount: number;
}

/** Longest packet that RFC 6716 allows, 120 ms at 16 kHz. */
export const maxOpusPacketSamples = 1920;

/** Longest frame of SILK, of which up to three are in a frame of Opus: 20 ms at 16 kHz. */
const silkFrameSamples = 320;

/** Longest frame in bytes (RFC 6716, requirement R2). */
const maxFrameBytes = 1275;

/** Reads an Opus packet; null where it breaks one of the requirements R1 to R7 of RFC 6716, section 3.4. */
export function parseOpusPacket(payload: Uint8Array): OpusPacketInfo | null {
  const toc = payload[0];
  if (toc === undefined) return null;
  const frameCount = validFrameCount(toc & 3, payload);
  // As a rule a packet holds one frame, and is looked at by several stages.
  if (frameCount === 1) return (single[toc] ??= infoOf(toc, 1));
  return frameCount === 0 || frameCount * opusFrameSamples(toc) > maxOpusPacketSamples ? null : infoOf(toc, frameCount);
}

/** What packets of one frame say, by their TOC byte. */
const single: OpusPacketInfo[] = [];

function infoOf(toc: number, frameCount: number): OpusPacketInfo {
  const config = toc >> 3;
  const frameSamples = opusFrameSamples(toc);
  return { config, ...kindOf(config), stereo: (toc & 4) !== 0, frameCount, frameSamples, sampleCount: frameCount * frameSamples };
}

/** Samples at 16 kHz of one frame of a packet with this TOC byte. */
export function opusFrameSamples(toc: number): number {
  const config = (toc >> 3) & 31;
  if (config >= 16) return 40 << (config & 3);
  if (config >= 12) return 160 << (config & 1);
  return (config & 3) === 3 ? 960 : 160 << (config & 3);
}

/**
 * Samples at 16 kHz of the media just before this packet that its in-band FEC holds (LBRR of its first frame, RFC 6716,
 * section 4.2.4); 0 where it holds none or is not valid. Of a stereo packet the mid channel counts, which is what is heard
 * in mono.
 */
export function opusFecSamples(payload: Uint8Array): number {
  const info = parseOpusPacket(payload);
  if (info === null || info.mode === 'celt') return 0;
  const first = payload[firstFrameAt(payload)] ?? 0;
  return ((first >> (7 - silkFramesOf(info))) & 1) === 1 ? info.frameSamples : 0;
}

/**
 * Whether the encoder heard a voice in this packet, by the voice bits of its SILK frames (RFC 6716, section 4.2.3); null
 * where it does not say: CELT has no such bits, and those of several frames or of a stereo pair are not looked for.
 */
export function opusVoiceActivity(payload: Uint8Array): boolean | null {
  const info = parseOpusPacket(payload);
  if (info === null || info.mode === 'celt' || info.stereo || info.frameCount > 1) return null;
  const first = payload[firstFrameAt(payload)];
  return first === undefined ? null : first >> (8 - silkFramesOf(info)) !== 0;
}

/**
 * Whether a packet is CELT's digital silence: one frame whose first bit says that it holds nothing but zeros (RFC 6716, section 4.3,
 * `silence`). Its odds are one in 2^15, so the range coder has it in the first 15 bits of the frame, all ones. That is what Opus makes of a
 * microphone that is off, unless it is in SILK.
 */
export function isOpusDigitalSilence(payload: Uint8Array): boolean {
  const info = parseOpusPacket(payload);
  if (info?.mode !== 'celt' || info.frameCount > 1) return false;
  const at = firstFrameAt(payload);
  return payload[at] === 0xff && (payload[at + 1] ?? 0) >= 0xfe;
}

/**
 * SILK frames in a frame of Opus. The range coder codes bits of even odds as they are, from the top: a voice bit for each
 * of them, then that of LBRR.
 */
function silkFramesOf(info: OpusPacketInfo): number {
  return Math.max(1, info.frameSamples / silkFrameSamples);
}

function kindOf(config: number): Pick<OpusPacketInfo, 'mode' | 'bandwidth'> {
  if (config < 12) return { mode: 'silk', bandwidth: config < 4 ? 'narrow' : config < 8 ? 'medium' : 'wide' };
  if (config < 16) return { mode: 'hybrid', bandwidth: config < 14 ? 'super-wide' : 'full' };
  return { mode: 'celt', bandwidth: config < 20 ? 'narrow' : config < 24 ? 'wide' : config < 28 ? 'super-wide' : 'full' };
}

/** Frames in the packet; 0 where its lengths do not add up. */
function validFrameCount(code: number, payload: Uint8Array): number {
  const bodyBytes = payload.length - 1;
  if (code === 0) return bodyBytes <= maxFrameBytes ? 1 : 0;
  if (code === 1) return bodyBytes % 2 === 0 && bodyBytes / 2 <= maxFrameBytes ? 2 : 0;
  if (code === 2) {
    const first = readLength(payload, 1);
    if (first === null) return 0;
    const second = payload.length - first.next - first.bytes;
    return second >= 0 && second <= maxFrameBytes ? 2 : 0;
  }
  return validCode3Count(payload);
}

/** Code 3: a byte with VBR flag, padding flag and count, then padding lengths, frame lengths, frames, padding. */
function validCode3Count(payload: Uint8Array): number {
  const head = payload[1];
  if (head === undefined) return 0;
  const frameCount = head & 63;
  let at = 2;
  let paddingBytes = 0;
  if ((head & 64) !== 0) {
    for (let more = true; more;) {
      const byte = payload[at++];
      if (byte === undefined) return 0;
      paddingBytes += byte === 255 ? 254 : byte;
      more = byte === 255;
    }
  }
  let left = payload.length - at - paddingBytes;
  if (frameCount === 0 || left < 0) return 0;
  if ((head & 128) === 0) return left % frameCount === 0 && left / frameCount <= maxFrameBytes ? frameCount : 0;
  for (let frame = 1; frame < frameCount; frame++) {
    const length = readLength(payload, at);
    if (length === null) return 0;
    left -= length.next - at + length.bytes;
    at = length.next;
    if (left < 0) return 0;
  }
  return left <= maxFrameBytes ? frameCount : 0;
}

/** Where the bytes of the first frame begin, in a packet whose framing is valid. */
function firstFrameAt(payload: Uint8Array): number {
  const code = (payload[0] ?? 0) & 3;
  if (code < 2) return 1;
  if (code === 2) return readLength(payload, 1)?.next ?? payload.length;
  const head = payload[1] ?? 0;
  let at = 2;
  if ((head & 64) !== 0) while (payload[at++] === 255);
  if ((head & 128) === 0) return at;
  for (let frame = 1; frame < (head & 63); frame++) at = readLength(payload, at)?.next ?? payload.length;
  return at;
}

/** A frame length of one or two bytes (RFC 6716, section 3.2.1). */
function readLength(payload: Uint8Array, at: number): { bytes: number; next: number } | null {
  const first = payload[at];
  if (first === undefined) return null;
  if (first < 252) return { bytes: first, next: at + 1 };
  const second = payload[at + 1];
  return second === undefined ? null : { bytes: second * 4 + first, next: at + 2 };
}
