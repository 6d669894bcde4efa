// The main thread's side of one pipeline thread: its callers' packets in bounded batches, its answers, its replacement.
import type { Worker } from 'node:worker_threads';
import { messageOf, UndertoneError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import type { Metrics } from '../../metrics.ts';
import type { RawRtp } from '../packet-pipeline.ts';
import { stallCheckMs } from '../packet-pipeline.ts';
import { readReports } from './media-report.ts';
import type { Failure, OpenRequest, SentOutput, ThreadReply, ThreadRequest } from './messages.ts';
import { readOutputs } from './output-rows.ts';
import { PacketBatch, recordBytes } from './packet-batch.ts';
import type { PacketPause } from './packet-pause.ts';

/** A caller as its lane knows it. */
export interface LaneCaller {
  /** The thread's counts and levels of it, since it was opened there: the row at `at`. */
  reported(rows: Float64Array, at: number): void;
  said(output: SentOutput): void;
  /** It has ended in its thread: nothing more is said of it. */
  ended(failure: Failure | null): void;
  /** Its thread is gone, and what the thread had not said with it. */
  orphaned(): void;
}

/** Bounds and times of a lane. */
export interface LaneLimits {
  /** How long packets are collected before they cross, ms. @default 5 */
  readonly collectMs?: number;
  /** Packets that the thread has not answered to, bytes; beyond, the next ones are dropped. @default 4194304 */
  readonly maxUnansweredBytes?: number;
  /** How long it may leave a batch unanswered before the next packets are dropped, ms. @default 2000 */
  readonly maxUnansweredMs?: number;
  /** A thread that leaves a batch unanswered for so long counts as dead, ms. @default 10000 */
  readonly hangMs?: number;
  /** Pause before a thread is replaced that died within `steadyMs`; doubles each time. Others are replaced at once. @default 100 */
  readonly restartDelayMs?: number;
  /** Longest such pause, ms. @default 5000 */
  readonly maxRestartDelayMs?: number;
  /** A thread that has lived for so long did not die of being started, ms. @default 10000 */
  readonly steadyMs?: number;
}

/** What a {@link PipelineLane} is made from. */
export interface PipelineLaneOptions extends LaneLimits {
  readonly spawn: () => Worker;
  /** Told of each packet; where it answers that it will have them {@link PipelineLane.flush}ed, no timer is set. */
  readonly pause: Pick<PacketPause, 'arrived' | 'bell'>;
  readonly logger: Logger;
  readonly metrics?: Pick<Metrics, 'pipelineTurnMs' | 'pipelineThreadDeaths'> | undefined;
  /** Told after a thread died, with those that it was to serve; a replacement may be up already. */
  readonly onDown: (orphans: readonly LaneCaller[]) => void;
  /** Told when a replacement was started after a pause. */
  readonly onUp: () => void;
}

const defaults = {
  collectMs: 5,
  maxUnansweredBytes: 4 * 1024 * 1024,
  maxUnansweredMs: 2000,
  hangMs: 10_000,
  restartDelayMs: 100,
  maxRestartDelayMs: 5000,
  steadyMs: 10_000,
};

/** A caller's place in a thread. */
export interface LanePlace {
  readonly lane: PipelineLane;
  readonly ref: number;
}

/**
 * Never keeps more than is bounded: what the thread does not take in time is refused. A thread that dies or hangs is
 * replaced, at once if it had lived for a while. Work for a thread that still loads waits in its port.
 */
export class PipelineLane {
  readonly #options: PipelineLaneOptions & typeof defaults;
  readonly #callers = new Map<number, LaneCaller>();
  readonly #batch = new PacketBatch();
  /** Batches that were not answered yet, oldest first. */
  readonly #unanswered: { readonly atMs: number; readonly look: number; readonly bytes: number }[] = [];
  #unansweredBytes = 0;
  /** Looks so far: the lane's clock, which stands still while this thread is held up and no answer could be read. */
  #looks = 0;
  #worker: Worker | null = null;
  #ready = false;
  #nextRef = 1;
  #collecting: NodeJS.Timeout | undefined;
  #looking: NodeJS.Timeout | undefined;
  #restarting: NodeJS.Timeout | undefined;
  #startedAtMs = 0;
  #failures = 0;
  #closing: Promise<void> | undefined;
  readonly #started = Promise.withResolvers<undefined>();

  constructor(options: PipelineLaneOptions) {
    this.#options = { ...defaults, ...options };
    // Who does not ask need not be told.
    this.#started.promise.catch(() => undefined);
    this.#start();
  }

  /** Resolves once the first thread has loaded; rejects with UT_SERVER_FAILED where it ended before. */
  get started(): Promise<undefined> {
    return this.#started.promise;
  }

  /** Whether there is a thread that takes callers. */
  get up(): boolean {
    return this.#worker !== null;
  }

  /** Whether that thread has loaded. */
  get ready(): boolean {
    return this.#ready;
  }

  /** Callers that it serves. */
  get size(): number {
    return this.#callers.size;
  }

  /** How long its oldest batch has waited for an answer, ms, to a look; 0 of a thread that has not loaded. */
  get lagMs(): number {
    return this.#ready ? this.#oldestMs() : 0;
  }

  /** The thread's own view of how busy it is; null where there is none. */
  utilization(): ReturnType<Worker['performance']['eventLoopUtilization']> | null {
    return this.#ready ? (this.#worker?.performance.eventLoopUtilization() ?? null) : null;
  }

  /** Begins a caller in the thread, which must be {@link up}. */
  open(caller: LaneCaller, request: Omit<OpenRequest, 'kind' | 'ref' | 'bell'>): LanePlace {
    const ref = this.#nextRef++;
    this.#callers.set(ref, caller);
    this.#request({ kind: 'open', ref, bell: this.#options.pause.bell, ...request });
    this.#looking ??= setInterval(() => {
      this.#look();
    }, stallCheckMs);
    return { lane: this, ref };
  }

  /** Takes a packet of a caller. False where the thread is behind, and the packet is to be counted as dropped. */
  send(ref: number, packet: RawRtp): boolean {
    const { maxUnansweredBytes, collectMs } = this.#options;
    const bytes = recordBytes(packet.data.length);
    if (this.#unansweredBytes + this.#batch.byteCount + bytes > maxUnansweredBytes || this.#behind()) return false;
    this.#batch.append(ref, packet);
    if (this.#options.pause.arrived()) return true;
    this.#collecting ??= setTimeout(() => {
      this.flush();
    }, collectMs);
    return true;
  }

  /** Sends the packets that were collected. */
  flush(): void {
    if (this.#collecting !== undefined) clearTimeout(this.#collecting);
    this.#collecting = undefined;
    const taken = this.#batch.take();
    if (taken === null) return;
    const { buffer, byteCount } = taken;
    this.#unanswered.push({ atMs: performance.now(), look: this.#looks, bytes: byteCount });
    this.#unansweredBytes += byteCount;
    this.#request({ kind: 'packets', batch: buffer, byteCount }, [buffer]);
  }

  /** No more packets of a caller. */
  end(ref: number): void {
    this.flush();
    this.#request({ kind: 'end', ref });
  }

  /** Gives a caller up; it is still told its last counts. */
  discard(ref: number): void {
    this.#request({ kind: 'discard', ref });
  }

  /** Ends the thread. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    clearTimeout(this.#restarting);
    const worker = this.#worker;
    const orphans = this.#forget();
    for (const caller of orphans) caller.orphaned();
    await worker?.terminate();
  }

  #start(): void {
    const worker = this.#options.spawn();
    this.#worker = worker;
    this.#startedAtMs = performance.now();
    worker.on('message', (reply: ThreadReply) => {
      if (worker !== this.#worker) return;
      if (reply.kind === 'turn') this.#take(reply);
      else this.#come();
    });
    worker.on('error', (error) => {
      this.#down(worker, `an error in it: ${messageOf(error)}`);
    });
    worker.on('messageerror', (error) => {
      this.#down(worker, `an unreadable message: ${messageOf(error)}`);
    });
    worker.on('exit', (exitCode) => {
      this.#down(worker, `its exit with code ${String(exitCode)}`);
    });
  }

  #come(): void {
    this.#ready = true;
    this.#started.resolve(undefined);
  }

  #take({ batch, reports, outputs, ends }: Extract<ThreadReply, { kind: 'turn' }>): void {
    if (batch !== null) {
      const answered = this.#unanswered.shift();
      this.#unansweredBytes -= answered?.bytes ?? 0;
      if (answered !== undefined) this.#options.metrics?.pipelineTurnMs.observe(performance.now() - answered.atMs);
      this.#batch.giveBack(batch);
    }
    if (reports !== null) readReports(reports, (ref, at) => this.#callers.get(ref)?.reported(reports, at));
    if (outputs !== null) readOutputs(outputs, (ref, output) => this.#callers.get(ref)?.said(output));
    for (const { ref, failure } of ends) {
      const caller = this.#callers.get(ref);
      this.#callers.delete(ref);
      caller?.ended(failure);
    }
    if (this.#callers.size === 0) this.#stopTimers();
  }

  #look(): void {
    this.#looks += 1;
    const worker = this.#worker;
    if (worker !== null && this.#oldestMs() > this.#options.hangMs) {
      this.#down(worker, `no answer within ${String(this.#options.hangMs)} ms`);
      return;
    }
    // What is not taken need not be sent: looks have no bound of their own.
    if (this.#behind()) return;
    this.flush();
    this.#request({ kind: 'look' });
  }

  #behind(): boolean {
    return this.#oldestMs() > this.#options.maxUnansweredMs;
  }

  /** How long the oldest batch has waited for its answer, to a look. */
  #oldestMs(): number {
    const oldest = this.#unanswered[0];
    return oldest === undefined ? 0 : (this.#looks - oldest.look) * stallCheckMs;
  }

  #request(request: ThreadRequest, transfer: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(request, transfer);
  }

  /** Gives a thread up, once, and has it replaced. */
  #down(worker: Worker, reason: string): void {
    if (worker !== this.#worker) return;
    const { metrics, logger, steadyMs, restartDelayMs, maxRestartDelayMs, onDown, onUp } = this.#options;
    this.#started.reject(new UndertoneError('UT_SERVER_FAILED', `Expected a pipeline thread to start, got ${reason}`));
    const orphans = this.#forget();
    // It may hang or be half gone; WebAssembly can be cut off anywhere.
    void worker.terminate();
    metrics?.pipelineThreadDeaths.inc();
    if (performance.now() - this.#startedAtMs > steadyMs) this.#failures = 0;
    const delayMs = this.#failures === 0 ? 0 : Math.min(restartDelayMs * 2 ** (this.#failures - 1), maxRestartDelayMs);
    this.#failures = Math.min(this.#failures + 1, 30);
    logger.warn({ reason, callers: orphans.length, delayMs }, 'a pipeline thread ended, starting another');
    if (delayMs === 0) {
      this.#start();
    } else {
      this.#restarting = setTimeout(() => {
        this.#start();
        onUp();
      }, delayMs);
    }
    onDown(orphans);
  }

  #forget(): readonly LaneCaller[] {
    this.#stopTimers();
    this.#worker = null;
    this.#ready = false;
    this.#batch.clear();
    this.#unanswered.length = 0;
    this.#unansweredBytes = 0;
    const callers = [...this.#callers.values()];
    this.#callers.clear();
    return callers;
  }

  #stopTimers(): void {
    clearTimeout(this.#collecting);
    clearInterval(this.#looking);
    this.#collecting = undefined;
    this.#looking = undefined;
  }
}
