import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue } from '../../../src/models/fair-queue.ts';

const item = (callId: string, trackId: string, sinceMs = 0) => ({ callId, trackId: `${callId}${trackId}`, sinceMs });

function drain(queue: FairQueue<ReturnType<typeof item>>): string[] {
  const order: string[] = [];
  for (let next = queue.take(); next !== undefined; next = queue.take()) order.push(next.trackId);
  return order;
}

describe('FairQueue', () => {
  it('takes turns between calls, and between the tracks of a call', () => {
    const queue = new FairQueue<ReturnType<typeof item>>();
    for (const trackId of ['1', '2', '3']) queue.put(item('a', trackId));
    queue.put(item('b', '1'));
    queue.put(item('c', '1'));
    queue.put(item('b', '2'));
    expect(queue.size).toBe(6);
    expect(drain(queue)).toEqual(['a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
    expect(queue.size).toBe(0);
  });

  it('keeps the turn of a track whose item is replaced', () => {
    const queue = new FairQueue<ReturnType<typeof item>>();
    queue.put(item('a', '1', 5));
    queue.put(item('a', '2', 6));
    queue.put(item('a', '1', 7));
    expect(queue.size).toBe(2);
    expect(queue.oldestSinceMs).toBe(6);
    expect(queue.take()).toEqual(item('a', '1', 7));
  });

  it('removes what is there and ignores what is not', () => {
    const queue = new FairQueue<ReturnType<typeof item>>();
    queue.put(item('a', '1'));
    queue.remove('a', 'a2');
    queue.remove('b', 'b1');
    expect(queue.size).toBe(1);
    queue.remove('a', 'a1');
    expect([queue.size, queue.take(), queue.oldestSinceMs]).toEqual([0, undefined, Infinity]);
  });

  it('serves a waiting call within one turn of every other call', () => {
    const put = fc.record({
      kind: fc.constant('put' as const),
      call: fc.constantFrom('a', 'b', 'c', 'd'),
      track: fc.constantFrom('1', '2', '3', '4', '5'),
    });
    const step = fc.oneof({ weight: 3, arbitrary: put }, { weight: 2, arbitrary: fc.constant({ kind: 'take' as const }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = new FairQueue<ReturnType<typeof item>>();
        const waiting = new Map<string, Set<string>>();
        const passedOver = new Map<string, number>();
        for (const one of steps) {
          if (one.kind === 'put') {
            queue.put(item(one.call, one.track));
            waiting.set(one.call, (waiting.get(one.call) ?? new Set()).add(one.call + one.track));
          } else {
            const taken = queue.take();
            if (taken === undefined) {
              expect(waiting.size).toBe(0);
              continue;
            }
            const tracks = waiting.get(taken.callId);
            expect(tracks?.delete(taken.trackId)).toBe(true);
            if (tracks?.size === 0) waiting.delete(taken.callId);
            passedOver.set(taken.callId, 0);
            for (const call of waiting.keys()) {
              if (call === taken.callId) continue;
              passedOver.set(call, (passedOver.get(call) ?? 0) + 1);
              expect(passedOver.get(call)).toBeLessThanOrEqual(3);
            }
          }
          expect(queue.size).toBe([...waiting.values()].reduce((sum, tracks) => sum + tracks.size, 0));
        }
      }),
    );
  });
});
