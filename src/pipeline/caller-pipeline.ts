// Lifts one caller's front end into a stream: RTP packets in, model windows and speech changes out.
import { interval, Observable, Subject, type OperatorFunction } from 'rxjs';
import { stage } from '../processor.ts';
import type { Processor, Emit } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { FrontEnd, type FrontEndOptions } from './front-end.ts';
import { createMediaCounts } from './media-counts.ts';
import { parseRtp } from './rtp.ts';
import type { MediaCounts, PipelineOutput, RtpPacket } from './types.ts';

/** One packet off the wire. */
type RawRtp = Parameters<typeof parseRtp>[0];

/** What {@link callerPipeline} is built from. */
export interface CallerPipelineOptions extends Omit<FrontEndOptions, 'onFrame'> {
  /** A decoder for the track's codec; closed with the pipeline, also if it never became ready. */
  readonly decoder: AudioDecoder;
}

/** How often it is looked whether packets come. */
const stallCheckMs = 125;
/**
 * A caller of whom none came between this many looks has fallen silent: muted, or cut off. One look is not enough: after
 * the main thread was held up, it comes before the packets that wait to be read.
 */
const stallChecks = 2;

/** Packets that may arrive before the decoder is ready: about half a second. The oldest are dropped beyond. */
const maxEarlyPackets = 32;

/**
 * Parses packets and takes them through a {@link FrontEnd}. Bad packets are counted in `counts`, never thrown; the stream
 * errors only if the decoder cannot be made.
 *
 * Where packets stop coming, what is held back goes out and an open utterance ends. That is told by wall time, but moves
 * no position: the media clock goes on with the next packet's timestamp.
 */
export function callerPipeline(options: CallerPipelineOptions): OperatorFunction<RawRtp, PipelineOutput> {
  const { track, decoder, counts = createMediaCounts() } = options;
  return (source) =>
    new Observable((subscriber) => {
      const stalled$ = new Subject<void>();
      const outputs$ = source.pipe(
        stage(() => new RtpParser(counts, track.audioLevelExtensionId)),
        holdUntilReady(decoder, counts),
        stage(() => new FrontEnd({ ...options, counts }), stalled$),
      );
      let receivedBefore = 0;
      // As if it had stalled already: nothing is held back before the first packet.
      let silentChecks = stallChecks;
      subscriber.add(
        interval(stallCheckMs).subscribe(() => {
          silentChecks = counts.received === receivedBefore ? silentChecks + 1 : 0;
          receivedBefore = counts.received;
          if (silentChecks === stallChecks) stalled$.next();
        }),
      );
      subscriber.add(outputs$.subscribe(subscriber));
    });
}

/** Parses packets, and counts those that are no RTP. */
class RtpParser implements Processor<RawRtp, RtpPacket> {
  readonly #counts: MediaCounts;
  readonly #audioLevelExtensionId: number | undefined;

  constructor(counts: MediaCounts, audioLevelExtensionId: number | undefined) {
    this.#counts = counts;
    this.#audioLevelExtensionId = audioLevelExtensionId;
  }

  process(raw: RawRtp, emit: Emit<RtpPacket>): void {
    const packet = parseRtp(raw, this.#audioLevelExtensionId);
    if (typeof packet !== 'string') {
      emit(packet);
      return;
    }
    this.#counts.received += 1;
    this.#counts.malformed += 1;
  }

  flush(): void {
    // Nothing is held back.
  }

  close(): void {
    // Nothing is held.
  }
}

/** Passes packets on once the decoder is ready, those that came before first; what exceeds the bound is counted as overflow. */
function holdUntilReady(decoder: AudioDecoder, counts: MediaCounts): OperatorFunction<RtpPacket, RtpPacket> {
  return (source) =>
    new Observable<RtpPacket>((subscriber) => {
      let early: RtpPacket[] | null = [];
      let completed = false;
      subscriber.add(() => {
        early = [];
        decoder.close();
      });
      subscriber.add(
        source.subscribe({
          next: (packet) => {
            if (early === null) {
              subscriber.next(packet);
              return;
            }
            early.push(packet);
            if (early.length > maxEarlyPackets) {
              early.shift();
              counts.received += 1;
              counts.overflow += 1;
            }
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
          complete: () => {
            completed = true;
            if (early === null) subscriber.complete();
          },
        }),
      );
      decoder.ready.then(
        () => {
          const held = early ?? [];
          early = null;
          for (const packet of held) subscriber.next(packet);
          if (completed) subscriber.complete();
        },
        (error: unknown) => {
          subscriber.error(error);
        },
      );
    });
}
