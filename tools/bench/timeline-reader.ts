// A subscriber of one call over a real WebSocket that stamps each event as it comes and counts what is amiss.
import type { ServerMessage } from '../../src/gateway/protocol.ts';
import type { TimelineEvent } from '../../src/gateway/types.ts';
import { TimelineSocket } from './timeline-socket.ts';

/** An event, and the wall time at which it was received, ms since the Unix epoch. */
export interface Received {
  readonly event: TimelineEvent;
  readonly atUnixMs: number;
}

/** Whose events to read. */
export interface TimelineReaderOptions {
  readonly serverUrl: string;
  readonly token: string;
  readonly callId: string;
}

/** Follows a call from the first event that is kept. */
export class TimelineReader {
  readonly received: Received[] = [];
  /** Seqs that came out of turn, were skipped, or were lost to a resync; 0 of a faultless run. */
  faults = 0;
  /** Wall time at which the call opened, ms since the Unix epoch. */
  callStartedAtUnixMs = NaN;
  #socket: TimelineSocket | undefined;
  readonly #options: TimelineReaderOptions;
  #nextSeq = NaN;

  private constructor(options: TimelineReaderOptions) {
    this.#options = options;
  }

  /** Connects and subscribes. Rejects if the server cannot be reached. */
  static async connect(options: TimelineReaderOptions): Promise<TimelineReader> {
    const { serverUrl, token, callId } = options;
    const reader = new TimelineReader(options);
    reader.#socket = await TimelineSocket.connect({
      serverUrl,
      token,
      onMessage: (message, atUnixMs) => {
        reader.#take(message, atUnixMs);
      },
      onLost: () => (reader.faults += 1),
    });
    reader.#socket.subscribe(callId);
    return reader;
  }

  /** The points received so far. */
  get points(): readonly (Received & { readonly event: TimelineEvent & { readonly type: 'point' } })[] {
    return this.received.flatMap(({ event, atUnixMs }) => (event.type === 'point' ? [{ event, atUnixMs }] : []));
  }

  close(): void {
    this.#socket?.close();
  }

  #take(message: ServerMessage, atUnixMs: number): void {
    if (message.type === 'subscribed') {
      this.callStartedAtUnixMs = message.call.startedAtUnixMs;
      this.#nextSeq = message.nextSeq;
      if (message.nextSeq !== 1) this.faults += 1;
    } else if (message.type === 'event') {
      if (message.event.seq !== this.#nextSeq) this.faults += 1;
      this.#nextSeq = message.event.seq + 1;
      this.received.push({ event: message.event, atUnixMs });
    } else if (message.type === 'error') {
      throw new Error(`Expected events of call \`${this.#options.callId}\`, got ${message.code}: ${message.message}`);
    } else if (message.type === 'skipped' || message.type === 'resync') {
      this.faults += 1;
    }
  }
}
