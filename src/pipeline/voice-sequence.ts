// Which frames of a track the voice-activity network hears: in pairs, and none of a long silence.
import type { RawFrame } from './feature-extractor.ts';
import { voiceInputCount, VoiceInputs } from './voice-inputs.ts';

/** Frames that the network takes at a time. */
export const pairFrames = 2;
/** Frames that the network goes on for once there is no signal, so that it ends what it heard; after that it rests. */
const restAfterFrames = 8;

/** Two frames of a track, the first of even index. */
export interface VoicePair {
  /** `[2][voiceInputCount]`; reused. */
  readonly inputs: Float32Array;
  /** Index of the second frame. */
  readonly index: number;
  /** Whether the network is to hear them; otherwise nobody has spoken for a while, and it keeps its state. */
  readonly heard: boolean;
}

/**
 * Pairs the frames of one track. A concealed frame is given as the last real one again: what libopus makes up is no evidence,
 * and the network goes on from where it was.
 */
export class VoiceSequence {
  readonly #inputs = new VoiceInputs();
  readonly #pair = new Float32Array(pairFrames * voiceInputCount);
  /** Frames since the last with a signal that nobody made up. */
  #quiet = restAfterFrames;

  /** The pair that this frame ends; null after its first. Frames come in order, none missing. */
  take({ index, logMel, concealed }: RawFrame): VoicePair | null {
    const second = index % pairFrames === 1;
    const at = second ? voiceInputCount : 0;
    let signal = false;
    if (concealed) {
      // The frame before is the pair's other half.
      const before = voiceInputCount - at;
      this.#pair.copyWithin(at, before, before + voiceInputCount);
    } else signal = this.#inputs.take(logMel, this.#pair, at);
    this.#quiet = signal ? 0 : this.#quiet + 1;
    if (!second) return null;
    return { inputs: this.#pair, index, heard: this.#quiet < restAfterFrames };
  }
}
