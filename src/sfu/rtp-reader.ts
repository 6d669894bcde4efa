// A socket on the loopback address that is read many packets at a time, by compiled code: native/rtp-reader.c.
import { loadNativeModule } from '../native-module.ts';

interface NativeReader {
  /** @throws Error where the system refuses, or the socket does not hear itself */
  open(bytes: number): { readonly reader: object; readonly port: number; readonly bytes: number };
  read(reader: object, reading: ArrayBuffer): number;
  close(reader: object): void;
}

/** Takes a packet from a port of the loopback address. `data` is valid until it returns; `ageMs`: for how long it waited. */
export type TakePacket = (port: number, data: Buffer, ageMs: number) => void;

const source = new URL('native/rtp-reader.c', import.meta.url);

/** The layout of a reading, as in native/rtp-reader.c: heads of packets, a count of drops, slots of packets. */
const maxPackets = 64;
const slotBytes = 2048;
const headBytes = 16;
const dropsAt = maxPackets * headBytes;
const readingBytes = slotBytes + maxPackets * slotBytes;

/** Of how many full readings at once the rest waits for the next time: nothing that is sent, however much, holds the thread up for long. */
const maxReadings = 16;

/** Readings are looked at before the next one: all readers share the memory. */
const reading = new ArrayBuffer(readingBytes);
const ages = new Float64Array(reading);
const numbers = new Uint32Array(reading);
const bytes = Buffer.from(reading);

/** Opens {@link RtpReader}s. */
export type OpenReader = (bufferBytes: number) => RtpReader;

/** What opens readers, or why nothing does: where nothing was compiled. Never throws. */
export function loadReaders(file?: string): { readonly open: OpenReader } | { readonly reason: string } {
  const loaded = loadNativeModule<NativeReader>(source, file);
  if ('reason' in loaded) return loaded;
  return { open: (bufferBytes) => new RtpReader(loaded.exports, bufferBytes) };
}

/** One socket. What is not read in time waits in the system, as much as `bufferBytes` holds. */
export class RtpReader {
  /** On the loopback address. */
  readonly port: number;
  /** What may wait, in bytes as the system counts them: some 1000 for a packet of speech. Less than asked for where the system says so. */
  readonly bufferBytes: number;
  readonly #native: NativeReader;
  readonly #reader: object;
  #drops = 0;
  #closed = false;

  /** @throws Error where the system refuses, or the socket does not hear itself */
  constructor(native: NativeReader, bufferBytes: number) {
    const opened = native.open(bufferBytes);
    this.#native = native;
    this.#reader = opened.reader;
    this.port = opened.port;
    this.bufferBytes = opened.bytes;
  }

  /** Packets that the system dropped because too many waited, since the beginning, as of the last packet read. */
  get drops(): number {
    return this.#drops;
  }

  /** Takes what waits, oldest first; nothing once closed. Packets of more than 2048 bytes are left out. */
  read(take: TakePacket): void {
    for (let readings = 0; readings < maxReadings && !this.#closed; readings += 1) {
      const count = this.#native.read(this.#reader, reading);
      for (let packet = 0; packet < count; packet += 1) {
        const head = (packet * headBytes) / 4;
        const length = numbers[head + 2] ?? 0;
        const at = slotBytes * (packet + 1);
        if (length > 0) take(numbers[head + 3] ?? 0, bytes.subarray(at, at + length), ages[head / 2] ?? 0);
      }
      if (count > 0) this.#drops = numbers[dropsAt / 4] ?? 0;
      if (count < maxPackets) return;
    }
  }

  /** What waits is lost. Safe to call twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#native.close(this.#reader);
  }
}
