// The stage as the rest of the server sees it: windows and speech of any number of tracks in, emotion outputs out.
import { Subject, type Observable } from 'rxjs';
import { systemClock, type Clock } from '../clock.ts';
import { messageOf, UndertoneError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { FeatureWindow, FrontEndSpec, SpeechChange } from '../pipeline/types.ts';
import { BatcherPool, type BatcherPoolOptions } from './batcher-pool.ts';
import type { BatchingOptions, LostFate } from './batcher.ts';
import { GapTracker } from './gap-tracker.ts';
import { loadEngines, type EngineName, type LoadEngineOptions } from './load-engine.ts';
import { LoadMeter, type WindowPressure } from './load-meter.ts';
import { frontEndSpec, loadManifest, type LoadedModel } from './manifest.ts';
import { Smoother, type SmoothingOptions } from './smoother.ts';
import type { EmotionOutput, Engine, Gap, ModelManifest, ScoredWindow } from './types.ts';

type Track = FeatureWindow['track'];

/** What {@link EmotionService.open} and its constructor share. */
interface CommonOptions {
  readonly logger: Logger;
  /** @default systemClock */
  readonly clock?: Clock;
  readonly metrics?: NonNullable<BatcherPoolOptions['metrics']> & Partial<Pick<Metrics, 'inferenceThreads'>>;
  readonly batching?: BatchingOptions;
  readonly smoothing?: SmoothingOptions;
  /** Age of a window at its score from which it counts as late in {@link EmotionService.takePressure}, ms. @default 320 */
  readonly lateMs?: number;
}

/** Options of {@link EmotionService.open}. */
export interface EmotionServiceOptions extends CommonOptions {
  /** Folder of the model's manifest. */
  readonly modelDir: string;
  /** @default 'auto' */
  readonly engine?: EngineName;
  /** Engine sessions, each in a thread of its own. @default 1 */
  readonly threads?: number;
  /** As {@link ThreadEngineOptions.bell}. */
  readonly bell?: SharedArrayBuffer | undefined;
  /** Threads that one session may use within an operator. @default 1 */
  readonly intraOpNumThreads?: number;
  /** What the CPU engine runs the head in. @default 'int16' */
  readonly precision?: LoadEngineOptions['precision'];
  /** As {@link LoadEngineOptions.native}. */
  readonly native?: boolean;
}

/** Options of the constructor of {@link EmotionService}: parts that are loaded already. The service owns the engines. */
export interface EmotionServiceParts extends CommonOptions {
  readonly model: LoadedModel;
  /** Run side by side; at least one. */
  readonly engines: readonly Engine[];
}

interface Entry {
  readonly track: Track;
  readonly smoother: Smoother;
  readonly gaps: GapTracker;
  /** Set while the track closes and waits for its last windows. */
  closing: { readonly done: Promise<void>; readonly finish: () => void } | null;
}

/** Time that windows with the engine get to come back when the service closes, ms. */
const drainMs = 500;
const errorLogIntervalMs = 1000;
const defaultLateMs = 320;

/** Scores windows of all tracks in shared batches, and smooths each track by itself. */
export class EmotionService {
  readonly manifest: ModelManifest;
  /** What the pipeline must be built with for this model. */
  readonly frontEnd: FrontEndSpec;
  readonly #engines: readonly Engine[];
  readonly #batchers: BatcherPool;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #smoothing: SmoothingOptions;
  readonly #tracks = new Map<string, Entry>();
  readonly #outputs = new Subject<EmotionOutput>();
  readonly #meter: LoadMeter;
  #lastErrorLogMs = -Infinity;
  #closing: Promise<void> | undefined;

  /** Hot; completes when the service closes. Receivers must not throw. */
  readonly outputs$: Observable<EmotionOutput> = this.#outputs.asObservable();

  constructor(parts: EmotionServiceParts) {
    const { model, engines, logger, clock = systemClock, metrics, batching, smoothing = {}, lateMs = defaultLateMs } = parts;
    this.manifest = model.manifest;
    this.frontEnd = frontEndSpec(model.manifest);
    this.#engines = engines;
    this.#logger = logger;
    this.#clock = clock;
    this.#smoothing = smoothing;
    this.#meter = new LoadMeter({
      lateMs,
      busyMs: () => this.#batchers.busyMs,
      oldestArrivalMs: () => this.#batchers.oldestArrivalMs,
      nowMs: clock.nowMs(),
    });
    for (const { name } of engines) metrics?.inferenceThreads?.inc({ engine: name });
    this.#batchers = new BatcherPool({
      ...batching,
      ...(metrics === undefined ? {} : { metrics }),
      engines,
      manifest: model.manifest,
      clock,
      onScored: (scored) => {
        this.#scored(scored);
      },
      onLost: (window, fate) => {
        this.#lost(window, fate);
      },
      onError: (error) => {
        this.#logError(error);
      },
    });
  }

  /** How windows fared since the last reading. */
  takePressure(): WindowPressure {
    return this.#meter.take(this.#clock.nowMs());
  }

  /** Loads the model and its engines. Rejects as {@link loadManifest} and {@link loadEngines} do. */
  static async open(options: EmotionServiceOptions): Promise<EmotionService> {
    const {
      modelDir,
      engine: name = 'auto',
      threads = 1,
      intraOpNumThreads = 1,
      precision = 'int16',
      native = true,
      bell,
      ...common
    } = options;
    const model = await loadManifest(modelDir);
    const maxBatch = options.batching?.maxBatch;
    const sizes = { threads, intraOpNumThreads, ...(maxBatch === undefined ? {} : { maxBatch }) };
    const engines = await loadEngines({ model, name, precision, native, bell, ...sizes, logger: options.logger });
    return new EmotionService({ ...common, model, engines });
  }

  /** Whether windows are being scored: false while no engine thread is up, and once closed. */
  get ready(): boolean {
    return this.#closing === undefined && this.#engines.some((engine) => engine.ready);
  }

  get engineName(): string {
    return this.#engines[0]?.name ?? 'none';
  }

  /** Tracks that are open. */
  get trackCount(): number {
    return this.#tracks.size;
  }

  /** Begins a track. Throws UT_REQUEST_INVALID where it is open already or the service is closed. */
  openTrack(track: Track): void {
    const { trackId } = track;
    if (this.#closing !== undefined || this.#tracks.has(trackId)) {
      const got = this.#closing === undefined ? 'one that is open already' : 'one after the service was closed';
      throw new UndertoneError('UT_REQUEST_INVALID', `Expected \`trackId\` to be a new track, got ${got}: \`${trackId}\``);
    }
    const { manifest } = this;
    const smoother = new Smoother({ ...this.#smoothing, manifest, track });
    const gaps = new GapTracker({ frameSamples: manifest.hopSamples });
    this.#tracks.set(trackId, { track, smoother, gaps, closing: null });
  }

  /** Takes the next window of an open track; ignores one of any other, as after a withdrawal. */
  submit(window: FeatureWindow): void {
    const entry = this.#tracks.get(window.track.trackId);
    if (entry?.closing !== null) return;
    entry.smoother.submitted(window);
    this.#batchers.submit(window);
  }

  /** Takes the next change of speech of an open track, in order with its windows. */
  speech(change: SpeechChange): void {
    const entry = this.#tracks.get(change.track.trackId);
    if (entry?.closing !== null) return;
    entry.smoother.speech(change);
    if (entry.smoother.outstanding === 0) this.#emitGap(entry, entry.gaps.settle());
    this.#emitSegments(entry);
  }

  /**
   * Ends a track. With `discard` (consent withdrawn) nothing of it is emitted once this call returns. Otherwise its
   * windows that are under way are still scored and its last segment given; the promise resolves after that.
   */
  closeTrack(trackId: string, options: { readonly discard: boolean }): Promise<void> {
    const entry = this.#tracks.get(trackId);
    if (entry === undefined) return Promise.resolve();
    if (options.discard) {
      this.#tracks.delete(trackId);
      this.#batchers.cancelTrack(trackId);
      entry.closing?.finish();
      return Promise.resolve();
    }
    if (entry.closing === null) {
      let finish = (): void => undefined;
      const done = new Promise<void>((resolve) => {
        finish = resolve;
      });
      entry.closing = { done, finish };
      this.#finishIfDone(entry);
    }
    return entry.closing.done;
  }

  /** Ends all tracks, giving their windows under way half a second, then stops the engine and completes `outputs$`. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const entries = [...this.#tracks.values()];
    const drained = Promise.all(entries.map(({ track }) => this.closeTrack(track.trackId, { discard: false })));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, drainMs);
    });
    await Promise.race([drained, late]);
    clearTimeout(timer);
    for (const entry of entries) this.#finish(entry);
    const batchersClosed = this.#batchers.close();
    await Promise.allSettled(this.#engines.map((engine) => engine.close()));
    await batchersClosed;
    this.#outputs.complete();
  }

  #scored(scored: ScoredWindow): void {
    this.#meter.scored(this.#clock.nowMs() - scored.window.arrivalMs);
    const entry = this.#tracks.get(scored.window.track.trackId);
    if (entry === undefined) return;
    const point = entry.smoother.scored(scored);
    if (point !== null) {
      this.#emitGap(entry, entry.gaps.settle());
      this.#emit(entry, { kind: 'point', point });
    }
    this.#emitSegments(entry);
    this.#finishIfDone(entry);
  }

  #lost(window: ScoredWindow['window'], fate: LostFate): void {
    this.#meter.lost(fate);
    const entry = this.#tracks.get(window.track.trackId);
    if (entry === undefined) return;
    if (entry.smoother.lost(window)) this.#emitGap(entry, entry.gaps.lost(window, fate));
    this.#emitSegments(entry);
    this.#finishIfDone(entry);
  }

  #finishIfDone(entry: Entry): void {
    if (entry.closing !== null && entry.smoother.outstanding === 0) this.#finish(entry);
  }

  /** Says the last of a track and forgets it; nothing if it was forgotten already. */
  #finish(entry: Entry): void {
    const { track, smoother, gaps, closing } = entry;
    if (this.#tracks.get(track.trackId) !== entry) return;
    this.#batchers.cancelTrack(track.trackId);
    this.#emitGap(entry, gaps.settle());
    for (const segment of smoother.flush()) this.#emit(entry, { kind: 'segment', segment });
    this.#tracks.delete(track.trackId);
    closing?.finish();
  }

  #emitSegments(entry: Entry): void {
    for (const segment of entry.smoother.takeSegments()) this.#emit(entry, { kind: 'segment', segment });
  }

  #emitGap(entry: Entry, gap: Gap | null): void {
    if (gap !== null) this.#emit(entry, { kind: 'gap', gap });
  }

  #emit(entry: Entry, output: EmotionOutput): void {
    // A receiver may discard the track while it is told of one of several outputs.
    if (this.#tracks.get(entry.track.trackId) === entry) this.#outputs.next(output);
  }

  #logError(error: unknown): void {
    const nowMs = this.#clock.nowMs();
    if (nowMs - this.#lastErrorLogMs < errorLogIntervalMs) return;
    this.#lastErrorLogMs = nowMs;
    this.#logger.warn({ reason: messageOf(error) }, 'inference failed');
  }
}
