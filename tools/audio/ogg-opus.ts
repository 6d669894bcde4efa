// Takes the Opus packets out of an Ogg Opus file: RFC 3533 pages and lacing, RFC 7845 headers.

/** What an Ogg Opus file holds. */
export interface OggOpus {
  /** Opus packets in order, each a copy of its own. */
  readonly packets: Uint8Array[];
  /** Channels that the stream decodes to, 1 or 2. */
  readonly channels: number;
  /** Samples at 48 kHz to drop from the start of the decoded audio. */
  readonly preSkipSamples48k: number;
  /** Granule position of the last page: decoded samples at 48 kHz, pre-skip included, up to where the audio ends. */
  readonly granuleEnd48k: number;
}

interface Page {
  readonly continued: boolean;
  readonly first: boolean;
  readonly last: boolean;
  /** -1 where no packet ends on the page. */
  readonly granule48k: number;
  readonly serial: number;
  readonly sequence: number;
  readonly lacing: Uint8Array;
  readonly body: Uint8Array;
  readonly end: number;
}

const headerBytes = 27;
const crcTable = makeCrcTable();

/**
 * Reads a file of one Ogg Opus stream (channel mapping family 0).
 * @throws Error that names the byte at which the file is not Ogg Opus, is damaged, or ends too early.
 */
export function readOggOpus(bytes: Uint8Array): OggOpus {
  const raw: Uint8Array[] = [];
  let open: Uint8Array[] | null = null;
  let granuleEnd48k = 0;
  let serial: number | null = null;
  let sequence = 0;
  let ended = false;
  for (let at = 0; at < bytes.length && !ended;) {
    const page = readPage(bytes, at);
    if (serial === null) {
      if (!page.first) throw bad(at, 'the first page does not begin a stream');
      serial = page.serial;
    } else if (page.serial !== serial) {
      throw bad(at, 'a second stream is multiplexed into the file');
    }
    if (page.sequence !== sequence) throw bad(at, `expected page ${String(sequence)}, got page ${String(page.sequence)}`);
    if (page.continued !== (open !== null)) throw bad(at, page.continued ? 'a page continues no packet' : 'a packet is cut off');
    let offset = 0;
    for (const length of page.lacing) {
      open ??= [];
      open.push(page.body.subarray(offset, offset + length));
      offset += length;
      if (length < 255) {
        raw.push(concat(open));
        open = null;
      }
    }
    if (page.granule48k >= 0) granuleEnd48k = page.granule48k;
    ended = page.last;
    sequence++;
    at = page.end;
  }
  if (open !== null) throw bad(bytes.length, 'the last packet is cut off');
  if (!ended) throw bad(bytes.length, 'the stream has no last page');
  const [head, tags, ...packets] = raw;
  if (head === undefined || tags === undefined) throw bad(bytes.length, 'the OpusHead and OpusTags headers are missing');
  if (!startsWith(tags, 'OpusTags')) throw bad(0, 'the second packet is not OpusTags');
  return { packets, granuleEnd48k, ...readHead(head) };
}

function readHead(head: Uint8Array): { channels: number; preSkipSamples48k: number } {
  if (!startsWith(head, 'OpusHead') || head.length < 19) throw bad(0, 'the first packet is not OpusHead');
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const version = view.getUint8(8);
  if (version >> 4 !== 0) throw bad(0, `expected an OpusHead of version 0 to 15, got ${String(version)}`);
  const channels = view.getUint8(9);
  const family = view.getUint8(18);
  if (family !== 0 || channels < 1 || channels > 2) {
    throw bad(0, `expected 1 or 2 channels of mapping family 0, got ${String(channels)} of family ${String(family)}`);
  }
  return { channels, preSkipSamples48k: view.getUint16(10, true) };
}

function readPage(bytes: Uint8Array, at: number): Page {
  const header = bytes.subarray(at, at + headerBytes);
  if (!startsWith(header, 'OggS'.slice(0, Math.max(1, Math.min(4, header.length))))) throw bad(at, 'no Ogg page begins here');
  if (header.length < headerBytes) throw bad(at, 'a page header is cut off');
  const view = new DataView(header.buffer, header.byteOffset, headerBytes);
  if (view.getUint8(4) !== 0) throw bad(at, `expected Ogg version 0, got ${String(view.getUint8(4))}`);
  const segments = view.getUint8(26);
  const lacing = bytes.subarray(at + headerBytes, at + headerBytes + segments);
  const bodyAt = at + headerBytes + segments;
  const end = lacing.reduce((sum, length) => sum + length, bodyAt);
  if (lacing.length < segments || end > bytes.length) throw bad(at, 'a page is cut off');
  if (crcOf(bytes.subarray(at, end)) !== view.getUint32(22, true)) throw bad(at, 'the checksum of a page does not fit');
  const flags = view.getUint8(5);
  return {
    continued: (flags & 1) !== 0,
    first: (flags & 2) !== 0,
    last: (flags & 4) !== 0,
    granule48k: Number(view.getBigInt64(6, true)),
    serial: view.getUint32(14, true),
    sequence: view.getUint32(18, true),
    lacing,
    body: bytes.subarray(bodyAt, end),
    end,
  };
}

/** CRC-32 of RFC 3533: polynomial 0x04c11db7, not reflected, no inversion, its own four bytes taken as zero. */
function crcOf(page: Uint8Array): number {
  let crc = 0;
  for (let i = 0; i < page.length; i++) {
    const byte = i >= 22 && i < 26 ? 0 : (page[i] ?? 0);
    crc = ((crc << 8) ^ (crcTable[((crc >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0;
  }
  return crc;
}

function makeCrcTable(): Uint32Array {
  return Uint32Array.from({ length: 256 }, (_, index) => {
    let crc = index << 24;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc < 0 ? 0x04c11db7 : 0);
    return crc >>> 0;
  });
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  if (bytes.length < text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[i] !== text.charCodeAt(i)) return false;
  return true;
}

function bad(at: number, what: string): Error {
  return new Error(`Expected an Ogg Opus file, but at byte ${String(at)} ${what}`);
}
