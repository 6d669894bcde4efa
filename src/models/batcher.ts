// Gathers the windows of all calls into batches for the engine: bounded, fair, and never late.
import type { Clock } from '../clock.ts';
import { UndertoneError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import type { FeatureWindow } from '../pipeline/types.ts';
import { calibrate } from './calibrate.ts';
import { FairQueue, type Queued } from './fair-queue.ts';
import { featureCount } from './manifest.ts';
import type { Engine, ModelManifest, Posterior, ScoredWindow } from './types.ts';

/** Why a window has no score: a newer one of its track took its place, it waited too long, or the engine failed on it. */
export type LostFate = 'superseded' | 'expired' | 'failed';

/** How windows are gathered. */
export interface BatchingOptions {
  /** Most windows in a batch. @default 8 */
  readonly maxBatch?: number;
  /** Longest wait for a batch to fill, ms; for windows that come later than so long after their last packet, less by what they are later. @default 10 */
  readonly maxQueueMs?: number;
  /** A window whose last packet came longer ago than this is dropped rather than scored, ms. @default 2000 */
  readonly maxAgeMs?: number;
  /** Batches with the engine at once. @default 1 */
  readonly maxInFlight?: number;
}

/**
 * Options of a {@link Batcher}. Each submitted window comes back through exactly one of `onScored` and `onLost`, unless
 * its track was cancelled or the batcher closed; the scores of one track come in the order of its windows.
 */
export interface BatcherOptions extends BatchingOptions {
  readonly engine: Engine;
  readonly manifest: Pick<ModelManifest, 'labels' | 'windowFrames' | 'contextFrames' | 'hopFrames' | 'temperature'>;
  readonly clock: Clock;
  readonly metrics?: Pick<Metrics, 'windows' | 'batchSize' | 'queueMs' | 'inferenceMs'>;
  readonly onScored: (scored: ScoredWindow) => void;
  readonly onLost: (window: ScoredWindow['window'], fate: LostFate) => void;
  /** Told of each batch or window that the engine failed on. */
  readonly onError?: (error: unknown) => void;
}

/** What is held of a track while any of its windows is waiting or with the engine: one of each at most. */
interface Track {
  waiting: Waiting | null;
  inFlight: FeatureWindow | null;
  cancelled: boolean;
}

interface Waiting extends Queued {
  readonly window: FeatureWindow;
  readonly track: Track;
}

const defaults = { maxBatch: 8, maxQueueMs: 10, maxAgeMs: 2000, maxInFlight: 1 };

/**
 * A batch leaves when it is full or its oldest window has waited `maxQueueMs`, or came late by as much, and the engine has room for it. A track
 * has at most one window waiting (the newest wins) and one with the engine, so nothing grows under overload: the hop
 * widens instead.
 */
export class Batcher {
  readonly #options: Required<Omit<BatcherOptions, 'metrics' | 'onError'>> & Pick<BatcherOptions, 'metrics' | 'onError'>;
  readonly #tracks = new Map<string, Track>();
  /** Windows that may leave: those of tracks with none at the engine. */
  readonly #queue = new FairQueue<Waiting>();
  readonly #running = new Set<Promise<void>>();
  /** How long any batch has been with the engine, up to when the present ones began, ms. */
  #busyMs = 0;
  #busySinceMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #timerDueMs = 0;
  #closing: Promise<void> | undefined;

  constructor(options: BatcherOptions) {
    this.#options = { ...defaults, ...options };
  }

  /** Windows waiting and windows with the engine, over all tracks. */
  get pending(): number {
    let pending = 0;
    for (const track of this.#tracks.values()) pending += Number(track.waiting !== null) + Number(track.inFlight !== null);
    return pending;
  }

  /** Arrival of the oldest window that is still to be scored, as they tell it, ms; Infinity of none. */
  get oldestArrivalMs(): number {
    let oldest = Infinity;
    for (const { waiting, inFlight } of this.#tracks.values()) {
      oldest = Math.min(oldest, waiting?.window.arrivalMs ?? Infinity, inFlight?.arrivalMs ?? Infinity);
    }
    return oldest;
  }

  /** How long the engine has had a batch since the beginning, ms. */
  get busyMs(): number {
    return this.#busyMs + (this.#running.size > 0 ? this.#options.clock.nowMs() - this.#busySinceMs : 0);
  }

  /** Takes a window. Ignored once closed. */
  submit(window: FeatureWindow): void {
    if (this.#closing !== undefined) {
      this.#count('cancelled');
      return;
    }
    const fault = this.#faultOf(window);
    if (fault !== null) {
      this.#options.onError?.(new UndertoneError('UT_ENGINE_FAILED', `Expected a window of the manifest's size, got ${fault}`));
      this.#lose(window, 'failed');
      return;
    }
    const { callId, trackId } = window.track;
    const track = this.#trackOf(trackId);
    const superseded = track.waiting;
    const { clock, maxQueueMs } = this.#options;
    // The successor inherits the wait, so that a stream of new windows cannot put off their track's turn. And who had to wait for more than
    // company, above all behind a pause in the speech, does not wait for that as well.
    const sinceMs = superseded?.sinceMs ?? Math.min(clock.nowMs(), window.arrivalMs + maxQueueMs);
    track.waiting = { window, callId, trackId, sinceMs, track };
    if (track.inFlight === null) this.#queue.put(track.waiting);
    if (superseded !== null) this.#lose(superseded.window, 'superseded');
    this.#pump();
  }

  /** Whether a window of the track is waiting or with the engine. */
  has(trackId: string): boolean {
    return this.#tracks.has(trackId);
  }

  /**
   * Forgets a track: its waiting window is dropped, what the engine still says of it is withheld, and what the engine keeps
   * of it is freed. Nothing of the track comes back after this returns.
   */
  cancelTrack(trackId: string): void {
    this.#options.engine.release(trackId);
    const track = this.#tracks.get(trackId);
    if (track === undefined) return;
    this.#tracks.delete(trackId);
    track.cancelled = true;
    if (track.waiting === null) return;
    this.#queue.remove(track.waiting.callId, trackId);
    track.waiting = null;
    this.#count('cancelled');
  }

  /** Drops what waits, withholds what is with the engine, and resolves once the engine has let go of it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    clearTimeout(this.#timer);
    for (const trackId of [...this.#tracks.keys()]) this.cancelTrack(trackId);
    await Promise.all(this.#running);
  }

  /** Sends batches while there are due ones and room for them, then sets the timer for the next. */
  #pump(): void {
    const { clock, maxBatch, maxQueueMs, maxInFlight } = this.#options;
    while (this.#queue.size > 0 && this.#running.size < maxInFlight && this.#closing === undefined) {
      const waitMs = this.#queue.oldestSinceMs + maxQueueMs - clock.nowMs();
      if (this.#queue.size < maxBatch && waitMs > 0) {
        this.#wake(Math.ceil(waitMs));
        return;
      }
      this.#dispatch();
    }
    if (this.#queue.size === 0) this.#rest();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Looks again in time. A timer that comes earlier is left as it is, for each window would else set another. */
  #wake(afterMs: number): void {
    const dueMs = performance.now() + afterMs;
    if (this.#timer !== undefined && this.#timerDueMs <= dueMs) return;
    clearTimeout(this.#timer);
    this.#timerDueMs = dueMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#pump();
    }, afterMs);
  }

  #dispatch(): void {
    const { clock, maxBatch, maxAgeMs } = this.#options;
    const nowMs = clock.nowMs();
    const batch: Waiting[] = [];
    const expired: Waiting[] = [];
    while (batch.length < maxBatch) {
      const waiting = this.#queue.take();
      if (waiting === undefined) break;
      waiting.track.waiting = null;
      if (nowMs - waiting.window.arrivalMs > maxAgeMs) {
        expired.push(waiting);
        this.#release(waiting);
      } else {
        waiting.track.inFlight = waiting.window;
        batch.push(waiting);
      }
    }
    if (batch.length > 0) {
      if (this.#running.size === 0) this.#busySinceMs = nowMs;
      const run = this.#run(batch, nowMs).finally(() => {
        if (this.#running.size === 1) this.#busyMs += clock.nowMs() - this.#busySinceMs;
        this.#running.delete(run);
        this.#pump();
      });
      this.#running.add(run);
    }
    for (const { window } of expired) this.#lose(window, 'expired');
  }

  async #run(batch: readonly Waiting[], startedMs: number): Promise<void> {
    const { engine, manifest, clock, metrics } = this.#options;
    metrics?.batchSize.observe(batch.length);
    for (const { window } of batch) metrics?.queueMs.observe(Math.max(0, startedMs - window.arrivalMs));
    let logits: Float32Array | null = null;
    try {
      logits = await engine.run(batch.map(({ trackId, window: { endFrame, blocks } }) => ({ trackId, endFrame, blocks })));
      metrics?.inferenceMs.observe(clock.nowMs() - startedMs);
      const expected = batch.length * manifest.labels.length;
      if (logits.length !== expected) {
        throw new UndertoneError('UT_ENGINE_FAILED', `Expected ${String(expected)} logits, got ${String(logits.length)}`);
      }
    } catch (error) {
      logits = null;
      this.#options.onError?.(error);
    }
    for (const [row, waiting] of batch.entries()) {
      try {
        this.#deliver(waiting, this.#posterior(logits, row));
      } catch (error) {
        // A receiver's fault with one track's score must not cost the other tracks theirs.
        this.#options.onError?.(error);
      }
    }
  }

  /** The posterior of one row; null where the engine gave none or none that means anything. */
  #posterior(logits: Float32Array | null, row: number): Posterior | null {
    if (logits === null) return null;
    const { labels, temperature } = this.#options.manifest;
    try {
      return calibrate(logits.subarray(row * labels.length, (row + 1) * labels.length), temperature);
    } catch (error) {
      this.#options.onError?.(error);
      return null;
    }
  }

  #deliver(waiting: Waiting, posterior: Posterior | null): void {
    if (waiting.track.cancelled) {
      this.#count('cancelled');
      return;
    }
    waiting.track.inFlight = null;
    this.#release(waiting);
    if (posterior === null) {
      this.#lose(waiting.window, 'failed');
      return;
    }
    this.#count('scored');
    this.#options.onScored({ window: withoutBlocks(waiting.window), posterior });
  }

  /** Lets a track's next window leave, or forgets the track if it has none. */
  #release({ track, trackId }: Waiting): void {
    if (track.waiting !== null) this.#queue.put(track.waiting);
    else if (track.inFlight === null) this.#tracks.delete(trackId);
  }

  #trackOf(trackId: string): Track {
    let track = this.#tracks.get(trackId);
    if (track === undefined) {
      track = { waiting: null, inFlight: null, cancelled: false };
      this.#tracks.set(trackId, track);
    }
    return track;
  }

  /**
   * What of a window is not the manifest's; null where all is. Of the blocks the newest, for each was that once: to look at all of them again
   * costs more than the rest of a window's way to its batch.
   */
  #faultOf({ blocks, endFrame }: FeatureWindow): string | null {
    const { windowFrames, contextFrames, hopFrames } = this.#options.manifest;
    if (blocks.length * hopFrames < contextFrames + windowFrames) return `${String(blocks.length)} blocks of ${String(hopFrames)} frames`;
    if (!(endFrame > 0 && endFrame % hopFrames === 0)) return `one that ends at frame ${String(endFrame)}`;
    const newest = blocks.at(-1) ?? null;
    if (newest === null || (newest.features.length === hopFrames * featureCount && newest.mask.length === hopFrames)) return null;
    return `a block of ${String(newest.features.length)} features and a mask of ${String(newest.mask.length)}`;
  }

  #lose(window: FeatureWindow, fate: LostFate): void {
    this.#count(fate);
    this.#options.onLost(withoutBlocks(window), fate);
  }

  #count(fate: 'scored' | 'cancelled' | LostFate): void {
    this.#options.metrics?.windows.inc({ fate });
  }
}

function withoutBlocks(window: FeatureWindow): ScoredWindow['window'] {
  const { blocks: _blocks, ...rest } = window;
  return rest;
}
