// The callers of the tiny model's fixture: every window of theirs, and what NumPy makes of it.
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { EngineWindow } from '../../../src/models/types.ts';
import { featureSteps, type FeatureBlock } from '../../../src/pipeline/types.ts';
import { tinyManifest, tinyModelDir } from './support.ts';

interface Golden {
  /** Frames of each caller. */
  readonly frames: number;
  /** For each caller, spans of frames in which nothing is heard. */
  readonly silent: readonly (readonly (readonly [number, number])[])[];
  /** Frames at which windows end, one each hop. */
  readonly ends: readonly number[];
  /** `[caller][end][label]` */
  readonly logits: readonly (readonly (readonly number[])[])[];
}

const golden = JSON.parse(readFileSync(`${tinyModelDir}golden.json`, 'utf8')) as Golden;
const featureCount = 104;
const { hopFrames, windowFrames, contextFrames, labels } = tinyManifest;
const blockCount = Math.ceil((windowFrames + contextFrames) / hopFrames);

/** How many callers there are, and how many windows each has. */
export const goldenCallers = golden.logits.length;
export const goldenCount = golden.ends.length;

const blocksOf = golden.silent.map((spans, caller) => {
  const heard = (frame: number): boolean => !spans.some(([first, last]) => frame >= first && frame < last);
  return Array.from({ length: golden.frames / hopFrames }, (_, hop): FeatureBlock | null => {
    const features = new Int16Array(hopFrames * featureCount);
    const mask = new Float32Array(hopFrames);
    for (let row = 0; row < hopFrames; row += 1) {
      const frame = hop * hopFrames + row;
      if (!heard(frame)) continue;
      mask[row] = 1;
      const first = (caller * golden.frames + frame) * featureCount;
      features.set(
        Array.from({ length: featureCount }, (__, i) => featureSteps * noise(first + i)),
        row * featureCount,
      );
    }
    return mask.includes(1) ? { features, mask } : null;
  });
});

/** The window of a caller that ends after `index + 1` hops. */
export function goldenWindow(caller: number, index: number, trackId = `golden-${String(caller)}`): EngineWindow {
  const blocks = blocksOf[caller] ?? [];
  const newest = index + 1;
  const lead = Array<null>(Math.max(0, blockCount - newest)).fill(null);
  return { trackId, endFrame: newest * hopFrames, blocks: [...lead, ...blocks.slice(Math.max(0, newest - blockCount), newest)] };
}

/** Fails unless the logits are those of the windows, to 1e-4. */
export function expectGolden(logits: Float32Array, windows: readonly (readonly [caller: number, index: number])[]): void {
  expect(logits).toHaveLength(windows.length * labels.length);
  for (const [row, [caller, index]] of windows.entries()) {
    const expected = golden.logits[caller]?.[index] ?? [];
    const got = logits.subarray(row * labels.length, (row + 1) * labels.length);
    const worst = Math.max(...expected.map((value, i) => Math.abs(value - (got[i] ?? NaN))));
    expect(worst, `caller ${String(caller)}, window ${String(index)}`).toBeLessThan(1e-4);
  }
}

/** The same values as in make.py. */
function noise(index: number): number {
  return (((index * 7919) % 1009) - 504) / 256;
}
