// Deals a corpus's clips out to callers: each speaker as is, and copies of those that may be copied.
import type { CorpusClip } from '../corpus/corpus.ts';
import { shuffled, type CallerJob } from './caller.ts';
import { randomOf } from './condition.ts';

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

/** Clips that one caller's babble is mixed from. */
const babblePool = 24;
const heldOut = new Set(['validation', 'test']);

/**
 * The callers in the order in which they are written: all clips as they are, then the first copies, then the second.
 * What is held out for validation or test is copied only where that is asked for: splitting comes before copying.
 */
export function dealCallers(clips: readonly CorpusClip[], options: JobOptions): Caller[] {
  const { augment, augmentAll, independent, seed } = options;
  const train = clips.filter(({ split }) => !heldOut.has(split));
  const own = (clip: CorpusClip): string => (independent ? clip.path : clip.speaker);
  return Array.from({ length: augment + 1 }, (_, copy) => copy).flatMap((copy) =>
    [...Map.groupBy(copy === 0 || augmentAll ? clips : train, own)].map(([name, ofCaller]) => {
      const caller = copy === 0 ? name : `${name}#${copy.toString()}`;
      const [first] = ofCaller;
      const others = copy === 0 ? [] : train.filter(({ speaker }) => speaker !== first?.speaker);
      const otherPaths = draw(others, babblePool, seed, caller).map(({ path }) => path);
      return { job: { caller, copy, paths: ofCaller.map(({ path }) => path), otherPaths }, clips: ofCaller };
    }),
  );
}

function draw(clips: readonly CorpusClip[], count: number, seed: number, caller: string): CorpusClip[] {
  return shuffled(clips, randomOf(seed, `babble ${caller}`)).slice(0, count);
}
