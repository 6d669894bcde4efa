// What may be missing, by what the server told: points at a wider hop, and waits.
import { describe, expect, it } from 'vitest';
import type { TimelineEvent } from '../../../src/gateway/types.ts';
import { HopWatch } from '../../../tools/load/hop-watch.ts';
import { point, segment } from '../../support/timeline.ts';

const base = { epoch: 'e', seq: 1, callId: 'c' };
/** A point that ends after so many hops, at a hop of so many. */
const at = (hop: number, hops: number, who = 'a'): TimelineEvent => ({ ...base, ...point(who, 240 * hop), hopMs: 240 * hops });
const end = (who = 'a'): TimelineEvent => ({ ...base, ...segment(who, 0) });
const gap = (startMs: number, atMs: number, reason: 'waiting' | 'overload' = 'waiting'): TimelineEvent => ({
  ...{ ...base, type: 'gap', participantId: 'a', startMs, atMs, reason },
});

function leftOut(...events: readonly TimelineEvent[]) {
  const watch = new HopWatch(240);
  for (const event of events) watch.take(event);
  return watch.leftOut.get('a');
}

describe('HopWatch', () => {
  it('says that nothing is left out at the full hop, also where windows were lost or nobody spoke', () => {
    expect(leftOut(at(3, 1), at(4, 1), at(9, 1), end(), at(40, 1), end())).toBeUndefined();
    expect(leftOut(gap(0, 1000, 'overload'))).toBeUndefined();
  });

  it('counts the windows between points at a wider hop, and no more than the hop leaves out', () => {
    expect(leftOut(at(2, 4), at(6, 4), at(10, 4))).toEqual({ windows: 6, waits: 0 });
    expect(leftOut(at(2, 4), at(10, 4))).toEqual({ windows: 3, waits: 0 });
  });

  it('goes by either point where the hop changed between them', () => {
    expect(leftOut(at(2, 1), at(6, 4))).toEqual({ windows: 3, waits: 0 });
    expect(leftOut(at(2, 4), at(5, 1), at(6, 1))).toEqual({ windows: 2, waits: 0 });
  });

  it('counts what may come after the last point of an utterance, by the hop of whoever speaks', () => {
    expect(leftOut(at(2, 4), end())).toEqual({ windows: 3, waits: 0 });
    expect(leftOut(at(2, 1), at(3, 2, 'b'), end())).toEqual({ windows: 1, waits: 0 });
    // The next begins with a window of its own.
    expect(leftOut(at(2, 2), end(), at(9, 2), at(11, 2))).toEqual({ windows: 2, waits: 0 });
  });

  it('counts the windows of a wait once, in how many parts it was told', () => {
    expect(leftOut(gap(1000, 2000), gap(2000, 2440))).toEqual({ windows: 5 + 2 + 3, waits: 1 });
    expect(leftOut(gap(1000, 2000), gap(5000, 6000))).toEqual({ windows: 2 * (5 + 3), waits: 2 });
  });
});
