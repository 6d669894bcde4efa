// The console's data: the list of calls by polling, and the timeline of each live one by subscription.
import {
  connect,
  type CallSummary,
  type ConnectionStatus,
  type Subscription,
  type TimelineEvent,
  type UndertoneClient,
} from '@undertone/client';
import { callStateOf, emptyCallState, reduceCall, type CallState } from '@undertone/client/overlay';
import { AccessError, type TokenSource } from '../shared/access.ts';
import { emptyHistory, reduceHistory, type History } from './history.ts';
import { stripMs } from './strip.ts';

/** One call, as the board knows it. */
export interface BoardCall {
  readonly summary: CallSummary;
  readonly state: CallState;
  readonly histories: ReadonlyMap<string, History>;
  /** The present on the call's media clock, ms. */
  nowMs(): number;
}

/** What the board knows. */
export interface Board {
  /** Live calls, newest first. */
  readonly live: readonly BoardCall[];
  /** Calls that are over, newest first. */
  readonly ended: readonly CallSummary[];
  /** Whether a list of calls has come at all. */
  readonly loaded: boolean;
  readonly link: ConnectionStatus;
  /** What is wrong, for a person to read; empty if nothing. */
  readonly problem: string;
  /** Whether trying again will not mend it. */
  readonly stopped: boolean;
  close(): void;
}

interface Watched extends BoardCall {
  summary: CallSummary;
  state: CallState;
  histories: Map<string, History>;
  latestMs: number;
  subscription: Subscription | null;
}

const pollMs = 2000;
/** Events of the past that are asked for: more than two minutes of a call of several people. */
const backlogEvents = 4000;

/** Starts to watch. `changed` is called after whatever changes. */
export function openBoard(token: TokenSource, changed: () => void): Board {
  const watched = new Map<string, Watched>();
  let ended: readonly CallSummary[] = [];
  let loaded = false;
  let problem = '';
  let stopped = false;
  // By how much the server's clock is ahead of this machine's, ms; known to a second.
  let clockAheadMs = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const closing = new AbortController();
  const client: UndertoneClient = connect({ url: location.origin, token });
  client.on('status', changed);

  const watch = (summary: CallSummary): Watched => {
    const call: Watched = {
      summary,
      state: callStateOf(summary),
      histories: new Map(),
      latestMs: 0,
      subscription: null,
      nowMs: () => Math.max(call.latestMs, Date.now() + clockAheadMs - call.summary.startedAtUnixMs),
    };
    return call;
  };

  const subscribe = (call: Watched): void => {
    const { callId, epoch, lastSeq } = call.summary;
    const from = lastSeq > backlogEvents ? { epoch, seq: lastSeq - backlogEvents } : 'start';
    const subscription = client.subscribe(callId, { from });
    call.subscription = subscription;
    subscription.on('call', (summary) => {
      call.summary = summary;
      call.state = callStateOf(summary);
      changed();
    });
    subscription.on('resync', ({ reason }) => {
      // After a trim what is known stands; a call that began anew has nothing in common with the old one.
      if (reason === 'trimmed') return;
      call.state = emptyCallState;
      call.histories = new Map();
      call.latestMs = 0;
    });
    subscription.on('event', (event) => {
      take(call, event);
      changed();
    });
  };

  const take = (call: Watched, event: TimelineEvent): void => {
    call.state = reduceCall(call.state, event);
    call.latestMs = Math.max(call.latestMs, event.atMs);
    const ids = event.type === 'end' ? [...call.histories.keys()] : [event.participantId];
    for (const id of ids) call.histories.set(id, reduceHistory(call.histories.get(id) ?? emptyHistory, event, stripMs));
  };

  const update = (calls: readonly CallSummary[]): void => {
    const newestFirst = [...calls].sort((a, b) => b.startedAtUnixMs - a.startedAtUnixMs);
    const live = newestFirst.filter((call) => call.live);
    const ids = new Set(live.map(({ callId }) => callId));
    for (const [id, call] of watched) {
      if (ids.has(id)) continue;
      call.subscription?.unsubscribe();
      watched.delete(id);
    }
    for (const summary of live) {
      let call = watched.get(summary.callId);
      if (call?.subscription?.closed === true || call === undefined) {
        call = watch(summary);
        watched.set(summary.callId, call);
        subscribe(call);
      }
    }
    ended = newestFirst.filter((call) => !call.live);
  };

  const poll = async (): Promise<void> => {
    try {
      const response = await fetch('/v1/calls', {
        headers: { authorization: `Bearer ${await token()}` },
        signal: AbortSignal.any([closing.signal, AbortSignal.timeout(8000)]),
        cache: 'no-store',
      });
      if (response.status === 401 || response.status === 403) {
        throw new AccessError('The access token is not valid, has expired, or does not allow listing calls. Ask for a new link.');
      }
      if (!response.ok) throw new Error('The server cannot list its calls at the moment.');
      const serverMs = Date.parse(response.headers.get('date') ?? '');
      // The header is rounded down; below that it is no better than this machine's own clock.
      if (!Number.isNaN(serverMs)) clockAheadMs = Math.abs(serverMs - Date.now()) < 1500 ? 0 : serverMs + 500 - Date.now();
      const { calls } = (await response.json()) as { calls: readonly CallSummary[] };
      update(calls);
      loaded = true;
      problem = '';
    } catch (error) {
      if (closing.signal.aborted) return;
      stopped = error instanceof AccessError;
      problem = stopped && error instanceof Error ? error.message : 'The server cannot be reached. Trying again…';
      if (stopped) void client.close();
    }
    changed();
    if (!stopped) timer = setTimeout(() => void poll(), pollMs);
  };
  void poll();

  return {
    get live() {
      return [...watched.values()].sort((a, b) => b.summary.startedAtUnixMs - a.summary.startedAtUnixMs);
    },
    get ended() {
      return ended;
    },
    get loaded() {
      return loaded;
    },
    get link() {
      return client.status;
    },
    get problem() {
      return problem;
    },
    get stopped() {
      return stopped;
    },
    close() {
      closing.abort();
      clearTimeout(timer);
      void client.close();
    },
  };
}
