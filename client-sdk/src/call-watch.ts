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
  readonly subscription: Subscription;
  readonly listeners: Set<() => void>;
  readonly stop: () => void;
  state: CallState;
  users: number;
}

const watches = new WeakMap<UndertoneClient, Map<string, Shared>>();

/** Watches a call. All who watch the same call through the same client share one subscription. */
export function watchCall(client: UndertoneClient, callId: string): CallWatch {
  const byCall = watches.get(client) ?? new Map<string, Shared>();
  watches.set(client, byCall);
  let shared = byCall.get(callId);
  if (shared === undefined || shared.subscription.closed) {
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
  const subscription = client.subscribe(callId);
  const changed = (): void => {
    for (const listener of [...shared.listeners]) listener();
  };
  const offs = [
    client.on('status', changed),
    subscription.on('call', (call) => {
      shared.state = callStateOf(call);
      changed();
    }),
    subscription.on('resync', () => {
      shared.state = emptyCallState;
      changed();
    }),
    subscription.on('event', (event) => {
      const next = reduceCall(shared.state, event);
      const differs = next.participants !== shared.state.participants;
      shared.state = next;
      if (differs) changed();
    }),
    subscription.on('close', () => {
      shared.state = emptyCallState;
      changed();
    }),
  ];
  const shared: Shared = {
    subscription,
    listeners: new Set(),
    state: emptyCallState,
    users: 0,
    stop() {
      for (const off of offs) off();
      subscription.unsubscribe();
    },
  };
  return shared;
}
