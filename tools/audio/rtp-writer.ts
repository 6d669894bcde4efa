// Builds RTP packets (RFC 3550), with header extensions (RFC 8285) and padding where asked for.

/** The fields of a packet to build. */
export interface RtpFields {
  /** Taken modulo 2^16. */
  readonly sequenceNumber: number;
  /** Taken modulo 2^32. */
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payloadType: number;
  readonly payload: Uint8Array;
  /** @default false */
  readonly marker?: boolean;
  /** Contributing sources, at most 15. */
  readonly csrcs?: readonly number[];
  /** Header extension elements in order; in the two-byte form if an id or a length needs it. */
  readonly extensions?: readonly { readonly id: number; readonly value: Uint8Array }[];
  /** Bytes of padding after the payload, 0 to 255. @default 0 */
  readonly paddingBytes?: number;
}

/** Builds one RTP packet. */
export function writeRtp(fields: RtpFields): Uint8Array {
  const csrcs = fields.csrcs ?? [];
  const extension = writeExtensions(fields.extensions ?? []);
  const paddingBytes = fields.paddingBytes ?? 0;
  const payloadAt = 12 + 4 * csrcs.length + extension.length;
  const bytes = new Uint8Array(payloadAt + fields.payload.length + paddingBytes);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x80 | (paddingBytes > 0 ? 0x20 : 0) | (extension.length > 0 ? 0x10 : 0) | csrcs.length);
  view.setUint8(1, (fields.marker === true ? 0x80 : 0) | fields.payloadType);
  view.setUint16(2, fields.sequenceNumber);
  view.setUint32(4, fields.timestamp);
  view.setUint32(8, fields.ssrc);
  csrcs.forEach((csrc, index) => {
    view.setUint32(12 + 4 * index, csrc);
  });
  bytes.set(extension, 12 + 4 * csrcs.length);
  bytes.set(fields.payload, payloadAt);
  if (paddingBytes > 0) bytes[bytes.length - 1] = paddingBytes;
  return bytes;
}

function writeExtensions(elements: NonNullable<RtpFields['extensions']>): Uint8Array {
  if (elements.length === 0) return new Uint8Array();
  const oneByte = elements.every(({ id, value }) => id < 15 && value.length >= 1 && value.length <= 16);
  const body = elements.flatMap(({ id, value }) => [...(oneByte ? [(id << 4) | (value.length - 1)] : [id, value.length]), ...value]);
  const words = Math.ceil(body.length / 4);
  const bytes = new Uint8Array(4 + 4 * words);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, oneByte ? 0xbede : 0x1000);
  view.setUint16(2, words);
  bytes.set(body, 4);
  return bytes;
}
