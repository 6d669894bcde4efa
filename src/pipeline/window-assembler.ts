// Detected frames to model windows: normalises speech, gates the rest to zero, and keeps the last seconds in blocks.
import type { Emit, Processor } from '../processor.ts';
import { frameSamples, hopSamples } from './feature-extractor.ts';
import { featureCount } from './mel.ts';
import { Normalizer } from './normalizer.ts';
import { fullPace, type PaceReading } from './pace.ts';
import type { DetectedSpeech } from './speech-detector.ts';
import type { BlockSource, FeatureBlock, FeatureFrame, FeatureWindow, FrontEndSpec, PipelineOutput } from './types.ts';

/** The track that a window belongs to. */
export type Track = FeatureWindow['track'];

/**
 * Emits a window of the last `windowFrames` frames each `hopFrames` frames, if at least `minSpeechFrames` of them and
 * at least one of the newest `hopFrames` are speech; frames before the track's first count as silence. Frames of
 * speech are normalised by the caller's running statistics as they come, and are never normalised again; all others
 * are zero, in training as here, so the model hears a caller's voice and not the room. Concealed frames are zero too and
 * count for nothing but `speechRatio` and `concealedRatio`: what concealment makes up is not the caller's voice. At the start
 * of an utterance what was heard before is zero too: a window never holds speech of two.
 *
 * Where the pace says so, windows are left out: after the first of an utterance one comes when so many hops have passed since the last.
 *
 * Windows share the blocks that their frames lie in, so a window costs one new block and no copy.
 */
export class WindowAssembler implements Processor<DetectedSpeech, PipelineOutput> {
  readonly #track: Track;
  readonly #spec: FrontEndSpec;
  readonly #pace: PaceReading;
  readonly #source: BlockSource;
  readonly #normalizer: Normalizer;
  /** Complete blocks, oldest first; null where nothing was heard. */
  readonly #blocks: (FeatureBlock | null)[];
  /** The block at hand; null as long as nothing was heard in it. */
  #open: FeatureBlock | null = null;
  /** Flags of the last `windowFrames` frames, by frame index. */
  readonly #heard: Uint8Array;
  readonly #concealed: Uint8Array;
  #heardFrames = 0;
  #concealedFrames = 0;
  /** The end of the last window of this utterance. */
  #lastEndFrame = -Infinity;

  /** @param blocks where blocks come from, one at a time; a window holds no more than it needs for context and window. @default made anew */
  constructor(track: Track, spec: FrontEndSpec, pace: PaceReading = fullPace, blocks: BlockSource = newBlocks(spec.hopFrames)) {
    this.#track = track;
    this.#spec = spec;
    this.#pace = pace;
    this.#source = blocks;
    this.#normalizer = new Normalizer(spec.prior);
    this.#blocks = Array<null>(Math.ceil((spec.contextFrames + spec.windowFrames) / spec.hopFrames)).fill(null);
    this.#heard = new Uint8Array(spec.windowFrames);
    this.#concealed = new Uint8Array(spec.windowFrames);
  }

  process(input: DetectedSpeech, emit: Emit<PipelineOutput>): void {
    if (input.kind === 'change') {
      const { state, frameIndex, arrivalMs } = input;
      if (state === 'start') this.#forget();
      emit({ kind: 'speech', change: { track: this.#track, state, atSample: frameIndex * hopSamples, arrivalMs } });
      return;
    }
    const { hopFrames, minSpeechFrames } = this.#spec;
    this.#take(input.frame);
    if ((input.frame.index + 1) % hopFrames !== 0) return;
    const newest = this.#open;
    this.#open = null;
    this.#blocks.shift();
    this.#blocks.push(newest);
    if (newest === null || this.#heardFrames < minSpeechFrames) return;
    const { hopFactor } = this.#pace;
    const endFrame = input.frame.index + 1;
    if (endFrame - this.#lastEndFrame < hopFactor * hopFrames) return;
    this.#lastEndFrame = endFrame;
    emit({ kind: 'window', window: this.#window(input.frame, hopFactor * hopFrames) });
  }

  /** What was said before belongs to another utterance, whose verdict is its own. */
  #forget(): void {
    this.#open = null;
    this.#blocks.fill(null);
    this.#heard.fill(0);
    this.#concealed.fill(0);
    this.#heardFrames = 0;
    this.#concealedFrames = 0;
    this.#lastEndFrame = -Infinity;
  }

  /** Holds nothing back: a window is complete or was never due. */
  flush(): void {
    this.#open = null;
  }

  close(): void {
    this.#open = null;
    this.#blocks.fill(null);
  }

  #take(frame: FeatureFrame): void {
    const slot = frame.index % this.#spec.windowFrames;
    const heard = frame.speech && !frame.concealed;
    const concealed = frame.speech && frame.concealed;
    this.#heardFrames += Number(heard) - (this.#heard[slot] ?? 0);
    this.#concealedFrames += Number(concealed) - (this.#concealed[slot] ?? 0);
    this.#heard[slot] = Number(heard);
    this.#concealed[slot] = Number(concealed);
    if (!heard) return;
    const { hopFrames } = this.#spec;
    const { features, mask } = (this.#open ??= this.#source.take());
    const row = frame.index % hopFrames;
    this.#normalizer.normalize(frame, features, row * featureCount);
    mask[row] = 1;
  }

  #window(newest: FeatureFrame, hopFrames: number): FeatureWindow {
    const { windowFrames, contextFrames } = this.#spec;
    const endFrame = newest.index + 1;
    const spokenFrames = this.#heardFrames + this.#concealedFrames;
    return {
      track: this.#track,
      startSample: Math.max(0, (endFrame - windowFrames) * hopSamples),
      endSample: newest.index * hopSamples + frameSamples,
      endFrame,
      hopFrames,
      frameCount: windowFrames,
      contextFrames,
      featureCount,
      blocks: this.#blocks.slice(),
      speechRatio: spokenFrames / windowFrames,
      concealedRatio: this.#concealedFrames / spokenFrames,
      arrivalMs: newest.arrivalMs,
    };
  }
}

/** Blocks in memory of their own, collected as garbage. */
function newBlocks(hopFrames: number): BlockSource {
  return { take: () => ({ features: new Int16Array(hopFrames * featureCount), mask: new Float32Array(hopFrames) }) };
}
