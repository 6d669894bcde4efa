// Feature blocks in shared memory: what is written is read, each place is used again, and who waited for too long can tell.
import { describe, expect, it } from 'vitest';
import { BlockReader, BlockRing, createRingMemory } from '../../../src/pipeline/pool/block-ring.ts';
import type { FeatureBlock } from '../../../src/pipeline/types.ts';
import { featureCount, spec } from './packets.ts';

/** Eight blocks make a window of the test's model. */
const blocksOfWindow = 8;

/** A block is 100 ms of the test's model. */
function setUp(spareBlocks: number) {
  const memory = createRingMemory(spec, spareBlocks * 100);
  return { memory, ring: new BlockRing(spec.hopFrames, memory), reader: new BlockReader(spec.hopFrames, memory) };
}

function write(ring: BlockRing, value: number): FeatureBlock {
  const block = ring.take();
  block.features[0] = value;
  block.mask[spec.hopFrames - 1] = 1;
  return block;
}

describe('a ring of blocks', () => {
  it('gives the reader what was written, block by block, in memory that both have', () => {
    const { ring, reader } = setUp(2);
    for (let value = 1; value <= 100; value++) {
      const written = write(ring, value);
      const read = reader.block(ring.numberOf(written));
      expect(read.features.buffer).toBe(written.features.buffer);
      expect(read.features).toHaveLength(spec.hopFrames * featureCount);
      // Nothing is left of the block that was there before.
      expect([...read.features.subarray(0, 2), ...read.mask]).toEqual([value, 0, ...Array<number>(spec.hopFrames - 1).fill(0), 1]);
      expect(read.intact).toBe(true);
      expect(reader.block(ring.numberOf(written))).toBe(read);
    }
  });

  it('keeps a window whole for as many blocks as are spare, and says so when it no longer is', () => {
    const spare = 3;
    const { ring, reader } = setUp(spare);
    const window = Array.from({ length: blocksOfWindow }, (_, at) => reader.block(ring.numberOf(write(ring, at + 1))));
    for (let n = 0; n < spare; n++) write(ring, 99);
    expect(window.map(({ features, intact }) => [features[0], intact])).toEqual(window.map((_, at) => [at + 1, true]));
    write(ring, 99);
    expect(window.map(({ intact }) => intact)).toEqual([false, ...Array<boolean>(blocksOfWindow - 1).fill(true)]);
  });

  it('holds no more than its places, of a few hundred bytes each a frame', () => {
    const { memory } = setUp(9);
    expect(memory.byteLength).toBe((blocksOfWindow + 9) * (4 + spec.hopFrames * (2 * featureCount + 4)));
  });

  it('knows its own blocks', () => {
    const { ring } = setUp(1);
    expect(() => ring.numberOf({ features: new Int16Array(1), mask: new Float32Array(1) })).toThrow('a block of a ring');
  });
});
