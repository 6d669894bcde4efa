// A pool of mediasoup workers, each with a WebRtcServer; one that dies is replaced at once.
import { availableParallelism } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { createWorker, type types } from 'mediasoup';
import { Subject, type Observable } from 'rxjs';
import { UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import { mediaFailed } from './media-error.ts';

/** How many workers run, and where they listen. */
export interface WorkerPoolOptions {
  /** mediasoup workers, each of which uses one core at most. @default one for every two cores, at least one */
  readonly workerCount?: number;
  /** Path of the worker binary. @default mediasoup's own */
  readonly workerBin?: string;
  /** Address on which media is received, UDP and TCP. @default '127.0.0.1' */
  readonly listenIp?: string;
  /** Address that clients are told instead, for servers behind NAT. */
  readonly announcedAddress?: string;
  /** Port of the first worker, the next worker takes the next one; 0 lets mediasoup choose. @default 0 */
  readonly port?: number;
  readonly logger?: Logger;
}

/** A running worker. */
export interface MediaWorker {
  readonly worker: types.Worker;
  readonly webRtcServer: types.WebRtcServer;
  /** What it carries: one for each `acquire`, which its user takes off again, and whatever the user adds meanwhile. */
  load: number;
}

interface Slot {
  readonly index: number;
  live: MediaWorker | undefined;
  /** Settles when the worker, or its replacement, runs or has failed to start. */
  starting: Promise<MediaWorker>;
  /** Deaths and failed starts since it last ran well. */
  failures: number;
}

/** A worker that lived this long was healthy: its death is met with a new one at once, however many died before. */
const healthyAfterMs = 10_000;
const firstRetryMs = 250;
/** Also the longest that a new call waits for a worker. */
const maxRetryMs = 5_000;
/** Workers that do not end in this time are left to the operating system. */
const closeTimeoutMs = 2_000;

/** Runs the workers. Made by `WorkerPool.create`. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #slots: Slot[];
  readonly #deaths = new Subject<MediaWorker>();
  readonly #abort = new AbortController();
  #closing: Promise<void> | undefined;

  private constructor(options: WorkerPoolOptions, workerCount: number) {
    this.#options = options;
    this.#slots = Array.from({ length: workerCount }, (_, index) => {
      const slot: Slot = { index, live: undefined, starting: neverStarted(), failures: 0 };
      return slot;
    });
  }

  /** Starts every worker. @throws UndertoneError UT_MEDIA_FAILED if one cannot start, after closing the others. */
  static async create(options: WorkerPoolOptions = {}): Promise<WorkerPool> {
    const workerCount = options.workerCount ?? defaultWorkerCount();
    if (!Number.isInteger(workerCount) || workerCount < 1) {
      throw new UndertoneError('UT_CONFIG_INVALID', `Expected \`workerCount\` to be a positive integer, got \`${String(workerCount)}\``);
    }
    const pool = new WorkerPool(options, workerCount);
    const started = await Promise.allSettled(pool.#slots.map((slot) => pool.#start(slot)));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      await pool.close();
      throw mediaFailed('every mediasoup worker to start', failed.reason);
    }
    return pool;
  }

  /** Each worker that died, hot; its routers are closed already. Completes on `close()`. */
  get deaths$(): Observable<MediaWorker> {
    return this.#deaths.asObservable();
  }

  /** Whether at least one worker runs. */
  get ready(): boolean {
    return this.#closing === undefined && this.#live().length > 0;
  }

  /** Process ids of the workers that run. */
  get pids(): readonly number[] {
    return this.#live().map((live) => live.worker.pid);
  }

  /**
   * The worker with the least load, which grows by one; waits for a replacement where all have died.
   * @throws UndertoneError UT_MEDIA_FAILED (retryable) where none can be had.
   */
  async acquire(): Promise<MediaWorker> {
    if (this.#closing !== undefined) throw new UndertoneError('UT_MEDIA_FAILED', 'Expected an open worker pool, got a closed one');
    const chosen = leastLoaded(this.#live()) ?? (await this.#nextStarted());
    chosen.load += 1;
    return chosen;
  }

  /** Ends every worker process. Safe to call twice. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #live(): MediaWorker[] {
    // mediasoup closes its workers by itself on SIGINT and SIGTERM, so a worker may be closed without having died.
    return this.#slots.flatMap((slot) => (slot.live === undefined || slot.live.worker.closed ? [] : [slot.live]));
  }

  async #nextStarted(): Promise<MediaWorker> {
    try {
      return await Promise.any(this.#slots.map((slot) => slot.starting));
    } catch (error) {
      throw mediaFailed('a mediasoup worker that takes the call', error, true);
    }
  }

  #start(slot: Slot, delayMs = 0): Promise<MediaWorker> {
    const wait = delayMs === 0 ? Promise.resolve() : delay(delayMs, undefined, { ref: false, signal: this.#abort.signal });
    slot.starting = wait.then(() => this.#spawn(slot));
    // Whoever needs the worker awaits `starting` itself; without one, a failure must not end the process.
    slot.starting.catch(() => undefined);
    return slot.starting;
  }

  async #spawn(slot: Slot): Promise<MediaWorker> {
    const { workerBin, listenIp = '127.0.0.1', announcedAddress, port = 0 } = this.#options;
    const worker = await createWorker({ logLevel: 'error', ...(workerBin === undefined ? {} : { workerBin }) });
    const listen = {
      ip: listenIp,
      ...(announcedAddress === undefined ? {} : { announcedAddress }),
      ...(port === 0 ? {} : { port: port + slot.index }),
    };
    let webRtcServer: types.WebRtcServer;
    try {
      webRtcServer = await worker.createWebRtcServer({
        listenInfos: [
          { protocol: 'udp', ...listen },
          { protocol: 'tcp', ...listen },
        ],
      });
    } catch (error) {
      worker.close();
      throw error;
    }
    if (this.#closing !== undefined) {
      worker.close();
      throw new UndertoneError('UT_MEDIA_FAILED', 'Expected an open worker pool, got one that closed meanwhile');
    }
    const live: MediaWorker = { worker, webRtcServer, load: 0 };
    const startedAtMs = performance.now();
    slot.live = live;
    worker.on('died', (error) => {
      this.#onDeath(slot, live, performance.now() - startedAtMs, error);
    });
    return live;
  }

  #onDeath(slot: Slot, dead: MediaWorker, livedMs: number, error: Error): void {
    slot.live = undefined;
    if (this.#closing !== undefined) return;
    this.#options.logger?.error({ pid: dead.worker.pid, err: error }, 'A media worker died');
    if (livedMs >= healthyAfterMs) slot.failures = 0;
    this.#restart(slot);
    this.#deaths.next(dead);
  }

  #restart(slot: Slot): void {
    const delayMs = slot.failures === 0 ? 0 : Math.min(maxRetryMs, firstRetryMs * 2 ** (slot.failures - 1));
    slot.failures += 1;
    this.#start(slot, delayMs).then(
      (live) => {
        this.#options.logger?.info({ pid: live.worker.pid }, 'A media worker was replaced');
      },
      (error: unknown) => {
        if (this.#closing !== undefined) return;
        this.#options.logger?.error({ err: error }, 'A media worker could not be replaced; trying again');
        this.#restart(slot);
      },
    );
  }

  async #close(): Promise<void> {
    const workers = this.#slots.flatMap((slot) => (slot.live === undefined ? [] : [slot.live.worker]));
    this.#abort.abort();
    this.#deaths.complete();
    await Promise.all(workers.map(endWorker));
    // A start that was under way sees the flag, closes its own worker, and rejects.
    await Promise.allSettled(this.#slots.map((slot) => slot.starting));
  }
}

function leastLoaded([first, ...others]: readonly MediaWorker[]): MediaWorker | undefined {
  return others.reduce((least, other) => (least === undefined || other.load < least.load ? other : least), first);
}

async function endWorker(worker: types.Worker): Promise<void> {
  if (worker.subprocessClosed) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, closeTimeoutMs);
    worker.once('subprocessclose', () => {
      clearTimeout(timer);
      resolve();
    });
    worker.close();
  });
}

function neverStarted(): Promise<MediaWorker> {
  const rejected = Promise.reject<MediaWorker>(
    new UndertoneError('UT_MEDIA_FAILED', 'Expected a started worker, got one that was never started'),
  );
  rejected.catch(() => undefined);
  return rejected;
}

/** One for every two cores: the other stages need cores as well, and of fewer workers each hands more packets over at once. */
function defaultWorkerCount(): number {
  return Math.max(1, Math.floor(availableParallelism() / 2));
}
