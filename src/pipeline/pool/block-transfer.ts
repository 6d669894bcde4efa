// The blocks of a caller's windows across threads: each is sent once, with the first window that holds it.
import type { FeatureBlock } from '../types.ts';

type Blocks = readonly (FeatureBlock | null)[];

/** A window's blocks as far as the other side lacks them. */
export interface PackedBlocks {
  /** For each block: where it lies among those of the window before, counted on through `fresh`; -1 where nothing was heard. */
  readonly places: readonly number[];
  /** Blocks that are new: features, then mask. To be transferred. */
  readonly fresh: readonly ArrayBuffer[];
}

/** The thread's side. */
export class BlockSender {
  #last: Blocks = [];

  /** Packs the blocks of the caller's next window. Copies them: in this thread later windows still hold them. */
  pack(blocks: Blocks): PackedBlocks {
    const fresh: ArrayBuffer[] = [];
    const places = blocks.map((block) => {
      if (block === null) return -1;
      const known = this.#last.indexOf(block);
      if (known !== -1) return known;
      fresh.push(copyOf(block));
      return this.#last.length + fresh.length - 1;
    });
    this.#last = blocks;
    return { places, fresh };
  }
}

/** The main thread's side. */
export class BlockReceiver {
  readonly #maskFrames: number;
  #last: Blocks = [];

  constructor(hopFrames: number) {
    this.#maskFrames = hopFrames;
  }

  /** The blocks of the next window; those that it shares with the one before are the same objects. */
  unpack({ places, fresh }: PackedBlocks): Blocks {
    const known = [...this.#last, ...fresh.map((buffer) => this.#blockOf(buffer))];
    this.#last = places.map((place) => known[place] ?? null);
    return this.#last;
  }

  #blockOf(buffer: ArrayBuffer): FeatureBlock {
    const values = new Float32Array(buffer);
    const maskStart = values.length - this.#maskFrames;
    return { features: values.subarray(0, maskStart), mask: values.subarray(maskStart) };
  }
}

function copyOf({ features, mask }: FeatureBlock): ArrayBuffer {
  const values = new Float32Array(features.length + mask.length);
  values.set(features);
  values.set(mask, features.length);
  return values.buffer;
}
