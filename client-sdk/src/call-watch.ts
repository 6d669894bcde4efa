// One subscription and one state for each call of a client, shared by all overlays that show it.
import type { UndertoneClient } from './client.ts';
import { callStateOf, displayOf, emptyCallState, reduceCall, type CallState, type OverlayState } from './overlay-state.ts';
import type { Subscription } from './subscription.ts';

/** A call's state, live. */
export interface CallWatch {
  /** What is known; empty until the server answered. */
  readonly state: CallState;
  /** What to show of a participant: `connecting` while the link is not open. */
  display(participantId: string): OverlayState;
  /** Calls back on each change, until the returned function is called. */
  on(listener: () => void): () => void;
  /** Gives it back; the last to do so ends the subscription. */
  release(): void;
}

interface Shared {
  readonly listeners: Set<() => void>;
  readonly closed: () => boolean;
  readonly stop: () => void;
  state: CallState;
  users: number;
}

/** Wait before a call that is not there yet is asked for again, ms. */
const unknownCallRetryMs = 2000;

const watches = new WeakMap<UndertoneClient, Map<string, Shared>>();

/** Watches a call. All who watch the same call through the same client share one subscription. */
export function watchCall(client: UndertoneClient, callId: string): CallWatch {
  const byCall = watches.get(client) ?? new Map<string, Shared>();
  watches.set(client, byCall);
  let shared = byCall.get(callId);
  if (shared === undefined || shared.closed()) {
    shared = share(client, callId);
    byCall.set(callId, shared);
  }
  const mine = shared;
  const own = new Set<() => void>();
  let released = false;
  mine.users += 1;
  return {
    get state() {
      return mine.state;
    },
    display: (participantId) => (client.status === 'open' ? displayOf(mine.state, participantId) : { kind: 'connecting' }),
    on(listener) {
      const entry = (): void => {
        listener();
      };
      mine.listeners.add(entry);
      own.add(entry);
      return () => {
        mine.listeners.delete(entry);
      };
    },
    release() {
      if (released) return;
      released = true;
      for (const entry of own) mine.listeners.delete(entry);
      mine.users -= 1;
      if (mine.users > 0) return;
      mine.stop();
      if (byCall.get(callId) === mine) byCall.delete(callId);
    },
  };
}

function share(client: UndertoneClient, callId: string): Shared {
  let subscription: Subscription | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let closed = false;

  const set = (state: CallState): void => {
    const differs = state.participants !== shared.state.participants;
    shared.state = state;
    if (differs) tell();
  };
  const tell = (): void => {
    for (const listener of [...shared.listeners]) listener();
  };

  const subscribe = (): void => {
    if (client.status === 'closed') return;
    let unknown = false;
    const opened = client.subscribe(callId);
    subscription = opened;
    opened.on('call', (call) => set(callStateOf(call)));
    opened.on('resync', () => set(emptyCallState));
    opened.on('event', (event) => set(reduceCall(shared.state, event)));
    opened.on('error', ({ code }) => {
      unknown = code === 'UT_CALL_UNKNOWN';
    });
    opened.on('close', () => {
      if (opened !== subscription) return;
      set(emptyCallState);
      // A call begins with its first participant, and may well begin after its overlay was put up.
      if (unknown) timer = setTimeout(subscribe, unknownCallRetryMs);
      else closed = true;
    });
  };

  const shared: Shared = {
    listeners: new Set(),
    state: emptyCallState,
    users: 0,
    closed: () => closed,
    stop() {
      closed = true;
      clearTimeout(timer);
      offStatus();
      const ending = subscription;
      subscription = null;
      ending?.unsubscribe();
    },
  };
  const offStatus = client.on('status', tell);
  subscribe();
  return shared;
}
