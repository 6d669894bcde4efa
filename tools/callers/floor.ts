// Who of the simulated callers may speak when: each as it likes, or a call's callers in turns.
import type { Random } from './random.ts';

/** One who speaks on a floor. Only its identity counts. */
export type Speaker = object;

/** Gives the word. Positions are samples at 16 kHz since the callers started. */
export interface Floor {
  join(speaker: Speaker): void;
  /** Whether a silent speaker begins now; it then has the word until it calls `ended`. */
  mayBegin(speaker: Speaker, positionSamples: number): boolean;
  ended(speaker: Speaker, positionSamples: number, spokenSamples: number): void;
}

const samplesPerMs = 16;
const pauseMs = { min: 600, max: 3000 };

/** A floor of one's own: speaks again 0.6 to 3 s after each clip, whatever others do. */
export function createOwnFloor(random: Random): Floor {
  const pauseSamples = (): number => (pauseMs.min + random() * (pauseMs.max - pauseMs.min)) * samplesPerMs;
  let fromSample = pauseSamples();
  return {
    join: () => undefined,
    mayBegin: (_speaker, positionSamples) => positionSamples >= fromSample,
    ended: (_speaker, positionSamples) => {
      fromSample = positionSamples + pauseSamples();
    },
  };
}

/**
 * A floor that callers share: one speaks at a time, then another, chosen at random. `talkRatio`, above 0 and at most 1,
 * is the share of time during which anyone speaks.
 * @throws RangeError if `talkRatio` is out of range.
 */
export function createSharedFloor(talkRatio: number, random: Random): Floor {
  if (!(talkRatio > 0 && talkRatio <= 1)) {
    throw new RangeError(`Expected \`talkRatio\` to be above 0 and at most 1, got \`${String(talkRatio)}\``);
  }
  const speakers: Speaker[] = [];
  let turn = 0;
  let fromSample = pauseMs.min * samplesPerMs;
  let busy = false;
  return {
    join: (speaker) => {
      speakers.push(speaker);
    },
    mayBegin: (speaker, positionSamples) => {
      if (busy || speakers[turn] !== speaker || positionSamples < fromSample) return false;
      busy = true;
      return true;
    },
    ended: (_speaker, positionSamples, spokenSamples) => {
      busy = false;
      // Half to one and a half times the mean pause that gives the ratio.
      fromSample = positionSamples + spokenSamples * (1 / talkRatio - 1) * (0.5 + random());
      if (speakers.length > 1) turn = (turn + 1 + Math.floor(random() * (speakers.length - 1))) % speakers.length;
    },
  };
}
