// The faults that every timeline store reports in the same words.
import { UndertoneError } from '../errors.ts';
import type { TimelineEvent } from './types.ts';

/** The epoch is not the call's present one: it ended its time here, or never was. */
export function staleEpoch(callId: string): UndertoneError {
  return new UndertoneError('UT_STORE_FAILED', `Expected events of the present epoch of call \`${callId}\`, got those of another`);
}

/** The events do not follow the last one that is stored. */
export function brokenOrder(expectedSeq: number, seq: number): UndertoneError {
  return new UndertoneError('UT_STORE_FAILED', `Expected an event with seq \`${expectedSeq}\`, got \`${seq}\``);
}

/** The call is live on another node. */
export function liveElsewhere(callId: string): UndertoneError {
  return new UndertoneError('UT_REQUEST_INVALID', `Expected a call that is not live on another node, got \`${callId}\``);
}

/** The store was closed. */
export function storeClosed(): UndertoneError {
  return new UndertoneError('UT_STORE_FAILED', 'Expected an open timeline store, got a closed one');
}

/** Throws unless the seqs of a batch rise by one, within one call and epoch. */
export function checkBatch(events: readonly TimelineEvent[]): void {
  const [first] = events;
  if (first === undefined) return;
  events.forEach((event, index) => {
    if (event.callId !== first.callId || event.epoch !== first.epoch) throw staleEpoch(first.callId);
    if (event.seq !== first.seq + index) throw brokenOrder(first.seq + index, event.seq);
  });
}
