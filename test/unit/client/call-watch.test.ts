// What overlays of one call share: one subscription, one state.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CallSummary } from '../../../client-sdk/src/index.ts';
import { watchCall } from '../../../client-sdk/src/call-watch.ts';
import { call, connectFake, settle, speech } from './support/fake-socket.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

const summary = (lastSeq: number): CallSummary =>
  call(lastSeq, {
    participants: [{ participantId: 'p', role: 'guest', present: true, measured: true, reason: 'granted', speaking: true, current: null }],
  });

async function opened() {
  const fake = connectFake();
  await settle();
  fake.last().welcome(60_000);
  return { ...fake, sent: () => fake.last().sent.slice(1) };
}

describe('watchCall', () => {
  it('subscribes once for all who watch, and unsubscribes when the last one lets go', async () => {
    const { client, last, sent } = await opened();
    const first = watchCall(client, 'call');
    const second = watchCall(client, 'call');
    await settle();
    expect(sent()).toEqual([{ type: 'subscribe', callId: 'call' }]);
    last().subscribed(summary(0), 1);
    last().events({ ...speech(1), type: 'speech', participantId: 'p', state: 'end' });
    expect([first, second].map((watch) => watch.display('p').kind)).toEqual(['silence', 'silence']);
    first.release();
    first.release();
    await settle();
    expect(sent()).toHaveLength(1);
    second.release();
    await settle();
    expect(sent()[1]).toEqual({ type: 'unsubscribe', callId: 'call' });
  });

  it('tells of changes until its listener is taken off, or it is given back', async () => {
    const { client, last } = await opened();
    const watch = watchCall(client, 'call');
    const kept = watchCall(client, 'call');
    const heard = vi.fn();
    const off = vi.fn();
    watch.on(heard);
    watch.on(off)();
    await settle();
    last().subscribed(summary(0), 1);
    expect(heard).toHaveBeenCalledTimes(1);
    watch.release();
    last().events({ ...speech(1), type: 'speech', participantId: 'p', state: 'end' });
    expect(kept.display('p').kind).toBe('silence');
    expect([heard.mock.calls.length, off.mock.calls.length]).toEqual([1, 0]);
  });

  it('shows nothing old as if it were live while the link is down', async () => {
    const { client, last } = await opened();
    const watch = watchCall(client, 'call');
    const heard = vi.fn();
    await settle();
    last().subscribed(summary(0), 1);
    expect(watch.display('p').kind).toBe('listening');
    watch.on(heard);
    last().drop();
    expect(heard).toHaveBeenCalledOnce();
    expect(watch.display('p').kind).toBe('connecting');
  });

  it('waits for a call that has not begun', async () => {
    const { client, last, sent } = await opened();
    const watch = watchCall(client, 'call');
    await settle();
    last().receive({ type: 'error', code: 'UT_CALL_UNKNOWN', message: 'No such call', callId: 'call' });
    expect(watch.display('p').kind).toBe('connecting');
    await vi.advanceTimersByTimeAsync(2000);
    expect(sent()).toHaveLength(2);
    last().subscribed(summary(0), 1);
    expect(watch.display('p').kind).toBe('listening');
    watch.release();
  });

  it('stops waiting when nobody watches, and gives up what is forbidden', async () => {
    const { client, last, sent } = await opened();
    const watch = watchCall(client, 'call');
    await settle();
    last().receive({ type: 'error', code: 'UT_CALL_UNKNOWN', message: 'No such call', callId: 'call' });
    watch.release();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent()).toHaveLength(1);

    watchCall(client, 'call');
    await settle();
    last().receive({ type: 'error', code: 'UT_AUTH_SCOPE', message: 'Not yours', callId: 'call' });
    await vi.advanceTimersByTimeAsync(10_000);
    expect(sent()).toHaveLength(2);
  });
});
