// Subscriptions: each event once and in order, whatever happens to the link.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Resync, Subscription, TimelineEvent, UndertoneClientError } from '../../../client-sdk/src/index.ts';
import { call, connectFake, settle, speech } from './support/fake-socket.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function seqsOf(subscription: Subscription): number[] {
  const seqs: number[] = [];
  subscription.on('event', (event) => seqs.push(event.seq));
  return seqs;
}
function resyncsOf(subscription: Subscription): Resync[] {
  const resyncs: Resync[] = [];
  subscription.on('resync', (resync) => resyncs.push(resync));
  return resyncs;
}
async function opened(options: Parameters<typeof connectFake>[0] = {}) {
  const fake = connectFake(options);
  await settle();
  fake.last().welcome(60_000);
  const requests = (): unknown[] => fake.last().sent.slice(1);
  const reopen = async (code = 1006): Promise<void> => {
    fake.last().drop(code);
    await vi.advanceTimersByTimeAsync(100);
    fake.last().welcome(60_000);
    await settle();
  };
  return { ...fake, requests, reopen };
}

describe('what is asked for', () => {
  it.each([
    [undefined, { type: 'subscribe', callId: 'call' }],
    ['now' as const, { type: 'subscribe', callId: 'call' }],
    ['start' as const, { type: 'subscribe', callId: 'call', resume: { seq: 0 } }],
    [
      { epoch: 'e1', seq: 7 },
      { type: 'subscribe', callId: 'call', resume: { epoch: 'e1', seq: 7 } },
    ],
  ])('from %o', async (from, expected) => {
    const { client, requests } = await opened();
    client.subscribe('call', from === undefined ? {} : { from });
    await settle();
    expect(requests()).toEqual([expected]);
  });

  it('waits for the link to open', async () => {
    const { client, last } = connectFake();
    client.subscribe('call');
    await settle();
    last().welcome();
    await settle();
    expect(last().sent).toEqual([
      { type: 'hello', token: 'token' },
      { type: 'subscribe', callId: 'call' },
    ]);
  });

  it('asks once for readers of one call that come together, from the earliest position', async () => {
    const { client, requests, last } = await opened();
    const early = seqsOf(client.subscribe('call', { from: { epoch: 'e1', seq: 2 } }));
    const late = seqsOf(client.subscribe('call', { from: { epoch: 'e1', seq: 4 } }));
    const now = seqsOf(client.subscribe('call'));
    await settle();
    expect(requests()).toEqual([{ type: 'subscribe', callId: 'call', resume: { epoch: 'e1', seq: 2 } }]);
    last().subscribed(call(5), 3);
    last().events(...[3, 4, 5, 6].map((seq) => speech(seq)));
    expect([early, late, now]).toEqual([[3, 4, 5, 6], [5, 6], [6]]);
  });

  it('does not disturb a reader when another one of the same call joins', async () => {
    const { client, requests, last } = await opened();
    const first = seqsOf(client.subscribe('call'));
    await settle();
    last().subscribed(call(4), 5);
    last().events(speech(5), speech(6));
    const second = seqsOf(client.subscribe('call', { from: 'start' }));
    await settle();
    expect(requests()[1]).toEqual({ type: 'subscribe', callId: 'call', resume: { seq: 0 } });
    last().events(speech(7));
    last().subscribed(call(7), 1);
    last().events(...[1, 2, 3, 4, 5, 6, 7, 8].map((seq) => speech(seq)));
    expect(first).toEqual([5, 6, 7, 8]);
    expect(second).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('asks for the whole timeline where readers hold different epochs', async () => {
    const { client, requests } = await opened();
    client.subscribe('call', { from: { epoch: 'e0', seq: 2 } });
    client.subscribe('call', { from: { epoch: 'e1', seq: 4 } });
    await settle();
    expect(requests()).toEqual([{ type: 'subscribe', callId: 'call', resume: { seq: 0 } }]);
  });
});

describe('delivery', () => {
  it('tells each event by its type and as `event`, and the call', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call');
    const heard: string[] = [];
    subscription.on('call', (summary) => heard.push(`call ${String(summary.lastSeq)}`));
    subscription.on('event', (event) => heard.push(`event ${String(event.seq)}`));
    subscription.on('speech', (event) => heard.push(`speech ${event.state}`));
    const off = subscription.on('end', (event) => heard.push(`end ${event.reason}`));
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), { type: 'end', epoch: 'e1', seq: 2, callId: 'call', atMs: 5, reason: 'empty' });
    off();
    last().events({ type: 'end', epoch: 'e1', seq: 3, callId: 'call', atMs: 5, reason: 'empty' });
    expect(heard).toEqual(['call 0', 'event 1', 'speech start', 'event 2', 'end empty', 'event 3']);
    expect(subscription.call?.callId).toBe('call');
    expect(subscription.position).toEqual({ epoch: 'e1', seq: 3 });
  });

  it('drops what it has seen', async () => {
    const { client, last } = await opened();
    const seqs = seqsOf(client.subscribe('call'));
    await settle();
    last().subscribed(call(4), 5);
    last().events(speech(5), speech(5), speech(3), speech(6));
    expect(seqs).toEqual([5, 6]);
  });

  it('resumes each call on the new link from where it was', async () => {
    const { client, last, requests, reopen } = await opened();
    const a = seqsOf(client.subscribe('call', { from: 'start' }));
    const b = seqsOf(client.subscribe('other'));
    await settle();
    last().subscribed(call(3), 1);
    last().subscribed(call(9, { callId: 'other', epoch: 'f' }), 10);
    last().events(speech(1), speech(2), speech(10, 'f', 'other'));
    await reopen(1013);
    expect(requests()).toEqual([
      { type: 'subscribe', callId: 'call', resume: { epoch: 'e1', seq: 2 } },
      { type: 'subscribe', callId: 'other', resume: { epoch: 'f', seq: 10 } },
    ]);
    last().subscribed(call(4), 3);
    last().events(speech(3), speech(4));
    expect([a, b]).toEqual([[1, 2, 3, 4], [10]]);
  });

  it('keeps meaning "now" if the link broke before the server answered', async () => {
    const { client, requests, reopen } = await opened();
    client.subscribe('call');
    await settle();
    await reopen();
    expect(requests()).toEqual([{ type: 'subscribe', callId: 'call' }]);
  });

  it('delivers everything once and in order over any pattern of link losses and repeats', async () => {
    const step = fc.record({ kind: fc.constantFrom('event', 'drop', 'repeat', 'join'), count: fc.integer({ min: 1, max: 4 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const fake = await opened();
        let written = 0;
        let sentTo = 0;
        const readers: number[][] = [];
        /** Plays the server: answers the last request from its position on. */
        const serve = async (): Promise<void> => {
          await settle();
          const request = fake.last().sent[fake.last().sent.length - 1] as { resume?: { seq: number } };
          const after = request.resume?.seq ?? written;
          for (const message of fake.last().sent.splice(1)) {
            if (message['type'] === 'subscribe') fake.last().subscribed(call(written), after + 1);
          }
          for (let seq = after + 1; seq <= written; seq += 1) fake.last().events(speech(seq));
          sentTo = written;
        };
        readers.push(seqsOf(fake.client.subscribe('call', { from: 'start' })));
        await serve();
        for (const { kind, count } of steps) {
          if (kind === 'event') {
            for (let made = 0; made < count; made += 1) fake.last().events(speech((sentTo = ++written)));
          } else if (kind === 'repeat') {
            for (let seq = Math.max(1, sentTo - count); seq <= sentTo; seq += 1) fake.last().events(speech(seq));
          } else if (kind === 'join') {
            readers.push(seqsOf(fake.client.subscribe('call', { from: 'start' })));
            await serve();
          } else {
            written += count;
            await fake.reopen();
            await serve();
          }
        }
        const all = Array.from({ length: written }, (_, index) => index + 1);
        for (const seqs of readers) expect(seqs).toEqual(all);
        await Promise.all([fake.client.close(), vi.advanceTimersByTimeAsync(1000)]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('gaps', () => {
  it('has missing events sent again', async () => {
    const { client, last, requests } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const resyncs = resyncsOf(subscription);
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), speech(4), speech(5));
    await settle();
    expect(seqs).toEqual([1]);
    expect(requests()[1]).toEqual({ type: 'subscribe', callId: 'call', resume: { epoch: 'e1', seq: 1 } });
    last().subscribed(call(5), 2);
    last().events(...[2, 3, 4, 5].map((seq) => speech(seq)));
    expect(seqs).toEqual([1, 2, 3, 4, 5]);
    expect(resyncs).toEqual([]);
    expect(requests()).toHaveLength(2);
  });

  it('asks once, then goes on with a resync', async () => {
    const { client, last, requests } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const resyncs = resyncsOf(subscription);
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), speech(4));
    await settle();
    last().subscribed(call(5), 2);
    last().events(speech(4), speech(5));
    await settle();
    expect(seqs).toEqual([1, 4, 5]);
    expect(resyncs).toEqual([{ callId: 'call', epoch: 'e1', nextSeq: 4, reason: 'trimmed' }]);
    expect(requests()).toHaveLength(2);
  });

  it('takes a skipped range as seen, and resumes after it', async () => {
    const { client, last, requests, reopen } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const skipped: unknown[] = [];
    subscription.on('skipped', (range) => skipped.push(range));
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1));
    last().receive({ type: 'skipped', callId: 'call', fromSeq: 2, toSeq: 5 });
    last().events(speech(6));
    last().receive({ type: 'skipped', callId: 'call', fromSeq: 7, toSeq: 9 });
    expect(seqs).toEqual([1, 6]);
    expect(skipped).toEqual([
      { callId: 'call', fromSeq: 2, toSeq: 5 },
      { callId: 'call', fromSeq: 7, toSeq: 9 },
    ]);
    await reopen();
    expect(requests()).toEqual([{ type: 'subscribe', callId: 'call', resume: { epoch: 'e1', seq: 9 } }]);
  });
});

describe('resync', () => {
  it('starts again when the call began anew while the link was down', async () => {
    const { client, last, reopen } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const resyncs = resyncsOf(subscription);
    await settle();
    last().subscribed(call(4), 5);
    last().events(speech(5));
    await reopen();
    last().subscribed(call(2, { epoch: 'e2' }), 1);
    last().receive({ type: 'resync', callId: 'call', epoch: 'e2', nextSeq: 1, reason: 'epoch' });
    last().events(speech(1, 'e2'), speech(2, 'e2'));
    expect(resyncs).toEqual([{ callId: 'call', epoch: 'e2', nextSeq: 1, reason: 'epoch' }]);
    expect(seqs).toEqual([5, 1, 2]);
    expect(subscription.position).toEqual({ epoch: 'e2', seq: 2 });
  });

  it('goes on after what was trimmed', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call', { from: { epoch: 'e1', seq: 5 } });
    const seqs = seqsOf(subscription);
    const resyncs = resyncsOf(subscription);
    await settle();
    last().subscribed(call(100), 91);
    last().receive({ type: 'resync', callId: 'call', epoch: 'e1', nextSeq: 91, reason: 'trimmed' });
    last().events(speech(91));
    expect(resyncs).toEqual([{ callId: 'call', epoch: 'e1', nextSeq: 91, reason: 'trimmed' }]);
    expect(seqs).toEqual([91]);
  });

  it('follows a call that begins anew on an open link, and drops late events of the old one', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const resyncs = resyncsOf(subscription);
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), speech(1, 'e2'), speech(2), speech(2, 'e2'));
    expect(seqs).toEqual([1, 1, 2]);
    expect(resyncs.map(({ epoch }) => epoch)).toEqual(['e2']);
  });
});

describe('ending', () => {
  it('unsubscribes at the server when the last reader goes, and hears no more', async () => {
    const { client, last, requests, reopen } = await opened();
    const first = client.subscribe('call');
    const second = client.subscribe('call');
    const seqs = seqsOf(first);
    await settle();
    last().subscribed(call(0), 1);
    first.unsubscribe();
    first.unsubscribe();
    await settle();
    expect(requests()).toHaveLength(1);
    second.unsubscribe();
    await settle();
    expect(requests()[1]).toEqual({ type: 'unsubscribe', callId: 'call' });
    last().events(speech(1));
    last().receive({ type: 'unsubscribed', callId: 'call' });
    expect(seqs).toEqual([]);
    expect(first.closed).toBe(true);
    await reopen();
    expect(requests()).toEqual([]);
  });

  it('can subscribe again', async () => {
    const { client, last, requests } = await opened();
    client.subscribe('call').unsubscribe();
    const seqs = seqsOf(client.subscribe('call'));
    await settle();
    expect(requests()).toEqual([{ type: 'subscribe', callId: 'call' }]);
    last().subscribed(call(0), 1);
    last().events(speech(1));
    expect(seqs).toEqual([1]);
  });

  it('ends the readers of a call that the token does not allow, and nobody else', async () => {
    const { client, last } = await opened();
    const refused = client.subscribe('call');
    const fine = seqsOf(client.subscribe('other'));
    const errors: UndertoneClientError[] = [];
    refused.on('error', (error) => errors.push(error));
    await settle();
    last().receive({ type: 'error', code: 'UT_AUTH_SCOPE', message: 'Not this call', callId: 'call' });
    last().subscribed(call(0, { callId: 'other' }), 1);
    last().events(speech(1, 'e1', 'other'));
    expect(errors.map(({ code, callId }) => [code, callId])).toEqual([['UT_AUTH_SCOPE', 'call']]);
    expect(refused.closed).toBe(true);
    expect(fine).toEqual([1]);
  });

  it('asks again after a refusal that may pass', async () => {
    const { client, last, requests } = await opened();
    const subscription = client.subscribe('call');
    const seqs = seqsOf(subscription);
    const codes: string[] = [];
    subscription.on('error', (error) => codes.push(error.code));
    await settle();
    last().receive({ type: 'error', code: 'UT_STORE_FAILED', message: 'Store away', callId: 'call' });
    await vi.advanceTimersByTimeAsync(100);
    expect(requests()).toHaveLength(2);
    last().subscribed(call(0), 1);
    last().events(speech(1));
    expect([seqs, codes, subscription.closed]).toEqual([[1], ['UT_STORE_FAILED'], false]);
  });

  it('ends when the client closes', async () => {
    const { client } = await opened();
    const subscription = client.subscribe('call');
    const closed = vi.fn();
    subscription.on('close', closed);
    void client.close();
    expect(closed).toHaveBeenCalledOnce();
    expect(subscription.closed).toBe(true);
  });

  it('keeps delivering to others if a listener throws, and reports it', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call');
    subscription.on('event', () => {
      throw new Error('mine');
    });
    const seqs = seqsOf(subscription);
    await settle();
    const uncaught: unknown[] = [];
    const collect = vi.spyOn(globalThis, 'queueMicrotask').mockImplementation((task) => {
      try {
        task();
      } catch (error) {
        uncaught.push(error);
      }
    });
    last().subscribed(call(0), 1);
    last().events(speech(1));
    collect.mockRestore();
    expect(seqs).toEqual([1]);
    expect(uncaught).toEqual([new Error('mine')]);
  });
});

describe('iterating', () => {
  const take = async (events: AsyncIterator<TimelineEvent>): Promise<number | 'done'> => {
    const { done, value } = await events.next();
    return done === true ? 'done' : value.seq;
  };

  it('gives events that came before and after they were asked for, and ends with the subscription', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call');
    const events = subscription[Symbol.asyncIterator]();
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), speech(2));
    expect([await take(events), await take(events)]).toEqual([1, 2]);
    const third = take(events);
    const fourth = take(events);
    last().events(speech(3));
    expect(await third).toBe(3);
    subscription.unsubscribe();
    expect([await fourth, await take(events)]).toEqual(['done', 'done']);
  });

  it('stops listening when the loop is left', async () => {
    const { client, last } = await opened();
    const subscription = client.subscribe('call');
    const read = (async () => {
      for await (const event of subscription) return event.seq;
      return 0;
    })();
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1), speech(2));
    expect(await read).toBe(1);
    expect(subscription.closed).toBe(false);
  });

  it('throws the error that ended the subscription, once what waits is read', async () => {
    const { client, last } = await opened();
    const events = client.subscribe('call')[Symbol.asyncIterator]();
    await settle();
    last().subscribed(call(0), 1);
    last().events(speech(1));
    last().receive({ type: 'error', code: 'UT_AUTH_SCOPE', message: 'Not this call', callId: 'call' });
    expect(await take(events)).toBe(1);
    await expect(events.next()).rejects.toMatchObject({ code: 'UT_AUTH_SCOPE' });
    expect(await take(events)).toBe('done');
  });

  it('fails rather than grow without end', async () => {
    const { client, last } = await opened();
    const events = client.subscribe('call')[Symbol.asyncIterator]();
    await settle();
    last().subscribed(call(0), 1);
    for (let seq = 1; seq <= 10_001; seq += 1) last().events(speech(seq));
    for (let seq = 1; seq <= 10_001; seq += 1) expect(await take(events)).toBe(seq);
    await expect(events.next()).rejects.toMatchObject({ code: 'UT_CLIENT_READER_SLOW' });
  });

  it('ends at once on a closed subscription', async () => {
    const { client } = await opened();
    const subscription = client.subscribe('call');
    subscription.unsubscribe();
    expect(await take(subscription[Symbol.asyncIterator]())).toBe('done');
  });
});
