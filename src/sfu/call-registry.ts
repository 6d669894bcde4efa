// The calls of this node: opened by whoever joins first, ended when empty or when their media worker dies.
import type { types } from 'mediasoup';
import { systemClock, type Clock } from '../clock.ts';
import { isUndertoneError, UndertoneError } from '../errors.ts';
import { Call, type Seat } from './call.ts';
import type { CallClosedReason, SfuEvent } from './events.ts';
import type { SfuLimits } from './limits.ts';
import { routerMediaCodecs } from './media-codecs.ts';
import { mediaFailed } from './media-error.ts';
import type { Participant } from './participant.ts';
import type { TapManager } from './tap-manager.ts';
import type { CallInfo } from './types.ts';
import type { MediaWorker, WorkerPool } from './worker-pool.ts';

/** What the registry opens calls with. */
export interface CallRegistryOptions {
  readonly pool: WorkerPool;
  readonly taps: TapManager;
  readonly limits: SfuLimits;
  readonly emit: (event: SfuEvent) => void;
  /** Purpose and region that every call of this node declares. */
  readonly callDefaults: Omit<CallInfo, 'callId'>;
  /** How long a call is kept after the last participant left. @default 0 */
  readonly emptyCallLingerMs?: number;
  /** Says when a call opened. @default systemClock */
  readonly clock?: Clock;
}

/** A participant and the call that they are in. */
export interface Joined {
  readonly call: Call;
  readonly participant: Participant;
}

/** How often a join is tried again where the call ended, or its worker died, while it was being opened. */
const joinAttempts = 3;

/** Holds the calls by id. */
export class CallRegistry {
  readonly #options: CallRegistryOptions;
  readonly #clock: Clock;
  readonly #calls = new Map<string, Call>();
  readonly #opening = new Map<string, Promise<Call>>();
  #closed = false;

  constructor(options: CallRegistryOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Calls that are open. */
  get calls(): readonly Call[] {
    return [...this.#calls.values()];
  }

  get(callId: string): Call | undefined {
    return this.#calls.get(callId);
  }

  /** What a call declares, or would if it were opened now. */
  infoOf(callId: string): CallInfo {
    return this.#calls.get(callId)?.info ?? { callId, ...this.#options.callDefaults };
  }

  /**
   * Joins a call, opening it where needed. `stillWanted` is asked right before the participant would appear: where
   * it says no, nobody has seen them. A client that joins again in place of a connection that it lost takes over its id.
   *
   * @throws UndertoneError UT_SERVER_OVERLOADED where a limit is reached, UT_MEDIA_FAILED where no worker can take the
   * call, UT_REQUEST_INVALID where the id is taken or the join is no longer wanted.
   */
  async join(callId: string, seat: Seat, stillWanted: () => boolean = () => true): Promise<Joined> {
    for (let attempt = 1; ; attempt += 1) {
      const call = await this.#openUnlessLast(callId, attempt);
      if (call === undefined || isClosed(call)) continue;
      try {
        if (!stillWanted()) {
          throw new UndertoneError('UT_REQUEST_INVALID', 'Expected a client that waits for its answer, got one that left');
        }
        const other = call.participant(seat.participantId);
        if (other?.onReplaced !== undefined && seat.onReplaced !== undefined) {
          call.removeParticipant(other);
          other.onReplaced();
        }
        // Where the other was alone, their leaving has ended the call.
        if (!isClosed(call)) return { call, participant: call.addParticipant(seat) };
      } catch (error) {
        call.endIfEmpty();
        throw error;
      }
    }
  }

  /** Ends the calls that a worker carried. */
  endCallsOn(mediaWorker: MediaWorker, reason: CallClosedReason): void {
    for (const call of this.calls) {
      if (call.mediaWorker === mediaWorker) call.close(reason);
    }
  }

  /** Ends every call, and opens none any more. Safe to call twice. */
  close(reason: CallClosedReason): void {
    this.#closed = true;
    for (const call of [...this.#calls.values()].reverse()) call.close(reason);
  }

  /** Resolves to undefined where opening failed in a way that is worth another attempt. */
  async #openUnlessLast(callId: string, attempt: number): Promise<Call | undefined> {
    try {
      return await this.#open(callId);
    } catch (error) {
      if (attempt >= joinAttempts || !isUndertoneError(error) || error.code !== 'UT_MEDIA_FAILED' || !error.retryable) throw error;
      return undefined;
    }
  }

  async #open(callId: string): Promise<Call> {
    const known = this.#calls.get(callId) ?? this.#opening.get(callId);
    if (known !== undefined) return known;
    if (this.#closed) throw new UndertoneError('UT_SERVER_OVERLOADED', 'Expected an open server, got one that is shutting down');
    const { maxCalls } = this.#options.limits;
    if (this.#calls.size + this.#opening.size >= maxCalls) {
      const message = `Expected at most ${String(maxCalls)} calls on this server, got one more`;
      throw new UndertoneError('UT_SERVER_OVERLOADED', message, { retryable: true });
    }
    const opening = this.#create(callId).finally(() => this.#opening.delete(callId));
    this.#opening.set(callId, opening);
    return await opening;
  }

  async #create(callId: string): Promise<Call> {
    const { pool, taps, limits, emit, callDefaults, emptyCallLingerMs = 0 } = this.#options;
    const mediaWorker = await pool.acquire();
    const router = await this.#createRouter(mediaWorker).catch((error: unknown) => {
      mediaWorker.load -= 1;
      throw error;
    });
    const info: CallInfo = { callId, ...callDefaults };
    const onClosed = (closed: Call): void => {
      if (this.#calls.get(callId) === closed) this.#calls.delete(callId);
    };
    const call = new Call({ info, router, mediaWorker, taps, limits, emptyCallLingerMs, emit, onClosed });
    this.#calls.set(callId, call);
    emit({ type: 'callOpened', call: info, openedAtUnixMs: this.#clock.nowMs() });
    return call;
  }

  async #createRouter({ worker }: MediaWorker): Promise<types.Router> {
    let router: types.Router;
    try {
      router = await worker.createRouter({ mediaCodecs: routerMediaCodecs });
    } catch (error) {
      throw mediaFailed('a router for the call', error, true);
    }
    if (!this.#closed && !router.closed) return router;
    router.close();
    const message = 'Expected the media worker to go on, got one that ended meanwhile';
    throw new UndertoneError('UT_MEDIA_FAILED', message, { retryable: !this.#closed });
  }
}

/** A call's state as it is now, which TypeScript takes for what it was at the last look. */
function isClosed(call: Call): boolean {
  return call.closed;
}
