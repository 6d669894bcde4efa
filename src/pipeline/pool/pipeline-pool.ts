// Callers over pipeline threads: each stays with one, and finds another where that one dies.
import { Worker } from 'node:worker_threads';
import { Observable } from 'rxjs';
import { UndertoneError } from '../../errors.ts';
import type { Logger } from '../../log.ts';
import { threadLimits } from '../../thread-limits.ts';
import type { Metrics } from '../../metrics.ts';
import { decoderFactory } from '../codec.ts';
import type { CallerOptions, CallerPipelines, OpenedCaller, PipelinePressure } from '../pipelines.ts';
import type { CallerOutput } from '../types.ts';
import { PipelineLane, type LaneLimits } from './pipeline-lane.ts';
import { PacketPause } from './packet-pause.ts';
import { RemoteCaller } from './remote-caller.ts';
import { RingStore } from './ring-store.ts';
import { ToldClock } from './told-clock.ts';

/** What a {@link PipelinePool} is made from. */
export interface PipelinePoolOptions extends LaneLimits {
  /** Threads, at least one. */
  readonly threads: number;
  /** How long this thread sleeps at most so that packets gather, ms; see {@link PacketPause}. @default 0: never */
  readonly gatherMs?: number | undefined;
  /**
   * Media of a caller that may come while a window of theirs waits, ms. @default 2000: as long as windows and packets may wait
   * (`batching.maxAgeMs`, `maxUnansweredMs`)
   */
  readonly spareMs?: number | undefined;
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
  /** Starts a thread. @default a Worker on pipeline-worker.ts */
  readonly spawn?: () => Worker;
}

const defaultSpareMs = 2000;

/**
 * Runs the front ends of callers in threads of their own. A new caller goes to the thread with the fewest. Where a thread
 * dies, its callers are opened anew in those that are up; until there is one, their packets are dropped and counted.
 */
export class PipelinePool implements CallerPipelines {
  readonly #lanes: readonly PipelineLane[];
  readonly #pause: PacketPause;
  readonly #waiting = new Set<RemoteCaller>();
  readonly #metrics: Metrics | undefined;
  readonly #rings: RingStore;
  #collected: readonly (Usage | null)[] = [];
  #pressed: readonly (Usage | null)[] = [];
  #closed = false;
  #closing: Promise<void> | undefined;

  readonly #collect = (): void => {
    const now = this.#usages();
    const shares = sharesSince(now, this.#collected);
    this.#collected = now;
    this.#metrics?.pipelineUtilization.set({ of: 'mean' }, shares.reduce((sum, share) => sum + share, 0) / shares.length);
    this.#metrics?.pipelineUtilization.set({ of: 'max' }, Math.max(...shares));
  };

  constructor({
    threads,
    gatherMs = 0,
    spareMs = defaultSpareMs,
    spawn = spawnPipelineThread,
    logger,
    metrics,
    ...limits
  }: PipelinePoolOptions) {
    this.#metrics = metrics;
    this.#rings = new RingStore({ spareMs });
    this.#pause = new PacketPause({
      everyMs: gatherMs,
      onTaken: () => {
        this.flush();
      },
    });
    this.#lanes = Array.from(
      { length: threads },
      () =>
        new PipelineLane({
          ...limits,
          spawn,
          pause: this.#pause,
          logger,
          metrics,
          onDown: (orphans) => {
            for (const caller of orphans) caller.orphaned();
          },
          onUp: () => {
            this.#placeWaiting();
          },
        }),
    );
    metrics?.beforeCollect.add(this.#collect);
  }

  get pausedMs(): number {
    return this.#pause.pausedMs;
  }

  get bell(): SharedArrayBuffer {
    return this.#pause.bell;
  }

  get ready(): boolean {
    return !this.#closed && this.#lanes.some((lane) => lane.ready);
  }

  /** Callers of each thread, those included whose end is awaited. */
  get sizes(): readonly number[] {
    return this.#lanes.map((lane) => lane.size);
  }

  async started(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.started));
  }

  open(options: CallerOptions): OpenedCaller {
    if (this.#closed) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected open pipeline threads, got closed ones');
    // Refused here, and not by the thread later.
    decoderFactory(options.track.codec, options);
    const clock = new ToldClock();
    return {
      clock,
      pipeline: (source) =>
        new Observable<CallerOutput>((subscriber) => {
          const rings = this.#rings;
          const caller = new RemoteCaller({ ...options, clock, rings, onOrphaned: (orphan) => this.#place(orphan) }, subscriber);
          subscriber.add(() => {
            this.#waiting.delete(caller);
            caller.withdraw();
          });
          this.#place(caller);
          subscriber.add(
            source.subscribe({
              next: (packet) => {
                caller.take(packet);
              },
              error: (error: unknown) => {
                subscriber.error(error);
              },
              complete: () => {
                this.#waiting.delete(caller);
                caller.end();
              },
            }),
          );
        }),
    };
  }

  flush(): void {
    for (const lane of this.#lanes) lane.flush();
  }

  takePressure(): PipelinePressure {
    const now = this.#usages();
    const shares = sharesSince(now, this.#pressed);
    this.#pressed = now;
    return { lagMs: Math.max(...this.#lanes.map((lane) => lane.lagMs)), busyShare: Math.max(...shares) };
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
    this.#metrics?.beforeCollect.delete(this.#collect);
    const closed = this.#lanes.map((lane) => lane.close());
    for (const caller of [...this.#waiting]) caller.end();
    this.#waiting.clear();
    await Promise.all(closed);
  }

  #usages(): readonly (Usage | null)[] {
    return this.#lanes.map((lane) => lane.utilization());
  }

  #place(caller: RemoteCaller): void {
    const up = this.#lanes.filter((lane) => lane.up);
    const best = up.reduce<PipelineLane | undefined>(
      (least, lane) => (least === undefined || lane.size < least.size ? lane : least),
      undefined,
    );
    if (this.#closed) caller.end();
    else if (best === undefined) this.#waiting.add(caller);
    else caller.enter(best);
  }

  #placeWaiting(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const caller of waiting) this.#place(caller);
  }
}

/** Starts a pipeline thread. */
export function spawnPipelineThread(): Worker {
  return new Worker(new URL('./pipeline-worker.ts', import.meta.url), { name: 'undertone-pipeline', resourceLimits: threadLimits });
}

type Usage = NonNullable<ReturnType<PipelineLane['utilization']>>;

function sharesSince(now: readonly (Usage | null)[], before: readonly (Usage | null)[]): number[] {
  return now.map((usage, index) => shareSince(usage, before[index] ?? null));
}

/** Busy share since the last reading; since its start for a thread that is new. */
function shareSince(now: Usage | null, before: Usage | null): number {
  if (now === null) return 0;
  const replaced = before === null || before.active > now.active;
  const active = now.active - (replaced ? 0 : before.active);
  const idle = now.idle - (replaced ? 0 : before.idle);
  return active + idle > 0 ? active / (active + idle) : 0;
}
