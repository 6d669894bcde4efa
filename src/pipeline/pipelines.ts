// Where callers' front ends run: in this thread, or in threads of their own. The same code either way.
import { availableParallelism } from 'node:os';
import { finalize, map, type OperatorFunction } from 'rxjs';
import type { Logger } from '../log.ts';
import type { Metrics } from '../metrics.ts';
import type { TrackInfo } from '../sfu/types.ts';
import type { AudioReceiverSettings } from './audio-receiver.ts';
import { callerPipeline } from './caller-pipeline.ts';
import { decoderFactory, type DecoderChoice } from './codec.ts';
import { MediaClock } from './media-clock.ts';
import type { Pace } from './pace.ts';
import type { RawRtp } from './packet-pipeline.ts';
import { PipelinePool } from './pool/pipeline-pool.ts';
import type { CallerOutput, FrontEndSpec, MediaCounts, MediaLevels } from './types.ts';

/** What a caller's front end is opened with. */
export interface CallerOptions extends DecoderChoice, AudioReceiverSettings {
  readonly track: TrackInfo;
  /** The model's numbers. */
  readonly spec: FrontEndSpec;
  /** Kept up to date: at once in this thread, four times a second from another. */
  readonly counts: MediaCounts;
  readonly levels: MediaLevels;
  /** Heeded from the next packet and window on. @default the full pace */
  readonly pace?: Pace | undefined;
  /** Called once, when counts and levels change no more: with the end of the stream, or soon after it was given up. */
  readonly onClosed: () => void;
}

/** A caller's front end, to be subscribed to once. */
export interface OpenedCaller {
  /** Places the positions of what has been emitted on the wall clock. */
  readonly clock: Pick<MediaClock, 'wallMsOf'>;
  /**
   * Packets in, speech and windows out. Completes after the source, once the last words have been said; nothing is emitted
   * and no packet decoded once it was unsubscribed from.
   */
  readonly pipeline: OperatorFunction<RawRtp, CallerOutput>;
}

/** How front ends keep up. */
export interface PipelinePressure {
  /** How long the packets that have waited longest for an answer have done so, ms. */
  readonly lagMs: number;
  /** Share of the time since the last reading that the busiest thread was at work, 0 to 1. */
  readonly busyShare: number;
}

/** Opens front ends. */
export interface CallerPipelines {
  /** Whether callers that are opened now are served. */
  readonly ready: boolean;
  /** Resolves once they are; rejects with UT_SERVER_FAILED where they cannot be. */
  started(): Promise<void>;
  /** @throws UndertoneError UT_CODEC_UNSUPPORTED where the track's codec cannot be decoded, UT_REQUEST_INVALID once closed. */
  open(options: CallerOptions): OpenedCaller;
  /** How long this thread has slept on purpose since the beginning, so that packets gather, ms; Node counts it as work. */
  readonly pausedMs: number;
  /** Ends such a sleep, see packet-pause.ts; undefined where there is none. */
  readonly bell: SharedArrayBuffer | undefined;
  /** Hands packets on at once that would wait for others: for who brings many at a time. */
  flush(): void;
  /** Reads how their threads keep up, since the last reading; nothing where they run in this one. */
  takePressure(): PipelinePressure;
  /** Completes what is still open and frees everything. Safe to call twice. */
  close(): Promise<void>;
}

/** How many threads; `auto` leaves one core to the main thread, and takes no more than 8. 0: none but this one. */
export type PipelineWorkers = number | 'auto';

const maxAutoWorkers = 8;

/** Options of {@link createPipelines}. */
export interface PipelinesOptions {
  readonly workers: PipelineWorkers;
  /** How long this thread may sleep between bursts of packets for those threads, ms. @default 0: never */
  readonly gatherMs?: number | undefined;
  readonly logger: Logger;
  readonly metrics?: Metrics | undefined;
}

/** Makes what the setting asks for. Threads are started at once. */
export function createPipelines({ workers, gatherMs, logger, metrics }: PipelinesOptions): CallerPipelines {
  const threads = workers === 'auto' ? Math.max(1, Math.min(maxAutoWorkers, availableParallelism() - 1)) : workers;
  return threads === 0 ? mainThreadPipelines : new PipelinePool({ threads, gatherMs, logger, metrics });
}

/** Front ends in this thread. */
export const mainThreadPipelines: CallerPipelines = {
  ready: true,
  pausedMs: 0,
  bell: undefined,
  started: () => Promise.resolve(),
  open: ({ track, opusDecoder, onClosed, ...options }) => {
    const makeDecoder = decoderFactory(track.codec, { opusDecoder });
    const clock = new MediaClock();
    return {
      clock,
      pipeline: (source) => {
        const front = callerPipeline({ ...options, track, decoder: makeDecoder(), clock });
        return source.pipe(map(ownCopy), front, finalize(onClosed));
      },
    };
  },
  flush: () => undefined,
  takePressure: () => ({ lagMs: 0, busyShare: 0 }),
  close: () => Promise.resolve(),
};

/** A packet may wait in the jitter buffer, and its memory is the host's. */
function ownCopy({ data, arrivalMs }: RawRtp): RawRtp {
  return { data: new Uint8Array(data), arrivalMs };
}
