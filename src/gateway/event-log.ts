// The events of one call in little memory: their JSON in blocks, each deflated once it is full.
import { Buffer } from 'node:buffer';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { eventText } from './event-text.ts';
import type { TimelineEvent } from './types.ts';

/** Full at some forty points. Smaller ones deflate less well, larger ones take longer to read, and longer at a time to close. */
const blockBytes = 16 * 1024;
/** What a call's first block begins with; it is doubled as it fills, for many calls are short. */
const firstBytes = 2 * 1024;
/** The most that a UTF-16 unit takes in UTF-8. */
const bytesPerUnit = 3;

interface Block {
  readonly count: number;
  readonly deflated: Uint8Array;
}

/**
 * Keeps the newest events of a call. A point takes some 75 bytes instead of 480 as an object, and what is kept for an hour is not an
 * object that V8 marks and moves: the fastest level of deflate takes 2 µs a point (docs/adr/0028-events-in-blocks.md).
 *
 * What is read are equal events, not the same ones.
 */
export class EventLog {
  readonly #maxEvents: number;
  #blocks: Block[] = [];
  /** The text that is not deflated yet, a line an event. */
  #open = Buffer.alloc(0);
  #openBytes = 0;
  #openCount = 0;
  #count = 0;

  /** @param maxEvents that can be read; up to a block more are kept */
  constructor(maxEvents: number) {
    this.#maxEvents = maxEvents;
  }

  /** Events that can be read. */
  get length(): number {
    return Math.min(this.#count, this.#maxEvents);
  }

  /** Bytes that are taken for them. */
  get bytes(): number {
    return this.#blocks.reduce((sum, { deflated }) => sum + deflated.byteLength, this.#open.byteLength);
  }

  push(event: TimelineEvent): void {
    const line = `${eventText(event)}\n`;
    if (this.#openBytes + bytesPerUnit * line.length > this.#open.length) this.#makeRoom(Buffer.byteLength(line));
    this.#openBytes += this.#open.write(line, this.#openBytes);
    this.#openCount += 1;
    this.#count += 1;
    this.#trim();
  }

  /** Deflates the open block too: nothing follows, or not soon. */
  seal(): void {
    this.#closeBlock();
    this.#open = Buffer.alloc(0);
  }

  /** `limit` events from `from` on, counted from the oldest that can be read. */
  read(from: number, limit: number): TimelineEvent[] {
    // Blocks go as a whole, so older ones may still be there.
    let skip = this.#count - this.length + from;
    const end = Math.min(skip + limit, this.#count);
    const events: TimelineEvent[] = [];
    let at = 0;
    for (const block of this.#parts()) {
      if (at >= end) break;
      if (at + block.count > skip) {
        const lines = block.text().split('\n');
        for (let i = skip - at; i < Math.min(block.count, end - at); i++) events.push(JSON.parse(lines[i] ?? '') as TimelineEvent);
        skip = at + block.count;
      }
      at += block.count;
    }
    return events;
  }

  *#parts(): Generator<{ readonly count: number; readonly text: () => string }> {
    for (const { count, deflated } of this.#blocks) yield { count, text: () => inflateRawSync(deflated).toString() };
    yield { count: this.#openCount, text: () => this.#open.toString('utf8', 0, this.#openBytes) };
  }

  #makeRoom(lineBytes: number): void {
    const wanted = this.#openBytes + lineBytes;
    if (wanted <= this.#open.length) return;
    if (wanted <= blockBytes) {
      const larger = Buffer.allocUnsafeSlow(Math.min(blockBytes, Math.max(firstBytes, 2 * this.#open.length, wanted)));
      this.#open.copy(larger, 0, 0, this.#openBytes);
      this.#open = larger;
      return;
    }
    this.#closeBlock();
    if (lineBytes > this.#open.length) this.#open = Buffer.allocUnsafeSlow(Math.max(blockBytes, lineBytes));
  }

  #closeBlock(): void {
    if (this.#openCount === 0) return;
    // Copied: zlib's answer is a view of more memory than it takes.
    const deflated = new Uint8Array(deflateRawSync(this.#open.subarray(0, this.#openBytes), { level: 1 }));
    this.#blocks.push({ count: this.#openCount, deflated });
    this.#openBytes = 0;
    this.#openCount = 0;
  }

  #trim(): void {
    for (let oldest = this.#blocks[0]; oldest !== undefined && this.#count - oldest.count >= this.#maxEvents; oldest = this.#blocks[0]) {
      this.#blocks.shift();
      this.#count -= oldest.count;
    }
  }
}
