// What src/models takes and hands on: the manifest, the engine port, posteriors, points and segments.
import type { FeatureWindow } from '../pipeline/types.ts';

type TrackInfo = FeatureWindow['track'];

/** `assets/models/<name>/manifest.json`: the model's own numbers. Configuration cannot contradict them. */
export interface ModelManifest {
  readonly format: 'undertone-model/1';
  readonly name: string;
  readonly version: string;
  /** Class names in the order of the model's outputs. */
  readonly labels: readonly string[];
  readonly sampleRateHz: 16000;
  readonly hopSamples: 160;
  readonly melBands: 64;
  readonly mfccCount: 40;
  readonly windowFrames: number;
  /** Frames between two windows of one caller. */
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
  /** Below this confidence the product says "uncertain". */
  readonly uncertainBelow: number;
  readonly files: { readonly onnx: { readonly path: string; readonly sha256: string } };
  readonly trainedOn: string;
  readonly license: string;
}

/** Input of one run: `batch` windows, row-major. */
export interface EngineBatch {
  readonly batch: number;
  readonly frameCount: number;
  readonly featureCount: number;
  /** `[batch][frameCount][featureCount]` */
  readonly features: Float32Array;
  /** `[batch][frameCount]` */
  readonly mask: Float32Array;
}

/** A way to run the network. ONNX inputs are `features` `[B, T, 104]` and `mask` `[B, T]`; output is `logits` `[B, C]`. */
export interface Engine {
  readonly name: string;
  /** Whether a batch would be run now: false while a failed thread is being replaced, and once closed. */
  readonly ready: boolean;
  /**
   * Runs one batch and resolves to logits, row-major `[batch][labels]`. Takes over the batch's arrays: the caller
   * must not touch them again. Rejects with UT_ENGINE_FAILED.
   */
  run(batch: EngineBatch): Promise<Float32Array>;
  close(): Promise<void>;
}

/** A window's calibrated class probabilities, in `manifest.labels` order; they sum to 1. */
export interface Posterior {
  readonly probabilities: Float32Array;
}

/** A window and its score. */
export interface ScoredWindow {
  readonly window: Omit<FeatureWindow, 'features' | 'mask'>;
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
  /** Media between this point and the last one of the utterance; the manifest's hop for the first. Wider under overload. */
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
  /** Mean of the posteriors of the utterance's windows. */
  readonly probabilities: Float32Array;
  readonly points: number;
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
