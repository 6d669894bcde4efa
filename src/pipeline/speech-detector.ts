// Voice activity on the log-mel that is computed anyway: signal-to-noise over a tracked noise floor, with hysteresis.
import type { Emit, Processor } from '../processor.ts';
import type { RawFrame } from './feature-extractor.ts';
import { melBands, mfccCount } from './mel.ts';
import type { FeatureFrame } from './types.ts';

/** Options of a {@link SpeechDetector}; frames are 10 ms. */
export interface SpeechDetectorOptions {
  /** Mean signal-to-noise over the speech bands from which a frame may be speech. @default 7.5 */
  readonly onSnrDb?: number;
  /** Level below the loudest recent speech under which a frame is not speech. @default 42 */
  readonly rangeDb?: number;
  /** Speech begins when this many of the last `delayFrames` frames are active. @default 4 */
  readonly onsetFrames?: number;
  /** Frames by which the output lags the input, so that an onset is marked from its beginning. @default 6 */
  readonly delayFrames?: number;
  /** Frames that stay marked as speech after the last active one. @default 12 */
  readonly hangoverFrames?: number;
  /** Frames without activity after which the utterance has ended. @default 40 */
  readonly endFrames?: number;
}

/** What a {@link SpeechDetector} emits: each frame once, in order, and where utterances begin and end. */
export type DetectedSpeech =
  | { readonly kind: 'frame'; readonly frame: FeatureFrame }
  | { readonly kind: 'change'; readonly state: 'start' | 'end'; readonly frameIndex: number; readonly arrivalMs: number };

const defaults = { onSnrDb: 7.5, rangeDb: 42, onsetFrames: 4, delayFrames: 6, hangoverFrames: 12, endFrames: 40 };

const dbPerNeper = 10 / Math.LN10;
/** Bands of about 130 Hz to 5 kHz, where speech has its energy and hum has not. */
const firstBand = 2;
const lastBand = 50;
/** Least noise floor: what quieter bands hold is taken for the noise of a quiet room, not for digital silence. */
const leastFloor = Math.log(1e-6);
/** Highest noise floor that is believed before the minimum has been observed for a while. */
const assumedFloor = Math.log(2e-2);
/** Frames below this level are no signal (mute, DTX, a codec's silence), and say nothing of the room's noise. */
const signalDb = -50;
/** A frame counts for the noise floor once this many later ones had a signal too: at an edge it is half silence. */
const settleFrames = 3;
/**
 * Concealed frames, and this many after each, say nothing of the noise floor: concealment fades to nothing, and a floor
 * that followed it would take the room itself for speech.
 */
const recoverFrames = 5;
const blockFrames = 25;
const blocks = 10;
const smoothing = 0.4;
/** A minimum of smoothed noise lies below its mean by about this much. */
const minimumBias = Math.log(2);
const maxSnrDb = 30;
const peakDecayDb = 0.02;

/**
 * A frame is active when the mean over the speech bands of its signal-to-noise ratio (each band clipped to
 * 0..30 dB) exceeds `onSnrDb`, and its level is within `rangeDb` of the loudest recent speech. The noise floor of a
 * band is the least smoothed energy of the last 2.5 s (minimum statistics: R. Martin, IEEE TSAP 9(5), 2001).
 * Output lags by `delayFrames`. The arrays of an emitted frame are reused: copy what must outlive `emit`.
 */
export class SpeechDetector implements Processor<RawFrame, DetectedSpeech> {
  readonly #options: Required<SpeechDetectorOptions>;
  readonly #ring: { frame: FeatureFrame; logMel: Float32Array; mfcc: Float32Array; active: boolean }[] = [];
  readonly #smoothed = new Float64Array(melBands);
  /** Smoothed energies of the last frames, until they count for the noise floor. */
  readonly #recent = Array.from({ length: settleFrames + 1 }, () => new Float64Array(melBands));
  readonly #minima = Array.from({ length: blocks }, () => new Float64Array(melBands).fill(assumedFloor));
  readonly #floor = new Float64Array(melBands).fill(assumedFloor);
  /** Frames taken in, and frames emitted. */
  #seen = 0;
  #released = 0;
  /** Frames with a signal since the last one without. */
  #steady = 0;
  /** Frames that the noise floor has been tracked over. */
  #tracked = 0;
  /** Frames since the last concealed one. */
  #sinceConcealed = Infinity;
  #peakDb = -Infinity;
  #speaking = false;
  /** Index of the newest active frame, and of the newest frame marked as speech's end. */
  #lastActive = -1;

  constructor(options: SpeechDetectorOptions = {}) {
    this.#options = { ...defaults, ...options };
  }

  process(input: RawFrame, emit: Emit<DetectedSpeech>): void {
    const { delayFrames } = this.#options;
    this.#sinceConcealed = input.concealed ? 0 : this.#sinceConcealed + 1;
    const active = this.#isActive(input.logMel);
    const slotIndex = input.index % (delayFrames + 1);
    const slot = (this.#ring[slotIndex] ??= emptySlot());
    slot.logMel.set(input.logMel);
    slot.mfcc.set(input.mfcc);
    slot.active = active;
    slot.frame = { ...input, logMel: slot.logMel, mfcc: slot.mfcc, speech: false };
    this.#seen = input.index + 1;
    this.#decide(input, active, emit);
    this.#releaseBefore(this.#seen - delayFrames, emit);
  }

  /** A caller of whom nothing comes any more has ended the utterance. */
  pause(emit: Emit<DetectedSpeech>): void {
    this.#releaseBefore(this.#seen, emit);
    const last = this.#ring[(this.#seen - 1) % (this.#options.delayFrames + 1)];
    if (this.#speaking && last !== undefined) this.#end(last.frame.arrivalMs, emit);
  }

  flush(emit: Emit<DetectedSpeech>): void {
    this.pause(emit);
  }

  close(): void {
    this.#ring.length = 0;
  }

  #decide(input: RawFrame, active: boolean, emit: Emit<DetectedSpeech>): void {
    const { onsetFrames, delayFrames, endFrames } = this.#options;
    if (active && this.#speaking) this.#lastActive = input.index;
    if (!this.#speaking) {
      const first = Math.max(0, input.index - delayFrames + 1);
      let count = 0;
      let onset = input.index;
      for (let index = input.index; index >= first; index -= 1) {
        if (this.#ring[index % (delayFrames + 1)]?.active === true) {
          count += 1;
          onset = index;
        }
      }
      if (count >= onsetFrames && onset > this.#lastActive) {
        this.#speaking = true;
        this.#lastActive = input.index;
        this.#onset = onset;
        emit({ kind: 'change', state: 'start', frameIndex: onset, arrivalMs: input.arrivalMs });
      }
    } else if (input.index - this.#lastActive >= endFrames) {
      this.#end(input.arrivalMs, emit);
    }
  }

  #onset = 0;

  #end(arrivalMs: number, emit: Emit<DetectedSpeech>): void {
    this.#speaking = false;
    emit({ kind: 'change', state: 'end', frameIndex: this.#lastActive + 1, arrivalMs });
  }

  #releaseBefore(end: number, emit: Emit<DetectedSpeech>): void {
    const { delayFrames, hangoverFrames } = this.#options;
    for (; this.#released < end; this.#released += 1) {
      const slot = this.#ring[this.#released % (delayFrames + 1)];
      if (slot === undefined) return;
      const index = this.#released;
      const speech = index >= this.#onset && index <= this.#lastActive + hangoverFrames && this.#lastActive >= 0;
      emit({ kind: 'frame', frame: { ...slot.frame, speech } });
    }
  }

  #isActive(logMel: Float32Array): boolean {
    const { onSnrDb, rangeDb } = this.#options;
    let energy = 0;
    for (let band = firstBand; band <= lastBand; band += 1) energy += Math.exp(logMel[band] ?? 0);
    const levelDb = dbPerNeper * Math.log(energy);
    if (levelDb < signalDb) {
      this.#steady = 0;
      return false;
    }
    const first = this.#steady === 0;
    const recent = this.#recent[this.#steady % this.#recent.length];
    this.#steady += 1;
    let snrDb = 0;
    for (let band = firstBand; band <= lastBand; band += 1) {
      const value = logMel[band] ?? 0;
      const before = this.#smoothed[band] ?? 0;
      const smoothed = first ? value : before + smoothing * (value - before);
      this.#smoothed[band] = smoothed;
      if (recent !== undefined) recent[band] = smoothed;
      const floor = Math.max(leastFloor, Math.min(this.#floor[band] ?? smoothed, smoothed + minimumBias));
      snrDb += Math.max(0, Math.min(maxSnrDb, dbPerNeper * (value - floor)));
    }
    snrDb /= lastBand - firstBand + 1;
    if (this.#steady > 2 * settleFrames && this.#sinceConcealed > recoverFrames) this.#track();
    const active = snrDb > onSnrDb && levelDb > this.#peakDb - rangeDb;
    if (active) this.#peakDb = Math.max(this.#peakDb - peakDecayDb, levelDb);
    return active;
  }

  /** Takes the oldest of the recent frames into the minima of its block. */
  #track(): void {
    const settled = this.#recent[this.#steady % this.#recent.length];
    const minima = this.#minima[Math.floor(this.#tracked / blockFrames) % blocks];
    if (settled === undefined || minima === undefined) return;
    const newBlock = this.#tracked % blockFrames === 0;
    this.#tracked += 1;
    for (let band = firstBand; band <= lastBand; band += 1) {
      const value = settled[band] ?? 0;
      minima[band] = newBlock ? value : Math.min(minima[band] ?? value, value);
    }
    if (newBlock) this.#updateFloor();
  }

  #updateFloor(): void {
    for (let band = firstBand; band <= lastBand; band += 1) {
      let least = Infinity;
      for (const minima of this.#minima) least = Math.min(least, minima[band] ?? Infinity);
      this.#floor[band] = least + minimumBias;
    }
  }
}

function emptySlot(): { frame: FeatureFrame; logMel: Float32Array; mfcc: Float32Array; active: boolean } {
  const logMel = new Float32Array(melBands);
  const mfcc = new Float32Array(mfccCount);
  return { frame: { index: 0, logMel, mfcc, speech: false, concealed: false, arrivalMs: 0 }, logMel, mfcc, active: false };
}
