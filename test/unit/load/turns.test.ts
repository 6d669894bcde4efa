import { describe, expect, it } from 'vitest';
import { Turns, type Turn } from '../../../tools/load/turns.ts';
import type { Clip } from '../../../tools/load/voices.ts';

const clip = (name: string, frames: number): Clip => ({ name, frames: Array<null>(frames).fill(null) });
const voice = [clip('a', 100), clip('b', 150), clip('c', 50)];
const seats = (count: number): Clip[][] => Array.from({ length: count }, () => voice);

function turnOf(turns: Turns, seat: number, fromFrame: number): Turn {
  const turn = turns.next(seat, fromFrame);
  if (turn === null) throw new Error(`Expected seat ${seat} to speak`);
  return turn;
}

/** All turns of a call that begin before a frame, in order of time. */
function turnsUntil(turns: Turns, count: number, untilFrame: number): Turn[] {
  const all: Turn[] = [];
  for (let seat = 0; seat < count; seat += 1) {
    for (let turn = turnOf(turns, seat, 0); turn.startFrame < untilFrame; turn = turnOf(turns, seat, turn.startFrame + 1)) all.push(turn);
  }
  return all.toSorted((a, b) => a.startFrame - b.startFrame);
}

const spoken = (turns: readonly Turn[]): number => turns.reduce((sum, { clip: { frames } }) => sum + frames.length, 0);

describe('turns of a call', () => {
  it.each([0.1, 0.25, 0.4, 0.7, 1])('give each caller a share of %d of the time', (talkRatio) => {
    const untilFrame = 200_000;
    const all = turnsUntil(new Turns({ seats: seats(4), talkRatio, seed: 3 }), 4, untilFrame);
    for (const seat of [0, 1, 2, 3]) {
      const share = spoken(all.filter((turn) => turn.seat === seat)) / untilFrame;
      expect(share).toBeGreaterThan(talkRatio * 0.9);
      expect(share).toBeLessThan(talkRatio * 1.1);
    }
  });

  it('are one after another among as many as the ratio leaves room for', () => {
    const all = turnsUntil(new Turns({ seats: seats(4), talkRatio: 0.4, seed: 3 }), 4, 20_000);
    // Two conversations of two: 0 with 2, and 1 with 3.
    for (const members of [
      [0, 2],
      [1, 3],
    ]) {
      const own = all.filter(({ seat }) => members.includes(seat));
      for (const [i, turn] of own.entries()) {
        const before = own[i - 1];
        if (before === undefined) continue;
        expect(turn.startFrame).toBeGreaterThanOrEqual(before.startFrame + before.clip.frames.length);
        expect(turn.seat).not.toBe(before.seat);
      }
    }
  });

  it('follow on each other where everybody talks all the time', () => {
    const all = turnsUntil(new Turns({ seats: seats(1), talkRatio: 1, seed: 3 }), 1, 10_000);
    for (const [i, turn] of all.slice(1).entries()) expect(turn.startFrame).toBe(all[i]!.startFrame + all[i]!.clip.frames.length);
  });

  it('take each clip once before any comes again', () => {
    const all = turnsUntil(new Turns({ seats: seats(1), talkRatio: 0.5, seed: 8 }), 1, 5000);
    for (const from of [0, 3, 6]) expect(new Set(all.slice(from, from + 3).map(({ clip: { name } }) => name)).size).toBe(3);
  });

  it('are the same for the same seed, in whatever order they are asked for', () => {
    const forwards = turnsUntil(new Turns({ seats: seats(3), talkRatio: 0.3, seed: 5 }), 3, 20_000);
    const jumping = new Turns({ seats: seats(3), talkRatio: 0.3, seed: 5 });
    jumping.next(2, 15_000);
    expect(turnsUntil(jumping, 3, 20_000)).toEqual(forwards);
    expect(turnsUntil(new Turns({ seats: seats(3), talkRatio: 0.3, seed: 6 }), 3, 20_000)).not.toEqual(forwards);
  });

  it('are shared among those who have something to say; others only listen', () => {
    const turns = new Turns({ seats: [voice, [], voice, [], []], talkRatio: 0.5, seed: 3 });
    for (const seat of [1, 3, 4]) expect(turns.next(seat, 0)).toBeNull();
    const all = Array.from({ length: 40 }, (_, i) => [turnOf(turns, 0, i * 500), turnOf(turns, 2, i * 500)]).flat();
    expect(new Set(all.map(({ seat }) => seat))).toEqual(new Set([0, 2]));
    expect(() => turns.next(5, 0)).toThrow('Expected a seat of the call, got 5');
    expect(new Turns({ seats: [[]], talkRatio: 1, seed: 1 }).next(0, 0)).toBeNull();
  });

  it('of different calls do not begin together', () => {
    const starts = Array.from({ length: 20 }, (_, seed) => turnOf(new Turns({ seats: seats(1), talkRatio: 0.4, seed }), 0, 0).startFrame);
    expect(new Set(starts).size).toBeGreaterThan(15);
  });

  it('refuse a ratio that is none', () => {
    expect(() => new Turns({ seats: seats(1), talkRatio: 0, seed: 1 })).toThrow('above 0 and at most 1, got `0`');
  });
});
