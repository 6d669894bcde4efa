// Plays callers through the live stages and the live service, as fast as the engine goes and the same each time.
import { join } from 'node:path';
import { setImmediate as afterPromises } from 'node:timers/promises';
import type { Clock } from '../../src/clock.ts';
import { createLogger } from '../../src/log.ts';
import { loadEngines } from '../../src/models/load-engine.ts';
import { loadManifest, type LoadedModel } from '../../src/models/manifest.ts';
import { EmotionService } from '../../src/models/service.ts';
import type { SmoothingOptions } from '../../src/models/smoother.ts';
import type { EmotionOutput, Engine, EngineWindow } from '../../src/models/types.ts';
import type { FeatureWindow, PipelineOutput, SpeechChange } from '../../src/pipeline/types.ts';
import type { Track } from '../../src/pipeline/window-assembler.ts';
import { OfflineFrontEnd, type DecoderOf, type HeardFrame } from './front-end.ts';
import type { Media } from './media.ts';

/** One caller to play. */
export interface OfflineCaller {
  readonly track: Track;
  /** The caller's media, in order; started when the caller's turn comes. */
  readonly media: () => AsyncIterable<Media>;
}

/** Options of {@link play}. */
export interface PlayOptions {
  /** Folder of the model's manifest. */
  readonly modelDir: string;
  readonly callers: Iterable<OfflineCaller>;
  /** Callers who are played at once, and the most windows in a batch. @default 8 */
  readonly atOnce?: number;
  /** @default the server's */
  readonly smoothing?: SmoothingOptions;
  /** Makes a caller's decoder. @default the server's */
  readonly decoderOf?: DecoderOf;
  readonly onSpeech?: (change: SpeechChange) => void;
  /** Told of each frame of a caller in order, before anything is said of the windows that hold it. */
  readonly onFrame?: (track: Track, frame: HeardFrame) => void;
  readonly onOutput: (output: EmotionOutput) => void;
  /** Told of each caller whose media and scores are complete. */
  readonly onPlayed?: (track: Track) => void;
}

/** What one caller says next: changes of speech, then a window; null where the caller has no more. */
interface Turn {
  readonly caller: Playing;
  readonly changes: readonly SpeechChange[];
  readonly window: FeatureWindow | null;
}

/** Any wait makes the batcher collect a round; the clock passes it once the round is complete. */
const maxQueueMs = 1;

/** The model that ships. */
export const shippedModelDir = join(import.meta.dirname, '../../assets/models/emonet');

/**
 * Plays every caller to the end. In each round, each of up to `atOnce` callers submits one window, which make one batch,
 * and the round is awaited: so no window waits, ages or is superseded, and batches do not depend on how fast anything is.
 * The features of the next round are computed meanwhile. Rejects if the model cannot be loaded, media is broken, or the
 * engine fails on a batch.
 */
export async function play(options: PlayOptions): Promise<void> {
  const { modelDir, callers, atOnce = 8, smoothing = {}, decoderOf, onSpeech, onFrame, onOutput, onPlayed } = options;
  const model = await loadManifest(modelDir);
  const engine = await WatchedEngine.load(model);
  const clock = new RoundClock();
  const batching = { maxBatch: atOnce, maxQueueMs, maxAgeMs: Infinity, maxInFlight: 1 };
  const service = new EmotionService({ model, engines: [engine], logger: createLogger('silent'), clock, batching, smoothing });
  const subscription = service.outputs$.subscribe(onOutput);
  const waiting = callers[Symbol.iterator]();
  let playing: Playing[] = [];

  const next = async (): Promise<Turn[]> => {
    while (playing.length < atOnce) {
      const caller = waiting.next();
      if (caller.done === true) break;
      service.openTrack(caller.value.track);
      playing.push(await Playing.open(caller.value, service, onFrame, decoderOf));
    }
    const turns: Turn[] = [];
    for (const caller of playing) turns.push(await caller.next());
    playing = turns.filter(({ window }) => window !== null).map(({ caller }) => caller);
    return turns;
  };

  try {
    for (let turns = await next(); turns.length > 0;) {
      const windows: FeatureWindow[] = [];
      for (const { changes, window, caller } of turns) {
        for (const change of changes) {
          service.speech(change);
          onSpeech?.(change);
        }
        if (window !== null) {
          windows.push(window);
          continue;
        }
        await service.closeTrack(caller.track.trackId, { discard: false });
        caller.close();
        onPlayed?.(caller.track);
      }
      const scored = engine.expect(windows.length);
      for (const window of windows) service.submit(window);
      clock.pass();
      const [following] = await Promise.all([next(), scored]);
      turns = following;
    }
  } finally {
    for (const caller of playing) caller.close();
    subscription.unsubscribe();
    await service.close();
  }
}

/** One caller's media on its way through the front end. */
class Playing {
  readonly track: Track;
  readonly #media: AsyncIterator<Media>;
  readonly #frontEnd: OfflineFrontEnd;
  readonly #outputs: PipelineOutput[];
  #ended = false;

  private constructor(track: Track, media: AsyncIterator<Media>, frontEnd: OfflineFrontEnd, outputs: PipelineOutput[]) {
    this.track = track;
    this.#media = media;
    this.#frontEnd = frontEnd;
    this.#outputs = outputs;
  }

  static async open(
    { track, media }: OfflineCaller,
    { frontEnd: spec }: EmotionService,
    onFrame?: (track: Track, frame: HeardFrame) => void,
    decoderOf?: DecoderOf,
  ): Promise<Playing> {
    const outputs: PipelineOutput[] = [];
    const receiver = {
      onOutput: (output: PipelineOutput) => {
        outputs.push(output);
      },
      onFrame: onFrame === undefined ? undefined : (frame: HeardFrame) => onFrame(track, frame),
    };
    const frontEnd = await OfflineFrontEnd.open(track, spec, receiver, decoderOf);
    return new Playing(track, media()[Symbol.asyncIterator](), frontEnd, outputs);
  }

  async next(): Promise<Turn> {
    const changes: SpeechChange[] = [];
    for (;;) {
      const output = this.#outputs.shift();
      if (output?.kind === 'window') return { caller: this, changes, window: output.window };
      if (output !== undefined) changes.push(output.change);
      else if (this.#ended) return { caller: this, changes, window: null };
      else await this.#advance();
    }
  }

  close(): void {
    this.#frontEnd.close();
  }

  async #advance(): Promise<void> {
    const media = await this.#media.next();
    if (media.done === true) {
      this.#ended = true;
      this.#frontEnd.flush();
    } else {
      this.#frontEnd.take(media.value);
    }
  }
}

/** Stands still while a round is submitted, and passes the batcher's wait between rounds. */
class RoundClock implements Clock {
  #nowMs = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  pass(): void {
    this.#nowMs += maxQueueMs;
  }
}

/** The CPU engine, which tells when as many windows as expected were scored, or that it failed. */
class WatchedEngine implements Engine {
  readonly name: string;
  readonly #engine: Engine;
  #left = 0;
  #done: PromiseWithResolvers<void> = Promise.withResolvers();

  private constructor(engine: Engine) {
    this.#engine = engine;
    this.name = engine.name;
  }

  static async load(model: LoadedModel): Promise<WatchedEngine> {
    const [engine] = await loadEngines({ model, name: 'cpu', logger: createLogger('silent') });
    if (engine === undefined) throw new Error('Expected an engine, got none');
    return new WatchedEngine(engine);
  }

  get ready(): boolean {
    return this.#engine.ready;
  }

  /** Resolves when that many windows have come back and their receivers were told. */
  async expect(windows: number): Promise<void> {
    if (windows === 0) return;
    this.#left = windows;
    this.#done = Promise.withResolvers();
    await this.#done.promise;
    // The batcher tells its receivers in promise jobs of the engine's answer, all of which run before this.
    await afterPromises();
  }

  async run(batch: readonly EngineWindow[]): Promise<Float32Array> {
    try {
      const logits = await this.#engine.run(batch);
      this.#left -= batch.length;
      if (this.#left === 0) this.#done.resolve();
      return logits;
    } catch (error) {
      this.#done.reject(error);
      throw error;
    }
  }

  release(trackId: string): void {
    this.#engine.release(trackId);
  }

  close(): Promise<void> {
    return this.#engine.close();
  }
}
