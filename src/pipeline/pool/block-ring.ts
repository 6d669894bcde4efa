// A caller's feature blocks in memory that two threads share: one writes them, the other reads them, and each place is used again.
import { featureCount } from '../mel.ts';
import { hopSamples } from '../feature-extractor.ts';
import { sampleRateHz, type BlockSource, type FeatureBlock, type FrontEndSpec } from '../types.ts';

/** How a ring lies in its memory: the number of the block in each place (Int32), then the places, mask before features. */
interface Layout {
  readonly places: number;
  readonly hopFrames: number;
  readonly blockBytes: number;
}

/**
 * Memory for the blocks of a caller's windows, and for those that come while a window waits. It is not touched before there is speech.
 *
 * @param spareMs media that may come after a window before its oldest block is written over, ms
 */
export function createRingMemory({ windowFrames, contextFrames, hopFrames }: FrontEndSpec, spareMs: number): SharedArrayBuffer {
  const spareFrames = (spareMs * sampleRateHz) / 1000 / hopSamples;
  const places = Math.ceil((contextFrames + windowFrames) / hopFrames) + Math.ceil(spareFrames / hopFrames);
  return new SharedArrayBuffer(places * (Int32Array.BYTES_PER_ELEMENT + blockBytesOf(hopFrames)));
}

/** The writer's side: hands out one place after another. */
export class BlockRing implements BlockSource {
  readonly #layout: Layout;
  readonly #memory: SharedArrayBuffer;
  readonly #numbers: Int32Array;
  /** By place; made when it is first used. */
  readonly #blocks: WrittenBlock[] = [];
  #count: number;

  constructor(hopFrames: number, memory: SharedArrayBuffer) {
    this.#layout = layoutOf(hopFrames, memory);
    this.#memory = memory;
    this.#numbers = new Int32Array(memory, 0, this.#layout.places);
    // It goes on where another caller left it: no number comes twice.
    this.#count = Math.max(...this.#numbers);
  }

  take(): FeatureBlock {
    const number = ++this.#count;
    const place = number % this.#layout.places;
    const block = (this.#blocks[place] ??= new WrittenBlock(viewsOf(this.#layout, this.#memory, place)));
    // First, so that whoever read what was there before can tell.
    Atomics.store(this.#numbers, place, number);
    block.number = number;
    block.features.fill(0);
    block.mask.fill(0);
    return block;
  }

  /** The number of a block that is still in its place. Throws where it is not of a ring. */
  numberOf(block: FeatureBlock): number {
    if (!(block instanceof WrittenBlock)) throw new Error('Expected a block of a ring, got another');
    return block.number;
  }
}

class WrittenBlock implements FeatureBlock {
  readonly features: Int16Array;
  readonly mask: Float32Array;
  number = 0;

  constructor({ features, mask }: FeatureBlock) {
    this.features = features;
    this.mask = mask;
  }
}

/** The reader's side. */
export class BlockReader {
  readonly #layout: Layout;
  readonly #memory: SharedArrayBuffer;
  readonly #numbers: Int32Array;
  readonly #blocks: RingBlock[] = [];

  constructor(hopFrames: number, memory: SharedArrayBuffer) {
    this.#layout = layoutOf(hopFrames, memory);
    this.#memory = memory;
    this.#numbers = new Int32Array(memory, 0, this.#layout.places);
  }

  /** A block by its number: the same object as long as its place is not used again. */
  block(number: number): FeatureBlock {
    const place = number % this.#layout.places;
    const known = this.#blocks[place];
    if (known?.number === number) return known;
    const views = known ?? viewsOf(this.#layout, this.#memory, place);
    const block = new RingBlock(views, this.#numbers, place, number);
    this.#blocks[place] = block;
    return block;
  }
}

class RingBlock implements FeatureBlock {
  readonly features: Int16Array;
  readonly mask: Float32Array;
  readonly number: number;
  readonly #numbers: Int32Array;
  readonly #place: number;

  constructor({ features, mask }: FeatureBlock, numbers: Int32Array, place: number, number: number) {
    this.features = features;
    this.mask = mask;
    this.number = number;
    this.#numbers = numbers;
    this.#place = place;
  }

  get intact(): boolean {
    return Atomics.load(this.#numbers, this.#place) === this.number;
  }
}

function layoutOf(hopFrames: number, memory: SharedArrayBuffer): Layout {
  const blockBytes = blockBytesOf(hopFrames);
  return { places: memory.byteLength / (Int32Array.BYTES_PER_ELEMENT + blockBytes), hopFrames, blockBytes };
}

/** In whole floats, so that each mask begins at one. */
function blockBytesOf(hopFrames: number): number {
  const { BYTES_PER_ELEMENT: floatBytes } = Float32Array;
  return floatBytes * (hopFrames + Math.ceil((hopFrames * featureCount * Int16Array.BYTES_PER_ELEMENT) / floatBytes));
}

function viewsOf({ places, hopFrames, blockBytes }: Layout, memory: SharedArrayBuffer, place: number): FeatureBlock {
  const mask = new Float32Array(memory, places * Int32Array.BYTES_PER_ELEMENT + place * blockBytes, hopFrames);
  return { mask, features: new Int16Array(memory, mask.byteOffset + mask.byteLength, hopFrames * featureCount) };
}
