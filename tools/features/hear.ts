// Takes a caller's sound through the extractor and the speech detector, and cuts the frames of each clip out.
import { FeatureExtractor, frameSamples, hopSamples } from '../../src/pipeline/feature-extractor.ts';
import { featureCount } from '../../src/pipeline/mel.ts';
import { pitchCount } from '../../src/pipeline/pitch.ts';
import { SpeechDetector, type DetectedSpeech } from '../../src/pipeline/speech-detector.ts';
import type { FeatureFrame, PcmChunk } from '../../src/pipeline/types.ts';

/** Where a clip lies in a call, samples at 16 kHz. */
export interface Span {
  readonly startSample: number;
  readonly sampleCount: number;
}

/** Frames of one clip. */
export interface ClipFrames {
  /** `[frames][104]` row-major: log-mel, then MFCC, or with pitch the first 13 of them and the pitch; not normalised. */
  readonly frames: Float32Array;
  /** `[frames]`: {@link speechFlags}. */
  readonly flags: Uint8Array;
}

/** What a frame's flag says. */
export const speechFlags = { none: 0, heard: 1, concealed: 2 } as const;

interface Cut extends ClipFrames {
  readonly firstFrame: number;
  readonly endFrame: number;
}

/** Hears one caller: the detector's noise floor goes on from clip to clip, as it does in a call. */
export class Ear {
  readonly #extractor: FeatureExtractor;
  readonly #detector = new SpeechDetector();
  readonly #cuts: readonly Cut[];
  #at = 0;

  /**
   * @param spans of the clips, in order of time; the frames that lie wholly within one are kept
   * @param pitch whether the pitch stands in place of the last cepstra
   */
  constructor(spans: readonly Span[], pitch: boolean) {
    this.#extractor = new FeatureExtractor({ pitch });
    this.#cuts = spans.map(({ startSample, sampleCount }) => {
      const firstFrame = Math.ceil(startSample / hopSamples);
      const endFrame = Math.max(firstFrame, Math.floor((startSample + sampleCount - frameSamples) / hopSamples) + 1);
      const count = endFrame - firstFrame;
      return { firstFrame, endFrame, frames: new Float32Array(count * featureCount), flags: new Uint8Array(count) };
    });
  }

  hear(chunk: PcmChunk): void {
    this.#extractor.process(chunk, (frame) => {
      this.#detector.process(frame, this.#take);
    });
  }

  /** Ends the call, and gives the frames of each span in their order. */
  end(): readonly ClipFrames[] {
    this.#detector.flush(this.#take);
    return this.#cuts.map(({ frames, flags }) => ({ frames, flags }));
  }

  readonly #take = (output: DetectedSpeech): void => {
    if (output.kind !== 'frame') return;
    const { frame } = output;
    let cut = this.#cuts[this.#at];
    while (cut !== undefined && frame.index >= cut.endFrame) cut = this.#cuts[++this.#at];
    if (cut !== undefined && frame.index >= cut.firstFrame) put(cut, frame);
  };
}

function put({ frames, flags, firstFrame }: Cut, { index, logMel, mfcc, pitch, speech, concealed }: FeatureFrame): void {
  const row = index - firstFrame;
  frames.set(logMel, row * featureCount);
  frames.set(mfcc, row * featureCount + logMel.length);
  if (pitch !== undefined) frames.set(pitch, (row + 1) * featureCount - pitchCount);
  flags[row] = !speech ? speechFlags.none : concealed ? speechFlags.concealed : speechFlags.heard;
}
