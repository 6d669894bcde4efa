// What crosses between the main thread and a pipeline thread. Messages of one direction are handled in their order.
import type { ErrorCode } from '../../errors.ts';
import type { TrackInfo } from '../../sfu/types.ts';
import type { AudioReceiverSettings } from '../audio-receiver.ts';
import type { DecoderChoice } from '../codec.ts';
import type { FeatureWindow, FrontEndSpec } from '../types.ts';

/** How a caller's audio is received; survives the crossing. */
export type CallerSettings = DecoderChoice & AudioReceiverSettings;

/** Begins a caller in the thread. */
export interface OpenRequest {
  readonly kind: 'open';
  /** Names the caller in this thread; never used again, also not for the same caller in another thread. */
  readonly ref: number;
  readonly track: TrackInfo;
  readonly spec: FrontEndSpec;
  readonly settings: CallerSettings;
  /** One Int32, shared: not 0 once nothing more of the caller may be decoded, also of what has been sent already. */
  readonly withdrawn: SharedArrayBuffer;
  /** Memory of the caller's `Pace`; none: the full one. */
  readonly pace: SharedArrayBuffer | null;
  /** Where the blocks of its windows are written, see block-ring.ts. */
  readonly blocks: SharedArrayBuffer;
  /** Wakes the main thread, see packet-pause.ts; the same for all callers. */
  readonly bell: SharedArrayBuffer;
}

/** Messages to the thread. */
export type ThreadRequest =
  | OpenRequest
  /** Packets of any callers, see packet-batch.ts; transferred, and handed back in the answer. */
  | { readonly kind: 'packets'; readonly batch: ArrayBuffer; readonly byteCount: number }
  /** Time to look who has fallen silent; in order with the packets, so that a main thread that was held up silences nobody. */
  | { readonly kind: 'look' }
  /** No more packets of a caller: what is held back comes, then `closed`. */
  | { readonly kind: 'end'; readonly ref: number }
  /** A caller is given up: nothing comes but `closed`. */
  | { readonly kind: 'discard'; readonly ref: number };

/** A window without what the main thread knows. */
export type SentWindow = Omit<FeatureWindow, 'track' | 'blocks'>;

/** What a caller's front end said. `originMs`: wall time of its sample 0, as of now; `blocks`: numbers in its ring, 0 for none. */
export type SentOutput =
  | { readonly kind: 'speech'; readonly originMs: number; readonly change: SentChange }
  | { readonly kind: 'window'; readonly originMs: number; readonly window: SentWindow; readonly blocks: readonly number[] };

/** The last of a caller. */
export interface SentEnd {
  readonly ref: number;
  readonly failure: Failure | null;
}

/** A change of speech without its track. */
export interface SentChange {
  readonly state: 'start' | 'end';
  readonly atSample: number;
  readonly arrivalMs: number;
}

/** Why a caller cannot go on. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

/** Messages from the thread; the first is `ready`. */
export type ThreadReply =
  | { readonly kind: 'ready' }
  /** All that came of one request, and what came by itself since the last turn. */
  | {
      readonly kind: 'turn';
      /** The batch that this answers, to be filled again. */
      readonly batch: ArrayBuffer | null;
      /** Rows of media-report.ts; they count before the outputs. */
      readonly reports: Float64Array | null;
      /** Rows of output-rows.ts. */
      readonly outputs: Float64Array | null;
      /** Callers who have ended, all of whose outputs came before. */
      readonly ends: readonly SentEnd[];
    };
