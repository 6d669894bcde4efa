// Where an utterance began and ended: by level where the network hesitates, from what is remembered once it is sure.
import { energyFloor } from './feature-extractor.ts';

/** Bands of about 130 Hz to 6.3 kHz. */
export const firstBand = 2;
export const lastBand = 57;
const dbPerNeper = 10 / Math.LN10;
const floorNepers = Math.log(energyFloor) + 1e-3;
/** Least level of a frame that holds more than digital silence, dB. */
export const silenceDb = dbPerNeper * Math.log(energyFloor * (lastBand - firstBand + 1)) + 1;

/** Frames that are remembered: those that edges are looked for in, and those that tell the room's level. */
const memoryFrames = 128;
/** The room is the level that this share of the frames before, or after, lies under; and so many of those before are asked. */
const floorShare = 0.1;
const roomFrames = 60;
const leastRoomFrames = 10;
/** Loud is above the room by this share of the way to the peak, by no less and no more than this many dB, and so near the peak. */
const riseShare = 0.3;
const leastRiseDb = 6;
const mostRiseDb = 15;
const rangeDb = 32;
const peakShare = 0.95;

/** A start is moved only where speech stands so far above the room, at most this far, and over gaps shorter than this. */
const start = { leastRangeDb: 25, backFrames: 60, gapFrames: 6, probability: 0.15, alonePlusDb: 25 };
/** An end: the last frames in a row that are surely speech, or are loud and perhaps speech. */
const end = {
  leastRangeDb: 12,
  backFrames: 60,
  aheadFrames: 30,
  runFrames: 3,
  sureProbability: 0.6,
  plainProbability: 0.4,
  probability: 0.1,
};

/** Levels of an utterance are counted in steps of 1 dB from this one on. */
const lowestDb = -60;
const levelSteps = 140;

// N. Schraudolph, "A Fast, Compact Approximation of the Exponential Function", Neural Computation 11 (1999), for 32 bits: the
// exponent's bits are a line through the logarithm. Errs by up to 3 %, which is 0.13 dB, at a tenth of the cost.
const stepsPerNeper = 2 ** 23 / Math.LN2;
const zeroSteps = 127 * 2 ** 23 - 366_393;
const steps = new Int32Array(lastBand - firstBand + 1);
const energies = new Float32Array(steps.buffer);

/** Level of a frame's log-mel, dB (not of full scale), to 0.2 dB; below {@link silenceDb} for digital silence. */
export function levelDb(logMel: Float32Array): number {
  let band = firstBand;
  while (band <= lastBand && (logMel[band] ?? 0) <= floorNepers) band += 1;
  if (band > lastBand) return silenceDb - 1;
  for (band = firstBand; band <= lastBand; band += 1) steps[band - firstBand] = stepsPerNeper * (logMel[band] ?? 0) + zeroSteps;
  let energy = 0;
  // Four at a time and by index: `for of` over floats takes ten times as long.
  for (let i = 0; i < energies.length; i += 4) {
    energy += (energies[i] ?? 0) + (energies[i + 1] ?? 0) + (energies[i + 2] ?? 0) + (energies[i + 3] ?? 0);
  }
  return dbPerNeper * Math.log(energy);
}

/**
 * Remembers level and probability of the last {@link memoryFrames} frames of one track. The network takes up a soft beginning
 * late and holds on to an end; the level says where in between. What it says of an utterance never lies before the end
 * of the one before, or after the newest frame.
 */
export class UtteranceEdges {
  readonly #levels = new Float32Array(memoryFrames).fill(silenceDb - 1);
  readonly #probabilities = new Float32Array(memoryFrames);
  readonly #counts = new Uint32Array(levelSteps);
  #onset = 0;
  #counted = 0;
  #seen = 0;
  #lastEnd = 0;

  /** Takes the next frame's level; concealed ones are no evidence and count as silence. */
  take(index: number, logMel: Float32Array, concealed: boolean): void {
    const at = index % memoryFrames;
    this.#levels[at] = concealed ? silenceDb - 1 : levelDb(logMel);
    this.#probabilities[at] = 0;
    this.#seen = index + 1;
  }

  /** Takes what is said of a frame later. */
  judge(index: number, probability: number): void {
    this.#probabilities[index % memoryFrames] = probability;
  }

  /** Takes in that the utterance lasts up to `index` at least. */
  sure(index: number): void {
    for (; this.#counted <= index; this.#counted += 1) {
      const step = Math.max(0, Math.min(levelSteps - 1, Math.round(this.#level(this.#counted)) - lowestDb));
      this.#counts[step] = (this.#counts[step] ?? 0) + 1;
    }
  }

  /** First frame of the utterance that the network is sure of from `onset` on. */
  start(onset: number): number {
    this.#onset = onset;
    this.#counted = onset;
    this.#counts.fill(0);
    const roomDb = this.#roomDb(Math.max(0, onset - roomFrames), onset);
    let peakDb = silenceDb;
    for (let index = onset; index < this.#seen; index += 1) peakDb = Math.max(peakDb, this.#level(index));
    if (peakDb - roomDb < start.leastRangeDb) return onset;
    const loudDb = loudFrom(roomDb, peakDb);
    let first = onset;
    let below = 0;
    for (let index = onset - 1; index >= Math.max(this.#lastEnd, onset - start.backFrames); index -= 1) {
      const level = this.#level(index);
      if (level > loudDb && (this.#probability(index) >= start.probability || level > roomDb + start.alonePlusDb)) {
        first = index;
        below = 0;
      } else if (++below >= start.gapFrames) return first;
    }
    // No edge: what is loud has been so for long, and is the room.
    return this.#lastEnd > onset - start.backFrames || onset < start.backFrames ? first : onset;
  }

  /** The frame before which the utterance ended, of which the network was last sure at `lastSure`. */
  end(lastSure: number): number {
    this.#lastEnd = this.#endOf(lastSure);
    return this.#lastEnd;
  }

  #endOf(lastSure: number): number {
    const oldest = Math.max(this.#onset, lastSure - end.backFrames, this.#seen - memoryFrames);
    if (this.#seen - lastSure <= leastRoomFrames || lastSure < oldest) return lastSure + 1;
    this.sure(lastSure);
    const roomDb = this.#roomDb(lastSure + 1, this.#seen);
    const peakDb = this.#peakDb();
    const byLevel = peakDb - roomDb >= end.leastRangeDb;
    const loudDb = loudFrom(roomDb, peakDb);
    let run = 0;
    for (let index = Math.min(this.#seen - 1, lastSure + end.aheadFrames); index > oldest; index -= 1) {
      const probability = this.#probability(index);
      const speech = byLevel
        ? probability >= end.sureProbability || (probability >= end.probability && this.#level(index) > loudDb)
        : probability >= end.plainProbability;
      run = speech ? run + 1 : 0;
      if (run === end.runFrames) return index + run;
    }
    return lastSure + 1;
  }

  #roomDb(from: number, before: number): number {
    const levels: number[] = [];
    for (let index = Math.max(from, this.#seen - memoryFrames); index < before; index += 1) {
      if (this.#level(index) > silenceDb) levels.push(this.#level(index));
    }
    if (levels.length < leastRoomFrames) return silenceDb;
    return levels.toSorted((a, b) => a - b)[Math.floor(floorShare * levels.length)] ?? silenceDb;
  }

  /** The level that {@link peakShare} of the utterance lies under. */
  #peakDb(): number {
    const most = peakShare * this.#counts.reduce((sum, count) => sum + count, 0);
    let sum = 0;
    let step = 0;
    while (step < levelSteps - 1 && (sum += this.#counts[step] ?? 0) <= most) step += 1;
    return lowestDb + step;
  }

  #level(index: number): number {
    return this.#levels[index % memoryFrames] ?? silenceDb;
  }

  #probability(index: number): number {
    return this.#probabilities[index % memoryFrames] ?? 0;
  }
}

function loudFrom(roomDb: number, peakDb: number): number {
  return Math.max(roomDb + Math.max(leastRiseDb, Math.min(mostRiseDb, riseShare * (peakDb - roomDb))), peakDb - rangeDb);
}
