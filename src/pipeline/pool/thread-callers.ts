// The callers of one pipeline thread: the same front end for each as in the main thread, and what is said of them in turns.
import { filter, Subject, type Subscription } from 'rxjs';
import { ringBell } from '../../bell.ts';
import { isUndertoneError, messageOf } from '../../errors.ts';
import { callerPipeline } from '../caller-pipeline.ts';
import { createDecoder } from '../codec.ts';
import { MediaClock } from '../media-clock.ts';
import { createMediaCounts, createMediaLevels } from '../media-counts.ts';
import { Pace } from '../pace.ts';
import type { RawRtp } from '../packet-pipeline.ts';
import type { MediaCounts, MediaLevels, PipelineOutput } from '../types.ts';
import { BlockRing } from './block-ring.ts';
import { packReports, type MediaReport } from './media-report.ts';
import type { Failure, OpenRequest, SentEnd, ThreadReply, ThreadRequest } from './messages.ts';
import { OutputRows } from './output-rows.ts';
import { readBatch } from './packet-batch.ts';

interface Caller {
  readonly ref: number;
  readonly packets: Subject<RawRtp>;
  readonly counts: MediaCounts;
  readonly levels: MediaLevels;
  readonly clock: MediaClock;
  readonly blocks: BlockRing;
  readonly withdrawn: Int32Array;
  subscription: Subscription | null;
  /** Packets received when it was last reported. */
  reported: number;
}

/** Counts are reported with each second look: four times a second. */
const looksPerReport = 2;

/** Sends a message to the main thread. */
type Post = (reply: ThreadReply, transfer: ArrayBuffer[]) => void;

/** Takes the main thread's requests in order. A fault of one caller closes that caller alone. */
export class ThreadCallers {
  readonly #post: Post;
  readonly #callers = new Map<number, Caller>();
  readonly #looks = new Subject<void>();
  #lookCount = 0;
  readonly #outputs = new OutputRows();
  #reports: MediaReport[] = [];
  #ends: SentEnd[] = [];
  #bell: Int32Array | null = null;
  #handling = false;
  #turnDue = false;

  constructor(post: Post) {
    this.#post = post;
  }

  /** Does what is asked and posts what came of it. */
  handle(request: ThreadRequest): void {
    this.#handling = true;
    let batch: ArrayBuffer | null = null;
    switch (request.kind) {
      case 'open':
        this.#open(request);
        break;
      case 'packets':
        batch = request.batch;
        readBatch(batch, request.byteCount, (ref, packet) => {
          const caller = this.#callers.get(ref);
          // Asked before each packet: a withdrawal does not wait until its message is read. Read plainly, for V8 calls out for an atomic
          // load; nothing but this one number is to be seen, and what lies between two packets keeps it from being read once for all.
          if (caller?.withdrawn[0] === 0) caller.packets.next(packet);
        });
        break;
      case 'look':
        this.#look();
        break;
      case 'end':
        this.#callers.get(request.ref)?.packets.complete();
        break;
      case 'discard':
        this.#close(request.ref, null);
    }
    this.#handling = false;
    this.#endTurn(batch);
  }

  #open({ ref, track, spec, settings, withdrawn, pace: memory, blocks, bell }: OpenRequest): void {
    this.#bell ??= new Int32Array(bell);
    const caller: Caller = {
      ref,
      packets: new Subject(),
      counts: createMediaCounts(),
      levels: createMediaLevels(),
      clock: new MediaClock(),
      blocks: new BlockRing(spec.hopFrames, blocks),
      withdrawn: new Int32Array(withdrawn),
      subscription: null,
      reported: 0,
    };
    this.#callers.set(ref, caller);
    const { counts, levels, clock, blocks: ring } = caller;
    try {
      const decoder = createDecoder(track.codec, settings);
      // A look may end a stall, and what waits is decoded: not of one who has withdrawn.
      const looks$ = this.#looks.pipe(filter(() => caller.withdrawn[0] === 0));
      const pace = memory === null ? undefined : new Pace(memory);
      caller.subscription = caller.packets
        .pipe(callerPipeline({ ...settings, track, spec, decoder, counts, levels, clock, looks$, pace, blocks: ring }))
        .subscribe({
          next: (output) => {
            this.#take(caller, output);
          },
          error: (error: unknown) => {
            this.#close(ref, failureOf(error));
          },
          complete: () => {
            this.#close(ref, null);
          },
        });
    } catch (error) {
      this.#close(ref, failureOf(error));
    }
  }

  #take(caller: Caller, output: PipelineOutput): void {
    const { ref, clock } = caller;
    const originMs = clock.wallMsOf(0);
    if (output.kind === 'speech') {
      this.#outputs.speech(ref, originMs, output.change);
    } else {
      const { window } = output;
      const numbers = window.blocks.map((block) => (block === null ? 0 : caller.blocks.numberOf(block)));
      this.#outputs.window(ref, originMs, window, numbers);
    }
    this.#turnSoon();
  }

  #look(): void {
    this.#looks.next();
    this.#lookCount += 1;
    if (this.#lookCount % looksPerReport !== 0) return;
    for (const caller of this.#callers.values()) {
      const { ref, counts, levels } = caller;
      if (counts.received === caller.reported) continue;
      caller.reported = counts.received;
      this.#reports.push({ ref, counts, levels });
    }
  }

  #close(ref: number, failure: Failure | null): void {
    const caller = this.#callers.get(ref);
    if (caller === undefined) return;
    this.#callers.delete(ref);
    const { counts, levels } = caller;
    caller.subscription?.unsubscribe();
    this.#reports.push({ ref, counts, levels });
    this.#ends.push({ ref, failure });
    this.#turnSoon();
  }

  /** What comes by itself, as when a decoder is ready, has no request that it could be the answer to. */
  #turnSoon(): void {
    if (this.#handling || this.#turnDue) return;
    this.#turnDue = true;
    setImmediate(() => {
      this.#turnDue = false;
      this.#endTurn(null);
    });
  }

  #endTurn(batch: ArrayBuffer | null): void {
    const [reports, ends, outputs] = [this.#reports, this.#ends, this.#outputs.take()];
    if (batch === null && outputs === null && reports.length === 0 && ends.length === 0) return;
    const rows = reports.length === 0 ? null : packReports(reports);
    if (reports.length > 0) this.#reports = [];
    if (ends.length > 0) this.#ends = [];
    const transfer = [batch, rows?.buffer, outputs?.buffer].filter((buffer) => buffer instanceof ArrayBuffer);
    this.#post({ kind: 'turn', batch, reports: rows, outputs, ends }, transfer);
    // Buffers and counts can wait.
    if (this.#bell !== null && outputs !== null) ringBell(this.#bell);
  }
}

function failureOf(error: unknown): Failure {
  return { code: isUndertoneError(error) ? error.code : 'UT_MEDIA_FAILED', message: messageOf(error) };
}
