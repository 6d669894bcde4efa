// The timeline on the wire: events, call summaries, and the port of the store that keeps them.

interface EventBase {
  /** Names this run of the call; a new epoch means that older seqs are void. */
  readonly epoch: string;
  /** 1, 2, 3 … without gaps within an epoch. */
  readonly seq: number;
  readonly callId: string;
  /** Position on the call's media clock, ms since the call opened. */
  readonly atMs: number;
}

interface ByParticipant {
  readonly participantId: string;
}

/** The parts of each event by type. */
export interface EventBodies {
  participant: ByParticipant & { readonly action: 'joined' | 'left'; readonly role: string };
  /** The policy's standing decision on a participant; written whenever it changes. */
  consent: ByParticipant & {
    readonly consent: 'unknown' | 'granted' | 'denied' | 'withdrawn';
    readonly measured: boolean;
    readonly reason: string;
  };
  speech: ByParticipant & { readonly state: 'start' | 'end' };
  /** A scored window; `atMs` is its end. */
  point: ByParticipant & {
    readonly startMs: number;
    /** A class name, or `uncertain`. */
    readonly label: string;
    readonly confidence: number;
    /** Every class, in the manifest's order; sums to 1. */
    readonly probabilities: Readonly<Record<string, number>>;
    readonly speechRatio: number;
    /** Share of the window's speech that was lost on the way and made up, 0 to 1. */
    readonly concealedRatio: number;
    /** More was made up than the server's `pipeline.unreliableAbove`: the verdict says little. */
    readonly unreliable: boolean;
    /** The hop between points that was in force: the model's, or a multiple of it while the server has too much to do. */
    readonly hopMs: number;
    /** Wall time at which the window's last packet arrived, ms since the Unix epoch; for latency figures alone. */
    readonly arrivedAtUnixMs: number;
  };
  /** An utterance's verdict; `atMs` is its end. */
  segment: ByParticipant & {
    readonly startMs: number;
    readonly label: string;
    readonly confidence: number;
    readonly probabilities: Readonly<Record<string, number>>;
    readonly points: number;
    /** Mean over its points. */
    readonly concealedRatio: number;
    readonly unreliable: boolean;
    /** The widest hop between points that was in force over it. */
    readonly hopMs: number;
  };
  /**
   * Media that should have been scored and was not. `waiting`: while there was more to do than the server can, it was others' turn, and
   * nothing of the participant was listened to; `overload`: windows waited for too long; `engine`: the inference engine failed on them;
   * `media`: a thread failed that had it.
   */
  gap: ByParticipant & { readonly startMs: number; readonly reason: 'waiting' | 'overload' | 'engine' | 'media' };
  /** The call is over; nothing follows in this epoch. */
  end: { readonly reason: 'empty' | 'shutdown' | 'media-worker-died' | 'closed' };
}

export type EventType = keyof EventBodies;

/** An event before the timeline gave it `epoch`, `seq` and `callId`. */
export type EventDraft = { [T in EventType]: { readonly type: T; readonly atMs: number } & EventBodies[T] }[EventType];

/** An event of a call's timeline, as subscribers receive it. */
export type TimelineEvent = { [T in EventType]: EventBase & { readonly type: T } & EventBodies[T] }[EventType];

/** What is known of a participant from the timeline alone. */
export interface ParticipantSummary {
  readonly participantId: string;
  readonly role: string;
  readonly present: boolean;
  readonly measured: boolean;
  readonly reason: string;
  readonly speaking: boolean;
  /** The latest point since speech last began, or the latest segment; null before the first and once measuring stopped. */
  readonly current: { readonly atMs: number; readonly label: string; readonly confidence: number; readonly unreliable: boolean } | null;
}

/** A call as `GET /v1/calls` lists it. */
export interface CallSummary {
  readonly callId: string;
  readonly epoch: string;
  /** Wall time at which the call opened, ms since the Unix epoch. */
  readonly startedAtUnixMs: number;
  readonly live: boolean;
  readonly node: string;
  readonly purpose: string;
  readonly region: string;
  /** Seq of the latest event; 0 before the first. */
  readonly lastSeq: number;
  readonly participants: readonly ParticipantSummary[];
}

/** A page of a timeline. */
export interface TimelinePage {
  readonly epoch: string;
  /** Oldest seq that is still kept; 1 if nothing was trimmed. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly events: readonly TimelineEvent[];
}

/**
 * Keeps timelines, and tells of new events on whatever node they were written. Rejects with UT_STORE_FAILED.
 * One contract suite runs on every implementation.
 */
export interface TimelineStore {
  /** Opens a new epoch of a call, replacing an ended one of the same id. */
  open(call: Omit<CallSummary, 'lastSeq' | 'participants' | 'live'>): Promise<void>;
  /** Adds events in order. Their seqs follow the last one of the call's epoch without a gap. */
  append(events: readonly TimelineEvent[], summary: CallSummary): Promise<void>;
  /** Events with seq > afterSeq, oldest first; null if the call is unknown. */
  read(callId: string, afterSeq: number, limit: number): Promise<TimelinePage | null>;
  /** Every call that is kept, live or ended. */
  calls(): Promise<readonly CallSummary[]>;
  call(callId: string): Promise<CallSummary | null>;
  /** Calls back with each event appended from now on, in seq order, until the returned function is called. */
  subscribe(callId: string, listener: (event: TimelineEvent) => void): Promise<() => void>;
  close(): Promise<void>;
}
