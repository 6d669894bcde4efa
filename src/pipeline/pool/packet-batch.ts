// Packets of many callers in one buffer, which crosses to a thread without a copy and comes back to be filled again.
import type { RawRtp } from '../packet-pipeline.ts';

/** A record: arrival in ms (float64), ref (uint32), bytes of the packet (uint32), the packet; each begins at a multiple of 8. */
const headerBytes = 16;
const startBytes = 16_384;
/** A buffer that grew beyond is not kept. */
const maxSpareBytes = 262_144;
const maxSpares = 4;

/** A full batch; `buffer` is the receiver's. */
export interface TakenBatch {
  readonly buffer: ArrayBuffer;
  readonly byteCount: number;
}

/** Collects packets until they are taken. */
export class PacketBatch {
  readonly #spares: ArrayBuffer[] = [];
  #bytes = new Uint8Array(new ArrayBuffer(startBytes));
  #view = new DataView(this.#bytes.buffer);
  #byteCount = 0;

  /** Bytes that wait. */
  get byteCount(): number {
    return this.#byteCount;
  }

  /** Copies a packet in. */
  append(ref: number, { data, arrivalMs }: RawRtp): void {
    const at = this.#byteCount;
    const end = at + recordBytes(data.length);
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setFloat64(at, arrivalMs);
    this.#view.setUint32(at + 8, ref);
    this.#view.setUint32(at + 12, data.length);
    this.#bytes.set(data, at + headerBytes);
    this.#byteCount = end;
  }

  /** Hands out what waits and begins anew; null where nothing does. */
  take(): TakenBatch | null {
    if (this.#byteCount === 0) return null;
    const taken = { buffer: this.#bytes.buffer, byteCount: this.#byteCount };
    this.#use(this.#spares.pop() ?? new ArrayBuffer(startBytes));
    this.#byteCount = 0;
    return taken;
  }

  /** Takes a buffer back that was handed out. */
  giveBack(buffer: ArrayBuffer): void {
    if (this.#spares.length < maxSpares && buffer.byteLength <= maxSpareBytes) this.#spares.push(buffer);
  }

  /** Forgets what waits. */
  clear(): void {
    this.#byteCount = 0;
  }

  #grow(leastBytes: number): void {
    const before = this.#bytes.subarray(0, this.#byteCount);
    this.#use(new ArrayBuffer(2 ** Math.ceil(Math.log2(leastBytes))));
    this.#bytes.set(before);
  }

  #use(buffer: ArrayBuffer): void {
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }
}

/** Bytes that a packet takes up in a batch. */
export function recordBytes(packetBytes: number): number {
  return headerBytes + Math.ceil(packetBytes / 8) * 8;
}

/**
 * Reads a batch in order. Packets are views of one copy of it: the buffer is filled again while some of them still wait in a jitter
 * buffer, and a copy of each would cost more than its bytes.
 */
export function readBatch(buffer: ArrayBuffer, byteCount: number, take: (ref: number, packet: RawRtp) => void): void {
  const bytes = new Uint8Array(buffer.slice(0, byteCount));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < byteCount;) {
    const length = view.getUint32(at + 12);
    take(view.getUint32(at + 8), { data: bytes.subarray(at + headerBytes, at + headerBytes + length), arrivalMs: view.getFloat64(at) });
    at += recordBytes(length);
  }
}
