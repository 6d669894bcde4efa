// The events of a call in blocks: what is read is what was pushed, and it takes little memory.
import { describe, expect, it } from 'vitest';
import { EventLog } from '../../../src/gateway/event-log.ts';
import type { TimelineEvent } from '../../../src/gateway/types.ts';
import { createRandom, type Random } from '../../../tools/callers/random.ts';
import { point, segment } from '../../support/timeline.ts';

const labels = ['anger', 'disgust', 'fear', 'happiness', 'neutral', 'sadness'];

function at(seq: number, draft: ReturnType<typeof point> | ReturnType<typeof segment>): TimelineEvent {
  return { epoch: 'e', seq, callId: 'c', ...draft };
}

/** A point as it is served: six digits of each class, times that are no whole numbers. */
function servedPoint(seq: number, random: Random, participantId = `caller-${String(seq % 2)}`): TimelineEvent {
  const values = labels.map(() => random());
  const sum = values.reduce((total, value) => total + value, 0);
  const probabilities = Object.fromEntries(labels.map((label, i) => [label, Math.round(((values[i] ?? 0) / sum) * 1e6) / 1e6]));
  const arrivedAtUnixMs = 1.7e12 + seq * 120 + random() * 30;
  return at(seq, { ...point(participantId, seq * 120, labels[seq % 6]), probabilities, speechRatio: random(), arrivedAtUnixMs });
}

describe('EventLog', () => {
  it('reads what was pushed, from anywhere, as far as it is kept', () => {
    const random = createRandom(3);
    for (const maxEvents of [1, 7, 200, 1000]) {
      const log = new EventLog(maxEvents);
      const pushed: TimelineEvent[] = [];
      for (let seq = 1; seq <= 700; seq += 1) {
        // Names in several scripts; now and then one that is larger than a block.
        const name = random() < 0.01 ? 'ß語🙂'.repeat(2500) : random() < 0.1 ? `Jürgen 語 🙂 "${String(seq)}"\n` : undefined;
        const event = random() < 0.1 ? at(seq, segment('caller-1', seq)) : servedPoint(seq, random, name);
        log.push(event);
        pushed.push(event);
        if (random() < 0.01) log.seal();
        const kept = pushed.slice(-maxEvents);
        expect(log.length).toBe(kept.length);
        const from = Math.floor(random() * (kept.length + 2));
        const limit = Math.floor(random() * 60);
        expect(log.read(from, limit)).toEqual(kept.slice(from, from + limit));
      }
      expect(log.read(0, Infinity)).toEqual(pushed.slice(-maxEvents));
    }
  });

  it('takes at most a hundred bytes a point, of a call that goes on and of one that has ended', () => {
    const random = createRandom(5);
    const log = new EventLog(20_000);
    for (let seq = 1; seq <= 5000; seq += 1) log.push(servedPoint(seq, random));
    expect(log.bytes / 5000).toBeLessThan(100);
    log.seal();
    expect(log.bytes / 5000).toBeLessThan(95);
    // And no more of a call that never ends than of what is kept of it: a block beside.
    const bounded = new EventLog(1000);
    for (let seq = 1; seq <= 10_000; seq += 1) bounded.push(servedPoint(seq, random));
    expect(bounded.bytes).toBeLessThan(1000 * 95 + 2 * 16_384);
  });

  it('takes little before there is much, and nothing where there is nothing', () => {
    const log = new EventLog(20_000);
    expect([log.length, log.bytes, log.read(0, 10)]).toEqual([0, 0, []]);
    log.push(servedPoint(1, createRandom(1)));
    expect(log.bytes).toBe(2048);
    log.seal();
    log.seal();
    expect(log.bytes).toBeLessThan(400);
    expect(log.length).toBe(1);
  });
});
