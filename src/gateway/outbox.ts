// What waits to be sent to one reader: bounded, older points giving way to newer ones while the reader is slow.
import { Buffer } from 'node:buffer';
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import { isInferred } from './draft-queue.ts';
import { eventText } from './event-text.ts';
import type { ResyncMessage, ServerMessage, SkippedMessage } from './protocol.ts';
import type { TimelineEvent } from './types.ts';

/** Options of an {@link Outbox}. */
export interface OutboxOptions {
  /** Unsent bytes from which on events are held back, and points coalesced. */
  readonly softLimitBytes: number;
  /** Unsent bytes, held back or not, from which on the reader is too slow. */
  readonly hardLimitBytes: number;
  /** Called once when the hard limit is passed; nothing is sent afterwards. */
  readonly onTooSlow: () => void;
  /** The socket's stream: what is sent within one turn goes out in one write. @default each message by itself */
  readonly stream?: Pick<Duplex, 'cork' | 'uncork'> | undefined;
}

interface Entry {
  readonly json: string;
  readonly bytes: number;
  readonly stream: EventStream | null;
  readonly event: TimelineEvent | null;
  readonly resync: ResyncMessage | null;
}

/** The events of one subscription on their way to its reader. Its owner feeds it without gaps. */
export class EventStream {
  readonly callId: string;
  /** The seq that the reader expects next. */
  nextSeq: number;
  closed = false;
  /** The point of each participant that is held back, which a newer one replaces. */
  readonly points = new Map<string, Entry>();

  constructor(callId: string, nextSeq: number) {
    this.callId = callId;
    this.nextSeq = nextSeq;
  }
}

/**
 * Sends to one socket in order. Each seq of a stream is accounted for once: by its event, or by a `skipped` message
 * right before the event that follows.
 */
export class Outbox {
  readonly #socket: WebSocket;
  readonly #options: OutboxOptions;
  /** A set, because it keeps the order and forgets in constant time. */
  readonly #held = new Set<Entry>();
  #heldBytes = 0;
  readonly #onSent = (): void => {
    this.#drain();
  };
  readonly #letGo = (): void => {
    if (!this.#gathering) return;
    this.#gathering = false;
    this.#options.stream?.uncork();
  };
  #waiters: (() => void)[] = [];
  #gathering = false;
  #closed = false;

  constructor(socket: WebSocket, options: OutboxOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** Whether everything given so far has gone out to the network, or nearly. */
  get idle(): boolean {
    return this.#held.size === 0 && this.#socket.bufferedAmount < this.#options.softLimitBytes;
  }

  send(message: ServerMessage): void {
    this.#put(entryOf(JSON.stringify(message)));
  }

  sendResync(stream: EventStream, resync: ResyncMessage): void {
    this.#put({ ...entryOf(JSON.stringify(resync)), stream, resync });
  }

  sendEvent(stream: EventStream, event: TimelineEvent): void {
    if (!this.#closed && this.idle) {
      this.#transmitEvent(stream, event, jsonOf(event));
      return;
    }
    const entry = { ...entryOf(jsonOf(event)), stream, event };
    if (this.#held.size > 0) this.#supersede(stream, event);
    if (this.#put(entry) && event.type === 'point') stream.points.set(event.participantId, entry);
  }

  /** Drops what is held of a stream. */
  closeStream(stream: EventStream): void {
    stream.closed = true;
    for (const entry of this.#held) if (entry.stream === stream) this.#forget(entry);
    stream.points.clear();
  }

  /** Resolves once there is room, or the outbox is closed. */
  async writable(): Promise<void> {
    while (!this.#closed && !this.idle) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
  }

  close(): void {
    this.#closed = true;
    this.#held.clear();
    this.#heldBytes = 0;
    this.#release();
  }

  /** Whether it was held back. */
  #put(entry: Entry): boolean {
    if (this.#closed) return false;
    if (this.idle) {
      this.#transmit(entry);
      return false;
    }
    this.#held.add(entry);
    this.#heldBytes += entry.bytes;
    if (this.#socket.bufferedAmount + this.#heldBytes > this.#options.hardLimitBytes) {
      this.close();
      this.#options.onTooSlow();
    }
    return true;
  }

  /** Forgets what an event makes worthless: the older point, or all that was inferred of who is no longer measured. */
  #supersede(stream: EventStream, event: TimelineEvent): void {
    if (event.type === 'point') {
      const older = stream.points.get(event.participantId);
      if (older !== undefined) this.#forget(older);
      return;
    }
    if (event.type !== 'consent' || event.measured) return;
    for (const entry of this.#held) {
      if (entry.stream !== stream || entry.event === null || !isInferred(entry.event)) continue;
      if (entry.event.participantId === event.participantId) this.#forget(entry);
    }
    stream.points.delete(event.participantId);
  }

  #forget(entry: Entry): void {
    if (this.#held.delete(entry)) this.#heldBytes -= entry.bytes;
  }

  #transmit({ json, stream, event, resync }: Entry): void {
    if (stream !== null && resync !== null) stream.nextSeq = resync.nextSeq;
    if (stream !== null && event !== null) this.#transmitEvent(stream, event, json);
    else this.#write(json);
  }

  #transmitEvent(stream: EventStream, event: TimelineEvent, json: string): void {
    if (event.type === 'point') stream.points.delete(event.participantId);
    if (event.seq > stream.nextSeq) {
      const skipped: SkippedMessage = { type: 'skipped', callId: stream.callId, fromSeq: stream.nextSeq, toSeq: event.seq - 1 };
      this.#write(JSON.stringify(skipped));
    }
    stream.nextSeq = event.seq + 1;
    this.#write(json);
  }

  #write(json: string): void {
    this.#gather();
    // The callback comes when the network took it; an error there is followed by the socket's own close.
    this.#socket.send(json, this.#onSent);
    // What is gathered counts as unsent, and is not to make a reader look slow.
    if (this.#gathering && this.#socket.bufferedAmount >= this.#options.softLimitBytes / 2) this.#letGo();
  }

  /** Points of a call come several at a time, and a write to the network costs more than a message. */
  #gather(): void {
    const { stream } = this.#options;
    if (stream === undefined || this.#gathering) return;
    this.#gathering = true;
    stream.cork();
    process.nextTick(this.#letGo);
  }

  #drain(): void {
    if (this.#closed) return;
    for (const entry of this.#held) {
      if (this.#socket.bufferedAmount >= this.#options.softLimitBytes) return;
      this.#forget(entry);
      this.#transmit(entry);
    }
    if (this.idle) this.#release();
  }

  #release(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resolve of waiters) resolve();
  }
}

function jsonOf(event: TimelineEvent): string {
  return `{"type":"event","event":${eventText(event)}}`;
}

function entryOf(json: string): Entry {
  return { json, bytes: Buffer.byteLength(json), stream: null, event: null, resync: null };
}
