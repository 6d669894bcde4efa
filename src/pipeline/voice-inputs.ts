// What the voice-activity network sees of a log-mel frame: its shape against running levels, so that gain does not matter.
import { energyFloor } from './feature-extractor.ts';
import { frontEndKernel, voiceInputCount, voiceLevelCount } from './kernel/kernel.ts';

/** Numbers that the network is given of each frame: every band, the groups of four over their floor, the level under its peak. */
export { voiceInputCount };

/** A frame whose bands average less than this is no signal: mute, DTX, a hole. */
const signalNepers = Math.log(energyFloor) + 1.2;

/**
 * Prepares the frames of one track. Running levels learn from frames with a signal alone: digital silence says nothing of the
 * room, and neither does what a decoder made up.
 *
 * Of a band, what it is above the level, which is the plain mean of the first 200 frames and forgets after that. Of a group, what
 * it is above its floor: at first the mean of what was heard, so that a noisy room is known soon; then it follows what is below it
 * by a tenth a frame, at most 0.2 nepers, and what is above by 0.002. Of the frame, what it is under the peak, which falls by 0.005 a
 * frame. Each within 9 nepers either way, times 0.3. Three frames after a silence teach nothing but the level and the peak, for
 * they are half silence; at a track's beginning they are where levels begin, and no more.
 */
export class VoiceInputs {
  readonly #kernel = frontEndKernel();
  /** Floors of the groups; level; peak; frames with a signal; frames since the last without. */
  readonly #levels = new Float32Array(voiceLevelCount);
  /** Frames of digital silence in a row, up to two. */
  #zeros = 0;

  /**
   * Takes a frame into the running levels, and writes what the network is given of it; false where it has no signal. `out` holds two frames, which are
   * given in turns.
   */
  take(logMel: Float32Array, out: Float32Array, offset: number): boolean {
    const { functions, voiceLogMel, voiceLevels, voiceValues, silence } = this.#kernel;
    if (logMel !== silence.logMel) this.#zeros = 0;
    // It teaches nothing, so that a third frame of it is what the two before it are.
    else if (this.#zeros === 2) return false;
    else this.#zeros += 1;
    voiceLogMel.set(logMel);
    voiceLevels.set(this.#levels);
    const signal = functions.takeVoice(signalNepers) !== 0;
    this.#levels.set(voiceLevels);
    out.set(voiceValues, offset);
    return signal;
  }
}
