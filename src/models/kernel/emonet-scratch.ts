// Where what EmoNet computes lies in the kernel's memory.
import { dilations } from './emonet-weights.ts';
import {
  channels,
  cepstra,
  coarse,
  features,
  fine,
  gates,
  hidden,
  hopFrames,
  kernelStateSize,
  labelBlock,
  melBands,
  most,
  paddedSteps,
  pooledMeans,
  row,
  stepBytes,
  units,
  windowSteps,
} from './emonet-sizes.ts';
import type { Plan } from './plan.ts';

/** What a layer sees of a hop, behind what it remembers of the one before. */
export interface Joined {
  readonly at: number;
  /** Bytes of a caller. */
  readonly bytes: number;
  /** Bytes of those that are remembered. */
  readonly past: number;
}

/** Places for everything that is computed. */
export function scratch(plan: Plan) {
  const joined = (past: number, all: number, floats: number): Joined => {
    const bytes = 4 * floats;
    return { at: plan.take(most * all * bytes), bytes: all * bytes, past: past * bytes };
  };
  const take = (bytes: number): number => plan.take(most * bytes);
  return {
    features: take(4 * hopFrames * features),
    mask: take(4 * hopFrames),
    state: take(4 * kernelStateSize),
    joined: [
      ...[joined(1, 25, melBands), joined(1, 13, 32 * 16), joined(2, 8, 16 * 32), joined(4, 28, cepstra)],
      ...dilations.map((dilation, i) => joined(2 * dilation, 2 * dilation + (i === 0 ? fine : coarse), channels)),
    ],
    twos: take(4 * 12),
    fours: take(4 * fine),
    eights: take(4 * coarse),
    counts: take(4 * coarse),
    shares: take(4 * coarse),
    // Their margins are zeros that nobody writes.
    maps: { mel: plan.take(2 * 25 * 68 + 16), one: plan.take(13 * 34 * 32), two: plan.take(8 * 18 * 64) },
    joinRows: take(4 * fine * 416),
    inner: take(fine * row),
    made: take(fine * row),
    rows: take(2 * fine * 3 * channels),
    scales: take(4 * fine),
    sums: take(4 * coarse * 2 * gates),
    steps: take(coarse * stepBytes),
    windows: take(windowSteps * stepBytes),
    lstm: take(4 * gates + 6 * units),
    firsts: take(4),
    order: take(4),
    // Of 0 to 29 steps: cells and states of 16 bits.
    silences: plan.take(windowSteps * 6 * units),
    outputs: take(4 * windowSteps * 2 * units),
    wholes: take(2 * windowSteps * 2 * units),
    attention: take(4 * paddedSteps),
    even: take(4 * paddedSteps),
    pooled: take(4 * 2 * pooledMeans),
    hidden: take(4 * hidden),
    logits: take(4 * labelBlock),
  };
}
