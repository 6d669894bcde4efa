// Where somebody speaks in a clean clip: by its energy over the clip's own floor, frame by frame.
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { firstBand, lastBand, silenceDb } from '../../src/pipeline/utterance-edges.ts';

/** The floor is the level that this share of the frames with a signal lies under. */
const floorShare = 0.1;
const peakShare = 0.95;
/** A frame is speech above the floor by this share of the way to the peak, and by no less and no more than this many dB. */
const riseShare = 0.3;
const leastRiseDb = 6;
const mostRiseDb = 15;
/** What lies further below the peak is breath and room. */
const rangeDb = 32;
/** Shorter gaps are part of the speech, 100 ms, and shorter islands are none, 50 ms. */
const gapFrames = 10;
const islandFrames = 5;

/** Level of a frame, dB (not of full scale). */
export function levelDb(logMel: Float32Array): number {
  let energy = 0;
  for (let band = firstBand; band <= lastBand; band += 1) energy += Math.exp(logMel[band] ?? 0);
  return (10 / Math.LN10) * Math.log(energy);
}

/**
 * 1 for each frame of speech in a clean clip of one speaker, 16 kHz; frame i begins at sample 160 i. With the threshold shifted by
 * `shiftDb` it shows what of a label hangs on where exactly the threshold lies.
 */
export function speechLabels(samples: Float32Array, shiftDb = 0): Uint8Array {
  const levels: number[] = [];
  new FeatureExtractor().process({ startSample: 0, samples, concealed: false, arrivalMs: 0 }, ({ logMel }) => levels.push(levelDb(logMel)));
  const sorted = levels.filter((level) => level > silenceDb).toSorted((a, b) => a - b);
  const floorDb = sorted[Math.floor(floorShare * sorted.length)] ?? silenceDb;
  const peakDb = sorted[Math.floor(peakShare * sorted.length)] ?? silenceDb;
  const riseDb = Math.max(leastRiseDb, Math.min(mostRiseDb, riseShare * (peakDb - floorDb)));
  const thresholdDb = Math.max(floorDb + riseDb, peakDb - rangeDb) + shiftDb;
  const labels = Uint8Array.from(levels, (level) => (level > thresholdDb ? 1 : 0));
  // Crumbs go first, so that they bridge no gap; what a word leaves in pieces is joined before short pieces are dropped.
  dropRuns(labels, 1, 2);
  dropRuns(labels, 0, gapFrames);
  dropRuns(labels, 1, islandFrames);
  return labels;
}

/** Turns runs of `value` shorter than `frames` over, unless it is a gap that touches an end. */
function dropRuns(labels: Uint8Array, value: 0 | 1, frames: number): void {
  let start = 0;
  for (let at = 1; at <= labels.length; at += 1) {
    if (at < labels.length && labels[at] === labels[start]) continue;
    const touchesEnd = start === 0 || at === labels.length;
    if (labels[start] === value && at - start < frames && !(value === 0 && touchesEnd)) labels.fill(1 - value, start, at);
    start = at;
  }
}
