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

  /**
   * Packs the blocks of the caller's next window. The buffers of those that are new are to be transferred: in this thread later windows
   * still hold the blocks, and nobody reads them. Throws where a block is not features and mask in a buffer of its own.
   */
  pack(blocks: Blocks): PackedBlocks {
    const fresh: ArrayBuffer[] = [];
    const places = blocks.map((block) => {
      if (block === null) return -1;
      const known = this.#last.indexOf(block);
      if (known !== -1) return known;
      fresh.push(bufferOf(block));
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

function bufferOf({ features, mask }: FeatureBlock): ArrayBuffer {
  const { buffer } = features;
  const ownBytes = features.byteLength + mask.byteLength;
  const whole = buffer instanceof ArrayBuffer && mask.buffer === buffer && features.byteOffset === 0 && buffer.byteLength === ownBytes;
  if (!whole) throw new Error('Expected a block of features and mask in one buffer of its own, got another');
  return buffer;
}
