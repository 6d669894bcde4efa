// Deals a corpus's clips out to callers: each speaker as is, and copies of those that may be copied.
import type { Random } from '../callers/random.ts';
import type { CorpusClip } from '../corpus/corpus.ts';
import type { CallerJob } from './caller.ts';
import { randomOf, shuffled } from './draw.ts';

/** How clips become callers. */
export interface JobOptions {
  /** Copies of each caller under other conditions. */
  readonly augment: number;
  /** Copies of validation and test clips too. */
  readonly augmentAll: boolean;
  /** Each clip is a caller of its own. */
  readonly independent: boolean;
  readonly seed: number;
}

/** A caller, and the clips that the job's paths are of. */
export interface Caller {
  readonly job: CallerJob;
  readonly clips: readonly CorpusClip[];
}

/** What one caller's babble is mixed from: few speakers, so that it can be told whether they are held out of a fold. */
const babbleOf = { speakers: 6, clipsEach: 4 };
const heldOut = new Set(['validation', 'test']);

/**
 * The callers in the order in which they are written: all clips as they are, then the first copies, then the second.
 * What is held out for validation or test is copied only where that is asked for: splitting comes before copying.
 */
export function dealCallers(clips: readonly CorpusClip[], options: JobOptions): Caller[] {
  const { augment, augmentAll, independent, seed } = options;
  const train = clips.filter(({ split }) => !heldOut.has(split));
  const trainSpeakers = [...Map.groupBy(train, ({ speaker }) => speaker)];
  const own = (clip: CorpusClip): string => (independent ? clip.path : clip.speaker);
  return Array.from({ length: augment + 1 }, (_, copy) => copy).flatMap((copy) =>
    [...Map.groupBy(copy === 0 || augmentAll ? clips : train, own)].map(([name, ofCaller]) => {
      const caller = copy === 0 ? name : `${name}#${copy.toString()}`;
      const [first] = ofCaller;
      const others = copy === 0 ? [] : trainSpeakers.filter(([speaker]) => speaker !== first?.speaker);
      const voices = drawVoices(others, randomOf(seed, `voices ${caller}`));
      return { job: { caller, copy, paths: ofCaller.map(({ path }) => path), voices }, clips: ofCaller };
    }),
  );
}

function drawVoices(others: readonly (readonly [string, readonly CorpusClip[]])[], random: Random): CallerJob['voices'] {
  const speakers = shuffled(others, random).slice(0, babbleOf.speakers);
  return speakers.flatMap(([speaker, clips]) =>
    shuffled(clips, random)
      .slice(0, babbleOf.clipsEach)
      .map(({ path }) => ({ speaker, path })),
  );
}
