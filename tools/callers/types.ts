// What a simulated caller is given and what it tells.

/** A clip that a caller can speak. */
export interface CallerClip {
  /** What the log calls it. */
  readonly name: string;
  /** Path of an Ogg Opus file. */
  readonly path: string;
}

/** One simulated caller. */
export interface CallerSpec {
  readonly participantId: string;
  /** Where its RTP goes: a mediasoup PlainTransport with `comedia` and `rtcpMux`. */
  readonly remote: { readonly ip: string; readonly port: number };
  readonly ssrc: number;
  readonly payloadType: number;
  /** One at least; spoken in random order, none again before all the others. */
  readonly clips: readonly CallerClip[];
  /** Fixes the order of clips, the pauses and the first sequence number and timestamp. */
  readonly seed: number;
  /** Callers of one group take turns where a talk ratio is given. @default one group of all callers */
  readonly turnGroup?: string;
}

/** A caller began to speak a clip. */
export interface Said {
  readonly participantId: string;
  readonly clip: string;
  /** First sample of the clip's audio (pre-skip passed over), samples at 16 kHz from the caller's first packet. */
  readonly startSample: number;
  readonly durationSamples: number;
  /** Wall time at which the clip's first packet was sent, ms since the Unix epoch. */
  readonly startedAtUnixMs: number;
}

/** What a caller sent from start to stop. */
export interface CallerTotals {
  readonly participantId: string;
  readonly packets: number;
  readonly clips: number;
}

/** What the thread of the callers is started with. */
export interface CallersThreadData {
  readonly callers: readonly CallerSpec[];
  readonly talkRatio?: number;
}

/** What the thread reports. */
export type CallersThreadMessage =
  | { readonly type: 'started' }
  | { readonly type: 'said'; readonly said: Said }
  | { readonly type: 'stopped'; readonly totals: readonly CallerTotals[] };
