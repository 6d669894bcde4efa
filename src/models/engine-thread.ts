// An engine whose network runs in a worker thread of its own, replaced when it dies.
import { Worker } from 'node:worker_threads';
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { threadLimits } from '../thread-limits.ts';
import type { EngineReply, EngineRequest, EngineThreadData } from './engine-worker.ts';
import type { SessionOptions } from './open-session.ts';
import { StreamFeed, type PackedBatch } from './stream-feed.ts';
import type { Engine, EngineWindow } from './types.ts';

/** Options of a {@link ThreadEngine}. */
export interface ThreadEngineOptions {
  /** The engine's name in logs and errors. */
  readonly name: string;
  readonly thread: SessionOptions;
  /** Rung with each answer: wakes a thread that sleeps while packets gather, see packet-pause.ts. @default none */
  readonly bell?: SharedArrayBuffer | undefined;
  readonly logger: Logger;
  /** A run that takes longer counts as a dead thread. @default 10000 */
  readonly runTimeoutMs?: number;
  /** As many batches that fail one after another count as a dead thread, too: a GPU may be lost for good. @default 8 */
  readonly maxFailedBatches?: number;
  /** Loading the runtime and the network may take this long. @default 60000 */
  readonly startTimeoutMs?: number;
  /** Pause before a dead thread is replaced; doubles each time until a batch succeeds again. @default 100 */
  readonly restartDelayMs?: number;
  /** Longest such pause. @default 5000 */
  readonly maxRestartDelayMs?: number;
  /** Starts the thread. @default a Worker on engine-worker.ts */
  readonly spawn?: (thread: EngineThreadData) => Worker;
}

interface Pending {
  readonly trackIds: readonly string[];
  /** Rows of windows whose blocks were written over before they were read. */
  readonly tornRows: readonly number[];
  readonly timer: NodeJS.Timeout;
  resolve(logits: Float32Array): void;
  reject(error: UndertoneError): void;
}

const defaults = {
  runTimeoutMs: 10_000,
  maxFailedBatches: 8,
  startTimeoutMs: 60_000,
  restartDelayMs: 100,
  maxRestartDelayMs: 5000,
  spawn: spawnEngineThread,
};
/** A thread that is busy when it is told to end gets this long to finish its batch. */
const closeTimeoutMs = 2000;

/**
 * Scores windows in a worker thread, which keeps each track's stream: only frames that are new to it cross over. When the
 * thread dies, errors or hangs, every pending run rejects with UT_ENGINE_FAILED (retryable) and so does each new one until
 * another thread has loaded the networks; there, every stream begins anew. Await `close()`
 * before the process ends: ending it within a native call aborts it.
 */
export class ThreadEngine implements Engine {
  readonly name: string;
  detail: string | undefined;
  readonly #options: ThreadEngineOptions & typeof defaults;
  readonly #feed: StreamFeed;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | null = null;
  #ready = false;
  #nextId = 1;
  #failures = 0;
  #failedBatches = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;

  private constructor(options: ThreadEngineOptions) {
    this.name = options.name;
    this.#options = { ...defaults, ...options };
    this.#feed = new StreamFeed(options.thread.shape);
  }

  /**
   * Starts the thread and loads the networks. Rejects with UT_ENGINE_UNAVAILABLE where the runtime or a network does not
   * load, and with UT_MODEL_INVALID where they are not what the manifest says.
   */
  static async start(options: ThreadEngineOptions): Promise<ThreadEngine> {
    const engine = new ThreadEngine(options);
    try {
      await engine.#start();
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  get ready(): boolean {
    return this.#ready;
  }

  /** Tracks whose stream the thread keeps. */
  get streamCount(): number {
    return this.#feed.size;
  }

  async run(windows: readonly EngineWindow[]): Promise<Float32Array> {
    const worker = this.#worker;
    if (worker === null || !this.#ready) {
      const state = this.#closed ? 'closed' : 'being restarted';
      throw this.#failure(`Expected engine \`${this.name}\` to be running, got a thread that is ${state}`);
    }
    const id = this.#nextId++;
    const batch = this.#pack(windows);
    // Of the blocks that were read, after they were: what is intact now was intact then.
    const { hopFrames } = this.#options.thread.shape;
    const tornRows = windows.flatMap(({ blocks }, row) => {
      const firstRead = blocks.length - (batch.items[row]?.frames ?? 0) / hopFrames;
      return blocks.some((block, at) => at >= firstRead && block?.intact === false) ? [row] : [];
    });
    worker.postMessage({ kind: 'run', id, batch } satisfies EngineRequest, [batch.features.buffer, batch.mask.buffer]);
    return new Promise<Float32Array>((resolve, reject) => {
      const { runTimeoutMs } = this.#options;
      const timer = setTimeout(() => {
        this.#down(worker, `no answer to a batch within ${String(runTimeoutMs)} ms`);
      }, runTimeoutMs).unref();
      this.#pending.set(id, { trackIds: batch.items.map(({ trackId }) => trackId), tornRows, timer, resolve, reject });
    });
  }

  release(trackId: string): void {
    if (this.#feed.forget(trackId)) this.#worker?.postMessage({ kind: 'release', trackId } satisfies EngineRequest);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    const worker = this.#worker;
    this.#worker = null;
    this.#ready = false;
    this.#feed.clear();
    this.#rejectAll('it was closed');
    if (worker === null) return;
    const exited = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        resolve();
      });
    });
    retire(worker);
    await withinMs(exited, closeTimeoutMs);
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      const worker = this.#options.spawn({ session: this.#options.thread, bell: this.#options.bell });
      this.#worker = worker;
      const fail = (code: 'UT_ENGINE_UNAVAILABLE' | 'UT_MODEL_INVALID', message: string, cause?: unknown): void => {
        clearTimeout(timer);
        reject(new UndertoneError(code, message, { cause }));
        this.#down(worker, message);
      };
      const { startTimeoutMs } = this.#options;
      const timer = setTimeout(() => {
        fail('UT_ENGINE_UNAVAILABLE', `Expected engine \`${this.name}\` to load within ${String(startTimeoutMs)} ms, got nothing`);
      }, startTimeoutMs);
      worker.on('message', (reply: EngineReply) => {
        if (reply.kind === 'unavailable') {
          fail(reply.code, `Expected engine \`${this.name}\` to load, got: ${reply.message}`);
        } else if (reply.kind === 'ready') {
          if (worker !== this.#worker) return;
          clearTimeout(timer);
          this.#ready = true;
          this.detail = reply.detail;
          resolve();
        } else if (worker === this.#worker) {
          this.#settle(reply);
        }
      });
      worker.on('error', (error) => {
        fail('UT_ENGINE_UNAVAILABLE', `Expected engine \`${this.name}\` to run, got an error in its thread: ${messageOf(error)}`, error);
      });
      worker.on('messageerror', (error) => {
        fail('UT_ENGINE_UNAVAILABLE', `Expected a readable message of engine \`${this.name}\`, got: ${messageOf(error)}`, error);
      });
      worker.on('exit', (exitCode) => {
        fail(
          'UT_ENGINE_UNAVAILABLE',
          `Expected engine \`${this.name}\` to stay up, got an exit of its thread with code ${String(exitCode)}`,
        );
      });
    });
  }

  #pack(windows: readonly EngineWindow[]): PackedBatch {
    try {
      return this.#feed.pack(windows);
    } catch (error) {
      throw this.#failure(`Expected windows of the model's size, got: ${messageOf(error)}`);
    }
  }

  #settle(reply: Extract<EngineReply, { kind: 'result' | 'error' }>): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    clearTimeout(pending.timer);
    if (reply.kind === 'error') {
      // The thread has forgotten their streams, too.
      for (const trackId of pending.trackIds) this.#feed.forget(trackId);
      pending.reject(this.#failure(`Expected engine \`${this.name}\` to run a batch, got: ${reply.message}`));
      this.#failedBatches += 1;
      const worker = this.#worker;
      if (this.#failedBatches < this.#options.maxFailedBatches || worker === null) return;
      this.#down(worker, `${String(this.#failedBatches)} batches failed one after another, the last: ${reply.message}`);
    } else {
      this.#failures = 0;
      this.#failedBatches = 0;
      this.#spoil(pending, reply.logits);
      pending.resolve(reply.logits);
    }
  }

  /** Scores of what was not the caller's window are no scores, and its stream is none to go on with. */
  #spoil({ trackIds, tornRows }: Pending, logits: Float32Array): void {
    const { labelCount } = this.#options.thread.shape;
    for (const row of tornRows) {
      logits.fill(NaN, row * labelCount, (row + 1) * labelCount);
      this.release(trackIds[row] ?? '');
    }
  }

  /** Gives a thread up, once: rejects what it owes, and has it replaced if it had come up. */
  #down(worker: Worker, reason: string): void {
    if (worker !== this.#worker) return;
    const wasReady = this.#ready;
    this.#worker = null;
    this.#ready = false;
    this.#failedBatches = 0;
    this.#feed.clear();
    this.#rejectAll(reason);
    retire(worker);
    if (wasReady) this.#restartLater(reason);
  }

  #restartLater(reason: string): void {
    if (this.#closed) return;
    const { restartDelayMs, maxRestartDelayMs, logger } = this.#options;
    const delayMs = Math.min(restartDelayMs * 2 ** this.#failures, maxRestartDelayMs);
    this.#failures = Math.min(this.#failures + 1, 30);
    logger.warn({ engine: this.name, reason, delayMs }, 'inference thread ended, starting another');
    this.#restartTimer = setTimeout(() => {
      this.#start().then(
        () => {
          logger.info({ engine: this.name }, 'inference thread is up again');
        },
        (error: unknown) => {
          this.#restartLater(messageOf(error));
        },
      );
    }, delayMs);
  }

  #rejectAll(reason: string): void {
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const one of pending) {
      clearTimeout(one.timer);
      one.reject(this.#failure(`Expected engine \`${this.name}\` to answer a batch, but its thread ended: ${reason}`));
    }
  }

  #failure(message: string): UndertoneError {
    return new UndertoneError('UT_ENGINE_FAILED', message, { retryable: !this.#closed });
  }
}

/** Starts an inference thread. */
export function spawnEngineThread(thread: EngineThreadData): Worker {
  return new Worker(new URL('./engine-worker.ts', import.meta.url), {
    workerData: thread,
    name: 'undertone-inference',
    resourceLimits: threadLimits,
  });
}

/**
 * Tells a thread to end after the batch that it is at, and no longer keeps the process up for it. It is never
 * terminated: onnxruntime's binding aborts the whole process when its thread is cut off within a native call.
 */
function retire(worker: Worker): void {
  worker.postMessage({ kind: 'close' } satisfies EngineRequest);
  worker.unref();
}

/** Resolves with the promise or after a time, whichever is first. */
async function withinMs(promise: Promise<unknown>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}
