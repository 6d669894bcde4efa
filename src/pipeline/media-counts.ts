// What is counted and measured of a track's media, at its start.
import type { MediaCounts, MediaLevels } from './types.ts';

/** Counts of a track at its start. */
export function createMediaCounts(): MediaCounts {
  return {
    received: 0,
    played: 0,
    late: 0,
    duplicate: 0,
    malformed: 0,
    ignored: 0,
    overflow: 0,
    lost: 0,
    decodeErrors: 0,
    concealedSamples: 0,
    recoveredSamples: 0,
    skippedSamples: 0,
  };
}

/** Levels of a track at its start. */
export function createMediaLevels(): MediaLevels {
  return { jitterMs: 0, playoutDelayMs: 0 };
}
