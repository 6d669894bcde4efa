// Detected frames to model windows: normalises speech, gates the rest to zero, and keeps the last seconds in a ring.
import type { Emit, Processor } from '../processor.ts';
import { frameSamples, hopSamples } from './feature-extractor.ts';
import { featureCount } from './mel.ts';
import { Normalizer } from './normalizer.ts';
import type { DetectedSpeech } from './speech-detector.ts';
import type { FeatureFrame, FrontEndSpec, PipelineOutput } from './types.ts';

/** The track that a window belongs to. */
export type Track = Extract<PipelineOutput, { kind: 'window' }>['window']['track'];

/**
 * Emits a window of the last `windowFrames` frames each `hopFrames` frames, if at least `minSpeechFrames` of them and
 * at least one of the newest `hopFrames` are speech; frames before the track's first count as silence. Frames of
 * speech are normalised by the caller's running statistics as they come, and are never normalised again; all others
 * are zero, in training as here, so the model hears a caller's voice and not the room. Concealed frames are zero too and
 * count for nothing but `speechRatio` and `concealedRatio`: what concealment makes up is not the caller's voice.
 */
export class WindowAssembler implements Processor<DetectedSpeech, PipelineOutput> {
  readonly #track: Track;
  readonly #spec: FrontEndSpec;
  readonly #normalizer: Normalizer;
  readonly #features: Float32Array;
  readonly #heard: Uint8Array;
  readonly #concealed: Uint8Array;
  #heardFrames = 0;
  #concealedFrames = 0;
  #framesSinceHeard = Infinity;

  constructor(track: Track, spec: FrontEndSpec) {
    this.#track = track;
    this.#spec = spec;
    this.#normalizer = new Normalizer(spec.prior);
    this.#features = new Float32Array(spec.windowFrames * featureCount);
    this.#heard = new Uint8Array(spec.windowFrames);
    this.#concealed = new Uint8Array(spec.windowFrames);
  }

  process(input: DetectedSpeech, emit: Emit<PipelineOutput>): void {
    if (input.kind === 'change') {
      const { state, frameIndex, arrivalMs } = input;
      emit({ kind: 'speech', change: { track: this.#track, state, atSample: frameIndex * hopSamples, arrivalMs } });
      return;
    }
    this.#take(input.frame);
    const { hopFrames, minSpeechFrames } = this.#spec;
    const due = (input.frame.index + 1) % hopFrames === 0;
    if (due && this.#heardFrames >= minSpeechFrames && this.#framesSinceHeard < hopFrames) {
      emit({ kind: 'window', window: this.#window(input.frame) });
    }
  }

  /** Holds nothing back: a window is complete or was never due. */
  flush(): void {
    this.#framesSinceHeard = Infinity;
  }

  close(): void {
    this.#framesSinceHeard = Infinity;
  }

  #take(frame: FeatureFrame): void {
    const slot = frame.index % this.#spec.windowFrames;
    const row = this.#features.subarray(slot * featureCount, (slot + 1) * featureCount);
    const heard = frame.speech && !frame.concealed;
    const concealed = frame.speech && frame.concealed;
    this.#heardFrames += Number(heard) - (this.#heard[slot] ?? 0);
    this.#concealedFrames += Number(concealed) - (this.#concealed[slot] ?? 0);
    this.#heard[slot] = Number(heard);
    this.#concealed[slot] = Number(concealed);
    this.#framesSinceHeard = heard ? 0 : this.#framesSinceHeard + 1;
    if (heard) this.#normalizer.normalize(frame.logMel, frame.mfcc, row);
    else row.fill(0);
  }

  #window(newest: FeatureFrame) {
    const { windowFrames } = this.#spec;
    const oldest = (newest.index + 1) % windowFrames;
    const spokenFrames = this.#heardFrames + this.#concealedFrames;
    const endSample = newest.index * hopSamples + frameSamples;
    return {
      track: this.#track,
      startSample: Math.max(0, (newest.index + 1 - windowFrames) * hopSamples),
      endSample,
      features: unroll(this.#features, oldest * featureCount),
      mask: unroll(Float32Array.from(this.#heard), oldest),
      frameCount: windowFrames,
      featureCount,
      speechRatio: spokenFrames / windowFrames,
      concealedRatio: this.#concealedFrames / spokenFrames,
      arrivalMs: newest.arrivalMs,
    };
  }
}

/** A ring whose oldest value is at `start`, as a fresh array from oldest to newest. */
function unroll(ring: Float32Array, start: number): Float32Array {
  const out = new Float32Array(ring.length);
  out.set(ring.subarray(start), 0);
  out.set(ring.subarray(0, start), ring.length - start);
  return out;
}
