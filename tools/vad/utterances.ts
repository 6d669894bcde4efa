// Utterances, of labels or of a detector, and how far those of the one are from those of the other.

/** From its first frame to before `end`. */
export interface Utterance {
  readonly start: number;
  readonly end: number;
}

/** How far a detector's utterances are from the labelled ones, frames: positive is too late. */
export interface UtteranceErrors {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Labelled utterances that none of the detector's overlaps. */
  readonly missed: number;
  /** Utterances of the detector that no labelled one overlaps. */
  readonly invented: number;
}

/** Runs of 1; gaps shorter than `endFrames` belong to the utterance. */
export function utterancesOf(labels: Uint8Array, endFrames: number): Utterance[] {
  const found: { start: number; end: number }[] = [];
  labels.forEach((label, frame) => {
    if (label !== 1) return;
    const last = found.at(-1);
    if (last !== undefined && frame - last.end < endFrames) last.end = frame + 1;
    else found.push({ start: frame, end: frame + 1 });
  });
  return found;
}

/** Utterances of probabilities with hysteresis, as a detector of blocks makes them: on from `on`, over below `off` for `endFrames`. */
export function hysteresis(scores: Float32Array, on: number, off: number, endFrames: number): Utterance[] {
  const found: { start: number; end: number }[] = [];
  let speaking = false;
  scores.forEach((score, frame) => {
    const last = found.at(-1);
    if (speaking && last !== undefined) {
      if (score >= off) last.end = frame + 1;
      else if (frame - last.end + 1 >= endFrames) speaking = false;
    } else if (score >= on) {
      found.push({ start: frame, end: frame + 1 });
      speaking = true;
    }
  });
  return found;
}

/** Each labelled utterance against the first and the last of the detector's that overlap it. */
export function compareUtterances(labelled: readonly Utterance[], detected: readonly Utterance[]): UtteranceErrors {
  const overlap = (a: Utterance, b: Utterance): boolean => a.start < b.end && b.start < a.end;
  const starts: number[] = [];
  const ends: number[] = [];
  let missed = 0;
  for (const own of labelled) {
    const touching = detected.filter((other) => overlap(own, other));
    const [first, last] = [touching[0], touching.at(-1)];
    if (first === undefined || last === undefined) {
      missed += 1;
      continue;
    }
    starts.push(first.start - own.start);
    ends.push(last.end - own.end);
  }
  return { starts, ends, missed, invented: detected.filter((other) => !labelled.some((own) => overlap(own, other))).length };
}
