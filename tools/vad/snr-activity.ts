// The voice activity that served before the network did: signal-to-noise over a tracked noise floor. Kept to compare with.
import type { RawFrame } from '../../src/pipeline/feature-extractor.ts';
import { melBands } from '../../src/pipeline/mel.ts';
import type { Utterance } from './utterances.ts';

const dbPerNeper = 10 / Math.LN10;
const firstBand = 2;
const lastBand = 50;
const leastFloor = Math.log(1e-6);
const assumedFloor = Math.log(2e-2);
const signalDb = -50;
const settleFrames = 3;
const recoverFrames = 5;
const blockFrames = 25;
const blocks = 10;
const smoothing = 0.4;
const minimumBias = Math.log(2);
const maxSnrDb = 30;
const onSnrDb = 7.5;
const rangeDb = 42;
const peakDecayDb = 0.02;
const onsetFrames = 4;
const delayFrames = 6;
const endFrames = 40;

/** Mean signal-to-noise over the speech bands, over the least smoothed energy of the last 2.5 s (R. Martin, IEEE TSAP 9(5), 2001). */
export class SnrActivity {
  readonly #smoothed = new Float64Array(melBands);
  readonly #recent = Array.from({ length: settleFrames + 1 }, () => new Float64Array(melBands));
  readonly #minima = Array.from({ length: blocks }, () => new Float64Array(melBands).fill(assumedFloor));
  readonly #floor = new Float64Array(melBands).fill(assumedFloor);
  #steady = 0;
  #tracked = 0;
  #sinceConcealed = Infinity;
  #peakDb = -Infinity;

  /** Signal-to-noise of a frame, dB, and whether it was taken for speech. */
  take({ logMel, concealed }: RawFrame): { readonly snrDb: number; readonly active: boolean } {
    this.#sinceConcealed = concealed ? 0 : this.#sinceConcealed + 1;
    let energy = 0;
    for (let band = firstBand; band <= lastBand; band += 1) energy += Math.exp(logMel[band] ?? 0);
    const levelDb = dbPerNeper * Math.log(energy);
    if (levelDb < signalDb) {
      this.#steady = 0;
      return { snrDb: -1, active: false };
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
    return { snrDb, active };
  }

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
    if (!newBlock) return;
    for (let band = firstBand; band <= lastBand; band += 1) {
      const least = this.#minima.reduce((least, each) => Math.min(least, each[band] ?? Infinity), Infinity);
      this.#floor[band] = least + minimumBias;
    }
  }
}

/** The utterances that were made of its active frames: four of the last six begin one, forty without end it. */
export function snrUtterances(active: readonly boolean[]): Utterance[] {
  const found: { start: number; end: number }[] = [];
  let speaking = false;
  active.forEach((one, frame) => {
    const last = found.at(-1);
    if (speaking && last !== undefined) {
      if (one) last.end = frame + 1;
      else if (frame - last.end + 1 >= endFrames) speaking = false;
      return;
    }
    const from = Math.max(0, last?.end ?? 0, frame - delayFrames + 1);
    const recent = active.slice(from, frame + 1);
    if (recent.filter(Boolean).length < onsetFrames) return;
    found.push({ start: from + recent.indexOf(true), end: frame + 1 });
    speaking = true;
  });
  return found;
}
