// What a slow reader gets: every seq accounted for once, the latest of everybody, and nothing without bound.
import { setTimeout as delay } from 'node:timers/promises';
import type { WebSocket } from 'ws';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { EventStream, Outbox } from '../../../src/gateway/outbox.ts';
import type { ServerMessage } from '../../../src/gateway/protocol.ts';
import type { EventDraft, TimelineEvent } from '../../../src/gateway/types.ts';
import { point, segment } from '../../support/timeline.ts';

/** The part of a socket that the outbox uses, with a network that moves when told. */
class SlowSocket {
  readonly sent: ServerMessage[] = [];
  bufferedAmount = 0;
  #flights: { readonly bytes: number; readonly done: () => void }[] = [];

  send(json: string, done: () => void): void {
    this.sent.push(JSON.parse(json) as ServerMessage);
    this.bufferedAmount += json.length;
    this.#flights.push({ bytes: json.length, done });
  }

  /** Lets the network take the oldest frames. */
  take(frames: number): void {
    for (const { bytes, done } of this.#flights.splice(0, frames)) {
      this.bufferedAmount -= bytes;
      done();
    }
  }

  takeAll(): void {
    while (this.#flights.length > 0) this.take(1);
  }
}

function setUp(hardLimitBytes = 1_000_000, softLimitBytes = 1000) {
  const socket = new SlowSocket();
  let tooSlow = 0;
  const onTooSlow = (): void => {
    tooSlow++;
  };
  const outbox = new Outbox(socket as unknown as WebSocket, { softLimitBytes, hardLimitBytes, onTooSlow });
  return { socket, outbox, tooSlow: () => tooSlow };
}

const eventAt = (seq: number, draft: EventDraft): TimelineEvent => ({ epoch: 'e', seq, callId: 'c', ...draft });
const withdrawal = (participantId: string): EventDraft => ({
  type: 'consent',
  atMs: 1,
  participantId,
  consent: 'withdrawn',
  measured: false,
  reason: 'no-consent',
});

function account(messages: readonly ServerMessage[]): string[] {
  return messages.flatMap((message) => {
    if (message.type === 'event') return [String(message.event.seq)];
    return message.type === 'skipped' ? [`${message.fromSeq}-${message.toSeq}`] : [message.type];
  });
}

describe('Outbox', () => {
  it('sends at once while the reader keeps up', () => {
    const { socket, outbox } = setUp();
    const stream = new EventStream('c', 1);
    for (let seq = 1; seq <= 50; seq++) {
      outbox.sendEvent(stream, eventAt(seq, point('p1', seq)));
      socket.takeAll();
    }
    expect(account(socket.sent)).toEqual(Array.from({ length: 50 }, (_, index) => String(index + 1)));
  });

  it('makes an event text once for all its readers, and keeps none of it when the next one comes', () => {
    const readers = [setUp(), setUp(), setUp()];
    let made = 0;
    const counted = (seq: number): TimelineEvent => ({
      ...eventAt(seq, point('a', seq)),
      get atMs() {
        made += 1;
        return seq;
      },
    });
    const [first, second] = [counted(1), counted(2)];
    const sendToAll = (event: TimelineEvent): void => {
      for (const { outbox } of readers) outbox.sendEvent(new EventStream('c', event.seq), event);
    };
    sendToAll(first);
    expect(made).toBe(1);
    sendToAll(second);
    expect(made).toBe(2);
    sendToAll(first);
    expect(made).toBe(3);
    for (const { socket } of readers) expect(account(socket.sent)).toEqual(['1', '2', '1']);
  });

  it('hands the network all that is sent in one turn at once, but never so much that the reader would look slow', async () => {
    const socket = new SlowSocket();
    const calls: string[] = [];
    const stream = {
      cork: () => calls.push(`cork at ${String(socket.sent.length)}`),
      uncork: () => calls.push(`uncork at ${String(socket.sent.length)}`),
    };
    const limits = { softLimitBytes: 10_000, hardLimitBytes: 1_000_000, onTooSlow: () => calls.push('too slow') };
    const outbox = new Outbox(socket as unknown as WebSocket, { ...limits, stream });
    const events = new EventStream('c', 1);
    let seq = 0;
    const send = (count: number): void => {
      for (let n = 0; n < count; n++) outbox.sendEvent(events, eventAt(++seq, point('p1', seq)));
    };
    send(3);
    expect(calls).toEqual(['cork at 0']);
    await delay(0);
    expect(calls.splice(0)).toEqual(['cork at 0', 'uncork at 3']);
    socket.takeAll();
    while (socket.bufferedAmount < 5000) send(1);
    const sent = String(socket.sent.length);
    expect(calls.splice(0)).toEqual(['cork at 3', `uncork at ${sent}`]);
    // The network has not taken it, and more comes: each message by itself again, as it did before.
    send(1);
    expect(calls).toEqual([`cork at ${sent}`, `uncork at ${String(socket.sent.length)}`]);
  });

  it('keeps the latest point of each participant, and says what it left out', () => {
    const { socket, outbox } = setUp(1_000_000, 1);
    const stream = new EventStream('c', 1);
    const drafts = [
      point('a', 1),
      point('b', 2),
      point('c', 3),
      point('a', 4),
      point('b', 5),
      segment('a', 6),
      point('a', 7),
      point('b', 8),
    ];
    drafts.forEach((draft, index) => outbox.sendEvent(stream, eventAt(index + 1, draft)));
    outbox.send({ type: 'heartbeat' });
    expect(account(socket.sent)).toEqual(['1']);
    socket.takeAll();
    expect(account(socket.sent)).toEqual(['1', '2-2', '3', '4-5', '6', '7', '8', 'heartbeat']);
  });

  it('sends nothing held back of who is no longer measured', () => {
    const { socket, outbox } = setUp(1_000_000, 1);
    const stream = new EventStream('c', 1);
    outbox.sendEvent(stream, eventAt(1, point('a', 1)));
    outbox.sendEvent(stream, eventAt(2, point('a', 2)));
    outbox.sendEvent(stream, eventAt(3, point('a', 3)));
    outbox.sendEvent(stream, eventAt(4, segment('a', 4)));
    outbox.sendEvent(stream, eventAt(5, segment('b', 5)));
    outbox.sendEvent(stream, eventAt(6, withdrawal('a')));
    socket.takeAll();
    expect(account(socket.sent)).toEqual(['1', '2-4', '5', '6']);
  });

  it('accounts for each seq exactly once, in order, and loses no segment', () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('a', 'b', 'c').map((id) => ({ kind: 'event' as const, draft: point(id, 1) })) },
      { weight: 2, arbitrary: fc.constantFrom('a', 'b').map((id) => ({ kind: 'event' as const, draft: segment(id, 1) })) },
      { weight: 1, arbitrary: fc.constantFrom('a', 'b').map((id) => ({ kind: 'event' as const, draft: withdrawal(id) })) },
      { weight: 3, arbitrary: fc.nat(4).map((frames) => ({ kind: 'network' as const, frames })) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { socket, outbox } = setUp();
        const stream = new EventStream('c', 1);
        const given: TimelineEvent[] = [];
        for (const each of steps) {
          if (each.kind === 'network') socket.take(each.frames);
          else {
            const event = eventAt(given.length + 1, each.draft);
            given.push(event);
            outbox.sendEvent(stream, event);
          }
        }
        socket.takeAll();
        let nextSeq = 1;
        for (const message of socket.sent) {
          if (message.type === 'skipped') {
            expect(message.fromSeq).toBe(nextSeq);
            for (let seq = message.fromSeq; seq <= message.toSeq; seq++) expect(['point', 'segment']).toContain(given[seq - 1]?.type);
            nextSeq = message.toSeq + 1;
          } else if (message.type === 'event') {
            expect(message.event.seq).toBe(nextSeq);
            expect(message.event).toEqual(given[nextSeq - 1]);
            nextSeq++;
          }
        }
        expect(nextSeq).toBe(given.length + 1);
      }),
    );
  });

  it('tells once that the reader is too slow, and sends nothing afterwards', () => {
    const { socket, outbox, tooSlow } = setUp(20_000);
    const stream = new EventStream('c', 1);
    for (let seq = 1; seq <= 500; seq++) outbox.sendEvent(stream, eventAt(seq, segment('a', seq)));
    expect(tooSlow()).toBe(1);
    const sent = socket.sent.length;
    socket.takeAll();
    outbox.send({ type: 'heartbeat' });
    expect(socket.sent).toHaveLength(sent);
  });

  it('coalesces without ever being too slow where only points come', () => {
    const { socket, outbox, tooSlow } = setUp(20_000);
    const stream = new EventStream('c', 1);
    for (let seq = 1; seq <= 100_000; seq++) outbox.sendEvent(stream, eventAt(seq, point(`p${seq % 8}`, seq)));
    expect(tooSlow()).toBe(0);
    socket.takeAll();
    expect(account(socket.sent).at(-1)).toBe('100000');
    expect(socket.sent.length).toBeLessThan(30);
  });

  it('drops what is held of a stream that closes, and keeps the others', () => {
    const { socket, outbox } = setUp();
    const [one, two] = [new EventStream('one', 1), new EventStream('two', 1)];
    for (let seq = 1; seq <= 10; seq++) {
      outbox.sendEvent(one, eventAt(seq, segment('a', seq)));
      outbox.sendEvent(two, { ...eventAt(seq, segment('a', seq)), callId: 'two' });
    }
    const before = socket.sent.length;
    outbox.closeStream(one);
    socket.takeAll();
    const after = socket.sent.slice(before);
    expect(after.length).toBeGreaterThan(5);
    expect(after.every((message) => message.type === 'event' && message.event.callId === 'two')).toBe(true);
  });

  it('lets who waits for room go on, also when it closes', async () => {
    const { socket, outbox } = setUp();
    const stream = new EventStream('c', 1);
    for (let seq = 1; seq <= 10; seq++) outbox.sendEvent(stream, eventAt(seq, segment('a', seq)));
    const room = outbox.writable();
    socket.takeAll();
    await room;
    for (let seq = 11; seq <= 20; seq++) outbox.sendEvent(stream, eventAt(seq, segment('a', seq)));
    const closed = outbox.writable();
    outbox.close();
    await closed;
    expect(outbox.idle).toBe(false);
  });
});
