// Reads the wire format of protocol buffers: the fields of a message, one after another, and nothing of what they mean.

/** One field of a message. `value` is a varint as a signed number, the bytes of a fixed-size value, or those of a length-delimited one. */
export type Field =
  | { readonly number: number; readonly kind: 'varint'; readonly value: number }
  | { readonly number: number; readonly kind: 'bytes'; readonly value: Uint8Array };

/** Bytes of the fixed-size wire types, by their number. */
const fixedSizes = new Map([
  [1, 8],
  [5, 4],
]);

/** The fields of a message, in the order of the bytes. Throws where the bytes are no message. */
export function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const tag = readVarint(bytes, cursor);
    const [number, wireType] = [Math.floor(tag / 8), tag % 8];
    if (wireType === 0) {
      yield { number, kind: 'varint', value: readVarint(bytes, cursor) };
      continue;
    }
    const size = wireType === 2 ? readVarint(bytes, cursor) : fixedSizes.get(wireType);
    if (size === undefined) throw new Error(`Expected a wire type of 0, 1, 2 or 5, got ${String(wireType)}`);
    const end = cursor.at + size;
    if (!(size >= 0 && end <= bytes.length)) {
      throw new Error(`Expected ${String(size)} more bytes, got ${String(bytes.length - cursor.at)}`);
    }
    yield { number, kind: 'bytes', value: bytes.subarray(cursor.at, end) };
    cursor.at = end;
  }
}

/** The values of a packed field of varints. */
export function packedVarints(bytes: Uint8Array): number[] {
  const cursor = { at: 0 };
  const values: number[] = [];
  while (cursor.at < bytes.length) values.push(readVarint(bytes, cursor));
  return values;
}

/** Little-endian 32-bit floats, copied: a message's bytes need not be aligned. */
export function floatsOf(bytes: Uint8Array): Float32Array<ArrayBuffer> {
  if (bytes.length % 4 !== 0) throw new Error(`Expected whole 32-bit floats, got ${String(bytes.length)} bytes`);
  return new Float32Array(new Uint8Array(bytes).buffer);
}

/** A 64-bit two's complement number. Throws beyond 2^53, which no size or index is. */
function readVarint(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) throw new Error('Expected the rest of a varint, got the end of the message');
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return exact(BigInt.asIntN(64, value));
  }
  throw new Error('Expected a varint of at most 10 bytes, got a longer one');
}

/** Bounds of slices may be the largest or smallest 64-bit number, which stand for "all": they are the same as 2^53. */
function exact(value: bigint): number {
  const limit = BigInt(Number.MAX_SAFE_INTEGER);
  return Number(value > limit ? limit : value < -limit ? -limit : value);
}
