// What a thread must be sent so that its streams reach a window: the frames that it has not had, and no more.
import { featureSteps, type FeatureBlock } from '../pipeline/types.ts';
import type { StreamShape } from './session.ts';
import type { StreamBatch, StreamItem } from './streams.ts';
import type { EngineWindow } from './types.ts';

type Blocks = readonly (FeatureBlock | null)[];

/** A batch whose arrays are its own. */
export interface PackedBatch extends StreamBatch {
  readonly features: Float32Array<ArrayBuffer>;
  readonly mask: Float32Array<ArrayBuffer>;
}

/**
 * Knows how far each track's stream in one thread has come. A window whose stream is there and near enough goes on with
 * what is new, usually one hop; after dropped windows or a pause that is several. Any other begins anew, from the first
 * block in which something was heard: what lies before all blocks cannot reach the window, and silence leaves no trace. A
 * stream that ends where that block begins is no use either: it may hold an earlier utterance.
 */
export class StreamFeed {
  readonly #hopFrames: number;
  readonly #featureCount: number;
  readonly #endFrames = new Map<string, number>();

  constructor({ hopFrames, featureCount }: Pick<StreamShape, 'hopFrames' | 'featureCount'>) {
    this.#hopFrames = hopFrames;
    this.#featureCount = featureCount;
  }

  /** Tracks whose stream the thread has. */
  get size(): number {
    return this.#endFrames.size;
  }

  /** Packs what the thread lacks of each window, each of another track, and takes it for sent. */
  pack(windows: readonly EngineWindow[]): PackedBatch {
    const items = windows.map((window) => this.#item(window));
    const frames = items.reduce((sum, item) => sum + item.frames, 0);
    const features = new Float32Array(frames * this.#featureCount);
    const mask = new Float32Array(frames);
    let at = 0;
    for (const [index, { blocks }] of windows.entries()) {
      const count = (items[index]?.frames ?? 0) / this.#hopFrames;
      copyBlocks(blocks.slice(blocks.length - count), this.#hopFrames, features.subarray(at * this.#featureCount), mask.subarray(at));
      at += count * this.#hopFrames;
    }
    for (const { trackId, endFrame } of items) this.#endFrames.set(trackId, endFrame);
    return { items, features, mask };
  }

  /** The thread has nothing of the track any more. Returns whether it had. */
  forget(trackId: string): boolean {
    return this.#endFrames.delete(trackId);
  }

  /** The thread has nothing any more. */
  clear(): void {
    this.#endFrames.clear();
  }

  #item({ trackId, endFrame, blocks }: EngineWindow): StreamItem {
    const firstHeard = blocks.findIndex((block) => block !== null);
    const heard = blocks.length - (firstHeard === -1 ? blocks.length - 1 : firstHeard);
    const missing = (endFrame - (this.#endFrames.get(trackId) ?? -Infinity)) / this.#hopFrames;
    const fresh = !(Number.isInteger(missing) && missing >= 1 && missing < heard);
    return { trackId, endFrame, frames: (fresh ? heard : missing) * this.#hopFrames, fresh };
  }
}

/** Exact: a power of two. */
const perStep = 1 / featureSteps;

/** Writes blocks of `hopFrames` frames one after the other to arrays of zeros, `[frame][feature]` and `[frame]`. */
export function copyBlocks(blocks: Blocks, hopFrames: number, features: Float32Array, mask: Float32Array): void {
  const featureCount = features.length / mask.length;
  for (const [index, block] of blocks.entries()) {
    if (block === null) continue;
    const size = hopFrames * featureCount;
    if (block.features.length !== size) {
      throw new Error(`Expected a block of ${String(size)} features, got ${String(block.features.length)}`);
    }
    const from = index * size;
    for (let i = 0; i < size; i++) features[from + i] = (block.features[i] ?? 0) * perStep;
    mask.set(block.mask, index * hopFrames);
  }
}
