// What src/models takes and hands on: the manifest, the engine port, posteriors, points and segments.
import type { FeatureWindow } from '../pipeline/types.ts';

type TrackInfo = FeatureWindow['track'];

/** A file beside the manifest. */
export interface ModelFile {
  readonly path: string;
  readonly sha256: string;
}

/** `assets/models/<name>/manifest.json`: the model's own numbers. Configuration cannot contradict them. */
export interface ModelManifest {
  readonly format: 'undertone-model/2';
  readonly name: string;
  readonly version: string;
  /** Which network its graphs are, where our own kernel may know it. */
  readonly network?: string;
  /** Class names in the order of the model's outputs. */
  readonly labels: readonly string[];
  readonly sampleRateHz: 16000;
  readonly hopSamples: 160;
  readonly melBands: 64;
  /** The first cepstra of a frame; 13 where its pitch follows. */
  readonly mfccCount: 13 | 40;
  /** @default 0 */
  readonly pitchCount: 0 | 27;
  readonly windowFrames: number;
  /** Frames before a window that can change what the trunk makes of it; a multiple of `strideFrames`. */
  readonly contextFrames: number;
  /** Frames between two windows of one caller; a multiple of `strideFrames`, as `windowFrames` is. */
  readonly hopFrames: number;
  readonly minSpeechFrames: number;
  /** Prior of the running normalisation; `mean` and `std` are `[104]`, the rest as in `NormalizationPrior`. */
  readonly normalization: {
    readonly mean: readonly number[];
    readonly std: readonly number[];
    readonly meanWeightFrames: number;
    readonly stdWeightFrames: number;
    readonly memoryFrames: number;
  };
  /** Posterior = softmax(logits / temperature). */
  readonly temperature: number;
  /** An utterance's verdict is the weighted mean of its windows' posteriors to the power of 1 / verdictTemperature, normalised. */
  readonly verdictTemperature: number;
  /** A window weighs in it as its share of speech to this power: what was said of little speech says little. @default 0 */
  readonly verdictPower: number;
  /** Below this confidence the product says "uncertain". */
  readonly uncertainBelow: number;
  /** What the trunk makes of a caller's frames, and what it remembers of them, in 32-bit floats. */
  readonly streaming: {
    /** Frames of one step. */
    readonly strideFrames: number;
    readonly stepSize: number;
    readonly stateSize: number;
  };
  /**
   * The networks, ONNX. `trunk`: `features` `[B, F, 104]`, `mask` `[B, F]`, `state` `[B, stateSize]` to `steps`
   * `[B, F / strideFrames, stepSize]` and `next` `[B, stateSize]`. `head`: `steps` `[B, windowFrames / strideFrames,
   * stepSize]` to `logits` `[B, labels]`. `whole`: both over `contextFrames + windowFrames` frames at once, the
   * reference that streaming equals; the server does not run it. `headInt8`, where there is one: `head` in 8-bit integers, which
   * the CPU engine runs in half the time.
   */
  readonly files: { readonly trunk: ModelFile; readonly head: ModelFile; readonly whole: ModelFile; readonly headInt8?: ModelFile };
  readonly trainedOn: string;
  readonly license: string;
}

/** What an engine needs of a window. */
export interface EngineWindow extends Pick<FeatureWindow, 'endFrame' | 'blocks'> {
  readonly trackId: string;
}

/**
 * A way to run the network over the running streams of many tracks. What it keeps of a track only saves work: the scores
 * of a window follow from its blocks, whatever was run before, dropped, lost or run beside it, to the rounding of floats.
 */
export interface Engine {
  readonly name: string;
  /** What the log says of how it computes, where there is more than one way. */
  readonly detail?: string | undefined;
  /** Whether windows would be run now: false while a failed thread is being replaced, and once closed. */
  readonly ready: boolean;
  /**
   * Scores windows of as many tracks, and resolves to logits, row-major `[windows][labels]`. Only reads the blocks.
   * Rejects with UT_ENGINE_FAILED.
   */
  run(windows: readonly EngineWindow[]): Promise<Float32Array>;
  /** Frees what is kept of a track. Nothing if nothing is. */
  release(trackId: string): void;
  close(): Promise<void>;
}

/** A window's calibrated class probabilities, in `manifest.labels` order; they sum to 1. */
export interface Posterior {
  readonly probabilities: Float32Array;
}

/** A window and its score. */
export interface ScoredWindow {
  readonly window: Omit<FeatureWindow, 'blocks'>;
  readonly posterior: Posterior;
}

/** One window's verdict after smoothing, on the track's media clock. */
export interface Point {
  readonly track: TrackInfo;
  readonly startSample: number;
  readonly endSample: number;
  /** The label that hysteresis holds, or `uncertain`. */
  readonly label: string;
  /** Smoothed probability of the class that hysteresis holds, 0 to 1; below `uncertainBelow` the label is `uncertain`. */
  readonly confidence: number;
  /** The hop between windows that was in force: the manifest's, or a multiple of it under overload. */
  readonly hopSamples: number;
  /** Smoothed class probabilities in label order. */
  readonly probabilities: Float32Array;
  readonly speechRatio: number;
  readonly concealedRatio: number;
  readonly arrivalMs: number;
}

/** The verdict on one utterance, from the start of speech to its end. */
export interface Segment {
  readonly track: TrackInfo;
  readonly startSample: number;
  readonly endSample: number;
  readonly label: string;
  readonly confidence: number;
  /** Weighted mean of the posteriors of the utterance's windows, sharpened: see the manifest's `verdictPower` and `verdictTemperature`. */
  readonly probabilities: Float32Array;
  readonly points: number;
  /** Mean over those windows. */
  readonly concealedRatio: number;
  /** The widest hop that was in force over those windows. */
  readonly hopSamples: number;
}

/** Media of an utterance that should have been scored and was not. Several lost windows in a row make one gap. */
export interface Gap {
  readonly track: TrackInfo;
  readonly startSample: number;
  readonly endSample: number;
  /** `overload`: windows waited too long or made room for newer ones; `engine`: the engine failed on them. */
  readonly reason: 'overload' | 'engine';
}

/** What src/models says of a track, in order of the track's media time within each kind. */
export type EmotionOutput =
  | { readonly kind: 'point'; readonly point: Point }
  | { readonly kind: 'segment'; readonly segment: Segment }
  | { readonly kind: 'gap'; readonly gap: Gap };
