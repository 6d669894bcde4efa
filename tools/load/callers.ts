// The callers of a run: brings them into the server's calls, has them send, and takes them out again.
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../src/clock.ts';
import { createRandom, type Random } from '../callers/random.ts';
import { type CallerId, frameMs, startSpreadFrames } from './caller-stream.ts';
import type { SentCaller } from './expectation.ts';
import type { LoadOptions } from './options.ts';
import type { Senders } from './senders.ts';
import type { OpenIngest, Target } from './target.ts';

/** What {@link Callers} needs. */
export interface CallersOptions {
  readonly target: Target;
  readonly codec: LoadOptions['codec'];
  readonly audioLevel: boolean;
  readonly seatsByCall: readonly number[];
  /** Names this run's calls, so that no other run's are touched. */
  readonly runId: string;
  readonly seed: number;
}

interface Opened {
  readonly caller: Omit<CallerId, 'startFrame'>;
  readonly ingest: OpenIngest;
}

interface Active {
  readonly caller: CallerId;
  readonly ingest: OpenIngest;
}

/** Requests to the server at a time. */
const concurrency = 8;
/** From a newcomer's ingest to their first packet: their tap is open by then. */
const newcomerMs = 1000;
/** From the last packet to the end of the ingest: the server has heard it by then, and taken the caller for silent. */
const lastWordsMs = 600;

/** Who calls, and who called. */
export class Callers {
  readonly callIds: readonly string[];
  /** Those who have left, and what they sent. */
  readonly gone: SentCaller[] = [];
  /** Packets of those who have left: lost on purpose, and passed over by the server. */
  readonly packets = { lost: 0, comfortNoise: 0 };
  readonly #options: CallersOptions;
  readonly #random: Random;
  readonly #waiting: Opened[] = [];
  readonly #active: Active[] = [];
  #count = 0;
  #originUnixMs = 0;
  #senders: Senders | undefined;

  constructor(options: CallersOptions) {
    this.#options = options;
    this.#random = createRandom(options.seed ^ 0x27d4eb2f);
    this.callIds = options.seatsByCall.map((_seats, call) => `load-${options.runId}-${call + 1}`);
  }

  /** Callers at this moment. */
  get active(): number {
    return this.#active.length;
  }

  /** Whether the server listens at addresses of IPv6; known once callers are in. */
  get ipv6(): boolean {
    return this.#waiting.some(({ ingest }) => ingest.remote.ip.includes(':'));
  }

  /** Brings everybody in. `onOpen` is told how many are in. @throws Error with the server's reason where it refuses one */
  async open(onOpen: (count: number) => void, signal: AbortSignal): Promise<void> {
    const seats = this.#options.seatsByCall.flatMap((count, call) => Array.from({ length: count }, (_, seat) => ({ call, seat })));
    let refused = false;
    await inParallel(seats, async ({ call, seat }) => {
      if (signal.aborted || refused) return;
      try {
        this.#waiting.push(await this.#join(call, seat));
        onOpen(this.#waiting.length);
      } catch (error) {
        refused = true;
        throw error;
      }
    });
  }

  /** Has everybody send, from the run's beginning on. */
  begin(senders: Senders, originUnixMs: number): void {
    this.#senders = senders;
    this.#originUnixMs = originUnixMs;
    for (const opened of this.#waiting.splice(0)) this.#start(opened, Math.floor(this.#random() * startSpreadFrames));
  }

  /** Someone new takes the seat of someone who then leaves. */
  async replaceOne(): Promise<void> {
    const leaving = this.#active[Math.floor(this.#random() * this.#active.length)];
    if (leaving === undefined) return;
    this.#active.splice(this.#active.indexOf(leaving), 1);
    const { call, seat } = leaving.caller;
    const opened = await this.#join(call, seat);
    this.#start(opened, Math.ceil((systemClock.nowMs() + newcomerMs - this.#originUnixMs) / frameMs));
    await this.#leave([leaving]);
  }

  /** Everybody stops and leaves, also those who never began. */
  async end(): Promise<void> {
    await this.#leave(this.#active.splice(0));
    await this.#close(this.#waiting.splice(0));
  }

  async #join(call: number, seat: number): Promise<Opened> {
    const index = (this.#count += 1);
    const participantId = `caller-${index}`;
    const ssrc = 0x10_00_00_00 + index;
    const { target, codec, audioLevel } = this.#options;
    const ingest = await target.openIngest({ callId: this.callIds[call] ?? '', participantId, codec, ssrc, audioLevel });
    return { caller: { participantId, call, seat, ssrc, payloadType: ingest.payloadType }, ingest };
  }

  #start({ caller, ingest }: Opened, startFrame: number): void {
    const active = { caller: { ...caller, startFrame }, ingest };
    this.#active.push(active);
    // Callers who know nothing of each other do not send at the same millisecond.
    const startUnixMs = this.#originUnixMs + (startFrame + this.#random()) * frameMs;
    this.#senders?.start({ caller: active.caller, startUnixMs, remote: ingest.remote });
  }

  async #leave(leaving: readonly Active[]): Promise<void> {
    const totals = (await this.#senders?.stop(leaving.map(({ caller }) => caller.participantId))) ?? [];
    const callers = new Map(leaving.map(({ caller }) => [caller.participantId, caller]));
    for (const { participantId, packets, comfortNoise, lost, heldUp } of totals) {
      const caller = callers.get(participantId);
      if (caller !== undefined) this.gone.push({ caller, packets, heldUp });
      this.packets.lost += lost;
      this.packets.comfortNoise += comfortNoise;
    }
    await delay(lastWordsMs);
    await this.#close(leaving);
  }

  async #close(leaving: readonly { readonly ingest: OpenIngest }[]): Promise<void> {
    await inParallel(leaving, ({ ingest }) => this.#options.target.closeIngest(ingest.ingestId));
  }
}

/** Does so much at a time. Rejects with the first failure, once nothing is under way any more. */
async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = items[Symbol.iterator]();
  const results = await Promise.allSettled(
    Array.from({ length: concurrency }, async () => {
      for (const item of rest) await work(item);
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
