// What travels on the timeline, as a client sees it. Checked against the server's own types by a test.

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
  /** The policy's standing decision on a participant; sent whenever it changes. */
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
    /** 0 to 1. */
    readonly confidence: number;
    /** Every class, in the model's order; sums to 1. */
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

/** The name of a kind of event. */
export type EventType = keyof EventBodies;

/** One kind of event. */
export type TimelineEventOf<T extends EventType> = { [K in T]: EventBase & { readonly type: K } & EventBodies[K] }[T];

/** An event of a call's timeline. */
export type TimelineEvent = TimelineEventOf<EventType>;

/** What is known of a participant. No name: those stay with the call. */
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

/** A call at one moment. */
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

/** A place in a call's timeline: everything up to and including `seq` of `epoch` has been seen. */
export interface TimelinePosition {
  readonly epoch: string;
  readonly seq: number;
}

/** Tells that events were missed which cannot be had any more, or that the call began anew: discard what was derived. */
export interface Resync {
  readonly callId: string;
  readonly epoch: string;
  /** Seq of the next event that will come. */
  readonly nextSeq: number;
  /** `epoch`: the call began anew. `trimmed`: the missed events are no longer kept. */
  readonly reason: 'epoch' | 'trimmed';
}

/** A range of seqs, both ends included, that the server leaves out because this reader is slow: points that newer ones replaced. */
export interface Skipped {
  readonly callId: string;
  readonly fromSeq: number;
  readonly toSeq: number;
}
