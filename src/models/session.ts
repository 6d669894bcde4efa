// What a runtime must be able to do to carry streams: run the model's two networks. It remembers nothing of a track.

/** The sizes that bind a model's trunk and head together; those of its manifest. */
export interface StreamShape {
  readonly featureCount: number;
  readonly windowFrames: number;
  readonly contextFrames: number;
  readonly hopFrames: number;
  readonly strideFrames: number;
  readonly stepSize: number;
  readonly stateSize: number;
  readonly labelCount: number;
}

/** The two networks of a model that are run, and the sizes that they keep. */
export interface NetworkFiles {
  readonly trunkPath: string;
  readonly headPath: string;
  readonly shape: StreamShape;
}

/** A hop of new frames of several tracks, and what the trunk remembers of the frames before. */
export interface TrunkInput {
  readonly batch: number;
  /** `[batch][hopFrames][featureCount]` */
  readonly features: Float32Array;
  /** `[batch][hopFrames]` */
  readonly mask: Float32Array;
  /** `[batch][stateSize]`; zeros mean that silence came before. */
  readonly state: Float32Array;
}

/** What the trunk makes of them. */
export interface TrunkOutput {
  /** `[batch][hopFrames / strideFrames][stepSize]`, the session's. */
  readonly steps: Float32Array;
  /** What it remembers now, `[batch][stateSize]`. */
  readonly next: Float32Array;
}

/**
 * A model on one runtime: all that a new kind of engine has to bring. Calls come one after another. A session only reads
 * its inputs, and not after the promise settles; its outputs may be valid only until the next call.
 */
export interface Session {
  /** Values of a step: those of the manifest's `stepSize`, and what else this session wants to find there again. */
  readonly stepSize: number;
  /** How far the same step may lie from itself where it is computed beside others: what rounding does. Relative where values exceed 1. */
  readonly tolerance: number;
  /** What the log says of how it computes, where there is more than one way. */
  readonly detail?: string;
  trunk(input: TrunkInput): Promise<TrunkOutput>;
  /** Where the steps of a batch may be written for `head`, so that it need not copy them; undefined where it must. */
  windows?(batch: number): Float32Array | undefined;
  /** Steps of windows `[batch][windowFrames / strideFrames][stepSize]` to logits `[batch][labelCount]`. */
  head(steps: Float32Array, batch: number): Promise<Float32Array>;
  close(): Promise<void>;
}
