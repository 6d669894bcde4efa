// What the voice-activity network sees of a log-mel frame: its shape against running levels, so that gain does not matter.
import { energyFloor } from './feature-extractor.ts';
import { melBands } from './mel.ts';

/** Bands of a group, whose noise floor is tracked together. */
const groupBands = 4;
const groups = melBands / groupBands;

/** Numbers that the network is given of each frame: every band, the groups over their floor, the level under its peak. */
export const voiceInputCount = melBands + groups + 1;

/** A frame whose bands average less than this much above the least that a log-mel holds is no signal: mute, DTX, a hole. */
const signalNepers = 1.2;
/** Frames with a signal that the running level is the plain mean of, before it forgets. */
const levelFrames = 200;
/** The floor follows what is below it at the first rate a frame, at most `fallNepers`, and what is above at the second. */
const fallRate = 0.1;
const fallNepers = 0.2;
const riseRate = 0.002;
/** The peak falls by this much a frame. */
const peakFallNepers = 0.005;
/** Frames after a silence that the floor does not learn from: they are half silence. */
const settleFrames = 3;
const scale = 0.3;
const mostNepers = 9;

/**
 * Prepares the frames of one track. Running levels learn from frames with a signal alone: digital silence says nothing of the
 * room, and neither does what a decoder made up.
 */
export class VoiceInputs {
  /** Of the last frame that was taken, `[voiceInputCount]`. */
  readonly values = new Float32Array(voiceInputCount);
  readonly #floor = new Float64Array(groups);
  #level = 0;
  #peak = 0;
  #taken = 0;
  #sinceSilence = 0;

  /** Takes a frame into `values` and the running levels; false where it has no signal. */
  take(logMel: Float32Array): boolean {
    let sum = 0;
    for (let band = 0; band < melBands; band += 1) sum += logMel[band] ?? 0;
    const mean = sum / melBands;
    const silent = mean < Math.log(energyFloor) + signalNepers;
    this.#sinceSilence = silent ? 0 : this.#sinceSilence + 1;
    if (!silent) this.#learn(logMel, mean);
    const { values } = this;
    const level = this.#level;
    for (let band = 0; band < melBands; band += 1) values[band] = limited((logMel[band] ?? 0) - level);
    for (let group = 0; group < groups; group += 1) {
      values[melBands + group] = limited(groupMean(logMel, group) - (this.#floor[group] ?? 0));
    }
    values[melBands + groups] = limited(mean - this.#peak);
    return !silent;
  }

  #learn(logMel: Float32Array, mean: number): void {
    const settling = this.#sinceSilence <= settleFrames;
    // What a track begins with after digital silence is half silence: nothing is learnt of it but where to begin.
    const first = this.#taken === 0;
    if (!(first && settling)) this.#taken += 1;
    this.#level = first ? mean : this.#level + (mean - this.#level) / Math.min(this.#taken, levelFrames);
    this.#peak = first ? mean : Math.max(mean, this.#peak - peakFallNepers);
    if (!first && settling) return;
    // At first it is the mean of what was heard, so that a noisy room is known soon.
    const rise = Math.max(riseRate, 1 / Math.max(1, this.#taken));
    for (let group = 0; group < groups; group += 1) {
      const value = groupMean(logMel, group);
      const floor = this.#floor[group] ?? 0;
      const above = value - floor;
      this.#floor[group] = first ? value : floor + (above < 0 ? Math.max(-fallNepers, fallRate * above) : rise * above);
    }
  }
}

function groupMean(logMel: Float32Array, group: number): number {
  const at = group * groupBands;
  return ((logMel[at] ?? 0) + (logMel[at + 1] ?? 0) + (logMel[at + 2] ?? 0) + (logMel[at + 3] ?? 0)) / groupBands;
}

function limited(nepers: number): number {
  return scale * Math.max(-mostNepers, Math.min(mostNepers, nepers));
}
