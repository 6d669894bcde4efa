// Who waits, and that everybody gets their turn.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WaitingList } from '../../../src/overload/waiting-list.ts';

const stepMs = 500;
const turnMs = 4000;

/** A list of callers who speak for these shares of the time, in stretches of four seconds. */
class Room {
  readonly list = new WaitingList();
  readonly waiting = new Set<string>();
  readonly waitedMs = new Map<string, number>();
  /** The longest wait of each without a break. */
  readonly longestMs = new Map<string, number>();
  readonly #shares: ReadonlyMap<string, number>;
  readonly #runMs = new Map<string, number>();
  #nowMs = 0;

  constructor(shares: Record<string, number>) {
    this.#shares = new Map(Object.entries(shares));
    for (const id of this.#shares.keys()) this.list.add(id);
    this.pass(40_000);
  }

  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += stepMs, this.#nowMs += stepMs) {
      for (const [id, share] of this.#shares) {
        this.list.speech(id, this.#nowMs % turnMs < share * turnMs);
        const run = this.waiting.has(id) ? (this.#runMs.get(id) ?? 0) + stepMs : 0;
        this.#runMs.set(id, run);
        this.longestMs.set(id, Math.max(run, this.longestMs.get(id) ?? 0));
        if (this.waiting.has(id)) this.waitedMs.set(id, (this.waitedMs.get(id) ?? 0) + stepMs);
      }
      this.list.pass(stepMs);
    }
  }

  change({ begin, end }: ReturnType<WaitingList['rotate']>): string[] {
    for (const id of begin) {
      expect(this.waiting.has(id)).toBe(false);
      this.waiting.add(id);
    }
    for (const id of end) expect(this.waiting.delete(id)).toBe(true);
    expect(this.list.size).toBe(this.waiting.size);
    return [...this.waiting].toSorted();
  }

  /** So many turns at a share. */
  turns(count: number, share: number): void {
    for (let turn = 0; turn < count; turn += 1) {
      this.change(this.list.rotate(share));
      this.pass(turnMs);
    }
  }
}

describe('WaitingList', () => {
  it('lets those wait who speak least, and not those who say nothing at all', () => {
    const room = new Room({ silent: 0, little: 0.125, some: 0.25, much: 0.75, most: 1 });
    expect(room.change(room.list.resize(0.25))).toEqual(['little', 'some']);
    expect(room.change(room.list.resize(0.5))).toEqual(['little', 'much', 'some']);
    expect(room.change(room.list.resize(0.25))).toEqual(['little', 'some']);
    expect(room.change(room.list.resize(0))).toEqual([]);
  });

  it('lets a single caller never wait for a part of the speech', () => {
    const room = new Room({ only: 1 });
    for (const share of [0.25, 0.5]) expect(room.change(room.list.resize(share))).toEqual([]);
  });

  it('spares in the next turn who waited in this one', () => {
    const room = new Room({ a: 0.25, b: 0.25, c: 0.5, d: 0.5, e: 0.5 });
    const first = room.change(room.list.rotate(0.25));
    expect(first).toEqual(['a', 'b']);
    room.pass(turnMs);
    const second = room.change(room.list.rotate(0.25));
    for (const id of first) expect(second).not.toContain(id);
    expect(second).toHaveLength(1);
  });

  it('shares waiting out evenly among those who speak as much', () => {
    const room = new Room(Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`p${String(i)}`, 0.75])));
    room.turns(24, 0.25);
    const waited = [...room.waitedMs.values()];
    expect(waited).toHaveLength(12);
    expect(Math.max(...waited) - Math.min(...waited)).toBeLessThanOrEqual(turnMs);
  });

  it('lets nobody starve, and quiet callers wait no less than loud ones', () => {
    const room = new Room({ quiet: 0.125, q2: 0.125, q3: 0.25, loud: 1, l2: 1, l3: 1 });
    room.turns(40, 0.5);
    for (const ms of room.longestMs.values()) expect(ms).toBeLessThanOrEqual(turnMs);
    expect(room.waitedMs.get('quiet')).toBeGreaterThanOrEqual(room.waitedMs.get('loud')!);
  });

  it('forgets who leaves, and takes in who comes', () => {
    const room = new Room({ a: 0.25, b: 0.5, c: 1, d: 1 });
    expect(room.change(room.list.resize(0.25))).toEqual(['a', 'b']);
    room.list.remove('a');
    expect(room.list.size).toBe(1);
    room.list.speech('a', true);
    room.list.add('e');
    expect(room.list.rotate(0)).toEqual({ begin: [], end: ['b'] });
    room.list.remove('b');
    room.list.speech('e', true);
    room.list.pass(1000);
    room.list.speech('e', false);
    room.list.pass(4000);
    expect(room.list.resize(0.3)).toEqual({ begin: ['e'], end: [] });
  });

  it('lets nobody wait for more than four turns, and never everybody, whatever they say', () => {
    const shares = fc.array(fc.constantFrom(0.125, 0.25, 0.5, 0.75, 1), { minLength: 2, maxLength: 12 });
    fc.assert(
      fc.property(shares, fc.constantFrom(0.25, 0.5, 0.75), (list, share) => {
        const room = new Room(Object.fromEntries(list.map((speech, i) => [`p${String(i)}`, speech])));
        for (let turn = 0; turn < 30; turn += 1) {
          room.turns(1, share);
          expect(room.waiting.size).toBeLessThan(list.length);
        }
        for (const ms of room.longestMs.values()) expect(ms).toBeLessThanOrEqual(4 * turnMs);
      }),
      { numRuns: 60 },
    );
  });
});
