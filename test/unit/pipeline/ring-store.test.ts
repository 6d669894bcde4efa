// Rings are used again: not while their last windows may still be read, not of a thread that died, and not more than there are callers for.
import { describe, expect, it } from 'vitest';
import { BlockReader, BlockRing } from '../../../src/pipeline/pool/block-ring.ts';
import { RingStore } from '../../../src/pipeline/pool/ring-store.ts';
import { spec } from './packets.ts';

const spareMs = 1000;

function setUp() {
  let nowMs = 5000;
  const store = new RingStore({ spareMs, now: () => nowMs });
  return { store, pass: (ms: number) => (nowMs += ms) };
}

describe('a store of rings', () => {
  it("gives a caller's ring to the next one once its windows are too old", () => {
    const { store, pass } = setUp();
    const first = store.take(spec);
    store.giveBack(first, spec);
    pass(spareMs - 1);
    const second = store.take(spec);
    expect(second).not.toBe(first);
    pass(1);
    expect(store.take(spec)).toBe(first);
    expect(store.size).toBe(0);
    expect(store.take(spec)).not.toBe(second);
  });

  it('gives none to a caller of another model', () => {
    const { store, pass } = setUp();
    store.giveBack(store.take(spec), spec);
    pass(spareMs);
    const other = store.take({ ...spec, windowFrames: 2 * spec.windowFrames });
    expect(other.byteLength).toBeGreaterThan(store.take(spec).byteLength);
  });

  it('keeps as many as are in use, at least 16, the newest', () => {
    const { store, pass } = setUp();
    const rings = Array.from({ length: 60 }, () => store.take(spec));
    for (const ring of rings.slice(0, 20)) store.giveBack(ring, spec);
    expect(store.size).toBe(20);
    for (const ring of rings.slice(20, 35)) store.giveBack(ring, spec);
    // 25 are in use.
    expect(store.size).toBe(25);
    pass(spareMs);
    expect(store.take(spec)).toBe(rings[10]);
    for (const ring of rings.slice(35)) store.giveBack(ring, spec);
    expect(store.size).toBe(16);
  });

  it('does not count one of a thread that died', () => {
    const { store } = setUp();
    const rings = Array.from({ length: 40 }, () => store.take(spec));
    for (let n = 0; n < 20; n++) store.forget();
    for (const ring of rings.slice(0, 20)) store.giveBack(ring, spec);
    expect(store.size).toBe(16);
  });
});

describe('a ring that is used again', () => {
  it('tells whoever still reads a block of the caller before', () => {
    const { store, pass } = setUp();
    const memory = store.take(spec);
    const [ring, reader] = [new BlockRing(spec.hopFrames, memory), new BlockReader(spec.hopFrames, memory)];
    const numbers = Array.from({ length: 3 }, () => ring.numberOf(ring.take()));
    const old = numbers.map((number) => reader.block(number));
    store.giveBack(memory, spec);
    pass(spareMs);
    const next = new BlockRing(spec.hopFrames, store.take(spec));
    const places = memory.byteLength / (4 + spec.hopFrames * (2 * 104 + 4));
    const later = Array.from({ length: places - 1 }, () => next.numberOf(next.take()));
    expect(later[0]).toBe(4);
    // All places but that of the third, which was written last.
    expect(old.map(({ intact }) => intact)).toEqual([false, false, true]);
    next.take();
    expect(old[2]?.intact).toBe(false);
  });
});
