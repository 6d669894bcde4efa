// Voice activity on the log-mel that is computed anyway: a small network says which frames are speech; hysteresis makes utterances.
import type { Emit, Processor } from '../processor.ts';
import type { RawFrame } from './feature-extractor.ts';
import { melBands, mfccCount } from './mel.ts';
import { pitchCount } from './pitch.ts';
import type { FeatureFrame } from './types.ts';
import { UtteranceEdges } from './utterance-edges.ts';
import { shippedVoiceNetwork } from './voice-model.ts';
import type { VoiceNetwork } from './voice-network.ts';
import { pairFrames, VoiceSequence } from './voice-sequence.ts';

/** Options of a {@link SpeechDetector}; frames are 10 ms. */
export interface SpeechDetectorOptions {
  /** Probability from which a frame may begin speech. @default 0.4 */
  readonly onProbability?: number;
  /** Probability from which a frame carries speech on: little, so that an utterance in noise does not fall to pieces. @default 0.2 */
  readonly offProbability?: number;
  /** Probability of the frame that an utterance is said to end with, once it has ended. @default 0.4 */
  readonly endProbability?: number;
  /** Speech begins when this many of the frames that are known and not yet emitted are active. @default 3 */
  readonly onsetFrames?: number;
  /** Frames by which the output lags the input, so that an onset is marked from its beginning; at least 4. Within an utterance it does not lag. @default 6 */
  readonly delayFrames?: number;
  /** Frames that stay marked as speech after the last active one. @default 12 */
  readonly hangoverFrames?: number;
  /** Frames without activity after which the utterance has ended. @default 40 */
  readonly endFrames?: number;
  /** @default the network that ships */
  readonly network?: Pick<VoiceNetwork, 'createState' | 'step'>;
}

/**
 * What a {@link SpeechDetector} emits: each frame once, in order, and where utterances begin and end. A change is told when it is
 * sure, at the place where {@link UtteranceEdges} puts it: a soft start may lie before frames that went out as no speech. These
 * places rise. Which frames are speech does not depend on them.
 */
export type DetectedSpeech =
  | { readonly kind: 'frame'; readonly frame: FeatureFrame }
  | { readonly kind: 'change'; readonly state: 'start' | 'end'; readonly frameIndex: number; readonly arrivalMs: number };

const defaults = {
  onProbability: 0.4,
  offProbability: 0.2,
  endProbability: 0.4,
  onsetFrames: 3,
  delayFrames: 6,
  hangoverFrames: 12,
  endFrames: 40,
};

/** A frame that waits. */
interface Slot {
  index: number;
  readonly logMel: Float32Array;
  readonly mfcc: Float32Array;
  /** Where frames have it. */
  pitch: Float32Array | undefined;
  concealed: boolean;
  arrivalMs: number;
  /** That the frame is the caller's speech; 0 until it is known. */
  probability: number;
}

/**
 * The network hears two frames at a time and judges the two before them. A frame is active where it is likely enough to be
 * speech; a concealed one never is, for nobody said it. Long digital silence is not given to the network at all.
 *
 * A frame is emitted `delayFrames` late, for until then it may turn out to be speech. Within an utterance that is sure for as long as the
 * hangover of its last active frame: such a frame is emitted as it comes, and judged later. The arrays of an emitted frame are reused: copy what must outlive `emit`.
 */
export class SpeechDetector implements Processor<RawFrame, DetectedSpeech> {
  readonly #options: Omit<Required<SpeechDetectorOptions>, 'network'>;
  readonly #network: Pick<VoiceNetwork, 'createState' | 'step'>;
  readonly #state: Float32Array;
  readonly #sequence = new VoiceSequence();
  readonly #edges = new UtteranceEdges();
  readonly #probabilities = new Float32Array(pairFrames);
  readonly #ring: Slot[] = [];
  /** Frames taken in, and frames emitted. */
  #seen = 0;
  #released = 0;
  /** Frames before this one went out when the caller stalled, and are judged no more. */
  #judgedFrom = 0;
  #speaking = false;
  #onset = 0;
  /** Index of the newest active frame of an utterance. */
  #lastActive = -1;
  /** Index of the newest frame of it that is likely enough to be its last. */
  #lastSure = -1;

  constructor({ network = shippedVoiceNetwork(), ...options }: SpeechDetectorOptions = {}) {
    this.#options = { ...defaults, ...options };
    this.#network = network;
    this.#state = network.createState();
  }

  process(input: RawFrame, emit: Emit<DetectedSpeech>): void {
    const { delayFrames } = this.#options;
    const slot = (this.#ring[input.index % (delayFrames + 1)] ??= emptySlot());
    slot.index = input.index;
    slot.logMel.set(input.logMel);
    slot.mfcc.set(input.mfcc);
    if (input.pitch !== undefined) (slot.pitch ??= new Float32Array(pitchCount)).set(input.pitch);
    slot.concealed = input.concealed;
    slot.arrivalMs = input.arrivalMs;
    slot.probability = 0;
    this.#seen = input.index + 1;
    this.#edges.take(input.index, input.logMel, input.concealed);
    const pair = this.#sequence.take(input);
    if (pair !== null) {
      if (pair.heard) this.#network.step(pair.inputs, this.#state, this.#probabilities);
      else this.#probabilities.fill(0);
      for (let i = 0; i < pairFrames; i += 1) this.#judge(pair.index + 1 - 2 * pairFrames + i, this.#probabilities[i] ?? 0, input, emit);
    }
    this.#release(this.#seen - delayFrames, emit);
  }

  /** Whether the next frame will go out as it comes, whatever is in it. */
  get sure(): boolean {
    return this.#speaking && this.#seen <= this.#lastActive + this.#options.hangoverFrames;
  }

  /** A caller of whom nothing comes any more has ended the utterance. */
  pause(emit: Emit<DetectedSpeech>): void {
    this.#release(this.#seen, emit);
    this.#judgedFrom = this.#seen;
    const last = this.#slot(this.#seen - 1);
    if (this.#speaking && last !== undefined) this.#end(last.arrivalMs, emit);
  }

  flush(emit: Emit<DetectedSpeech>): void {
    this.pause(emit);
  }

  close(): void {
    this.#ring.length = 0;
  }

  /** Takes in what is known of a frame now. */
  #judge(index: number, probability: number, { arrivalMs }: RawFrame, emit: Emit<DetectedSpeech>): void {
    const slot = this.#slot(index);
    if (index < this.#judgedFrom || slot === undefined) return;
    slot.probability = slot.concealed ? 0 : probability;
    this.#edges.judge(index, slot.probability);
    const { offProbability, endProbability, endFrames } = this.#options;
    if (this.#speaking && slot.probability >= endProbability) {
      this.#lastSure = index;
      this.#edges.sure(index);
    }
    if (!this.#speaking) this.#begin(index, arrivalMs, emit);
    else if (slot.probability >= offProbability) this.#lastActive = index;
    else if (index - this.#lastActive >= endFrames) this.#end(arrivalMs, emit);
  }

  /** Begins an utterance at the first active frame that was not emitted yet, if there are enough of them up to `index`. */
  #begin(index: number, arrivalMs: number, emit: Emit<DetectedSpeech>): void {
    const { onProbability, onsetFrames } = this.#options;
    let count = 0;
    let onset = index;
    for (let at = index; at >= this.#released && at > this.#lastActive; at -= 1) {
      if ((this.#slot(at)?.probability ?? 0) < onProbability) continue;
      count += 1;
      onset = at;
    }
    if (count < onsetFrames) return;
    this.#speaking = true;
    this.#lastActive = index;
    this.#lastSure = index;
    this.#onset = onset;
    emit({ kind: 'change', state: 'start', frameIndex: this.#edges.start(onset), arrivalMs });
  }

  #end(arrivalMs: number, emit: Emit<DetectedSpeech>): void {
    this.#speaking = false;
    emit({ kind: 'change', state: 'end', frameIndex: this.#edges.end(this.#lastSure), arrivalMs });
  }

  /** Emits the frames before `end`, and those behind it of which no later frame can change whether they are speech. */
  #release(end: number, emit: Emit<DetectedSpeech>): void {
    for (; this.#released < this.#seen; this.#released += 1) {
      const slot = this.#slot(this.#released);
      if (slot === undefined) return;
      const { index, logMel, mfcc, pitch, concealed, arrivalMs } = slot;
      const upToHangover = this.#lastActive >= 0 && index <= this.#lastActive + this.#options.hangoverFrames;
      if (index >= end && !(this.#speaking && upToHangover)) return;
      const speech = upToHangover && index >= this.#onset;
      const frame: FeatureFrame =
        pitch === undefined
          ? { index, logMel, mfcc, speech, concealed, arrivalMs }
          : { index, logMel, mfcc, speech, concealed, arrivalMs, pitch };
      emit({ kind: 'frame', frame });
    }
  }

  #slot(index: number): Slot | undefined {
    return this.#ring[index % (this.#options.delayFrames + 1)];
  }
}

function emptySlot(): Slot {
  const logMel = new Float32Array(melBands);
  const mfcc = new Float32Array(mfccCount);
  return { index: 0, logMel, mfcc, pitch: undefined, concealed: false, arrivalMs: 0, probability: 0 };
}
