// Lifts what is made of one caller's ordered packets into a stream: raw packets in, whatever it emits out.
import { interval, Observable, Subject, type OperatorFunction } from 'rxjs';
import { stage } from '../processor.ts';
import type { Processor, Emit } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { parseRtp } from './rtp.ts';
import type { MediaCounts, RtpPacket } from './types.ts';

/** One packet off the wire. */
export type RawRtp = Parameters<typeof parseRtp>[0];

/** What {@link packetPipeline} is built from. */
export interface PacketPipelineOptions<Out> {
  /** Id of the RFC 6464 audio-level header extension, where negotiated. */
  readonly audioLevelExtensionId: number | undefined;
  /** Closed with the pipeline, also if it never became ready. */
  readonly decoder: AudioDecoder;
  readonly counts: MediaCounts;
  readonly create: () => Processor<RtpPacket, Out>;
  /** When it is looked whether packets come; each {@link stallCheckMs} in order with the packets. @default by a timer */
  readonly looks$?: Observable<unknown> | undefined;
}

/** How often it is looked whether packets come. */
export const stallCheckMs = 125;
/**
 * A caller of whom none came between this many looks has fallen silent: muted, or cut off. One look is not enough: after
 * the main thread was held up, it comes before the packets that wait to be read.
 */
const stallChecks = 2;

/** Packets that may arrive before the decoder is ready: about half a second. The oldest are dropped beyond. */
const maxEarlyPackets = 32;

/**
 * Parses packets, holds those that come before the decoder is ready, and hands them on in order of arrival. Bad packets are
 * counted in `counts`, never thrown; the stream errors only if the decoder cannot be made.
 *
 * Where packets stop coming, the processor is told to pause. That is told by wall time, but moves no position: the media
 * clock goes on with the next packet's timestamp.
 */
export function packetPipeline<Out>(options: PacketPipelineOptions<Out>): OperatorFunction<RawRtp, Out> {
  const { audioLevelExtensionId, decoder, counts, create, looks$ = interval(stallCheckMs) } = options;
  return (source) =>
    new Observable((subscriber) => {
      const stalled$ = new Subject<void>();
      const parser = new RtpParser(counts, audioLevelExtensionId);
      const outputs$ = source.pipe(
        stage(() => parser),
        holdUntilReady(decoder, counts),
        stage(create, stalled$),
      );
      let arrivedBefore = 0;
      // As if it had stalled already: nothing is held back before the first packet.
      let silentChecks = stallChecks;
      subscriber.add(
        looks$.subscribe(() => {
          // Not those that were received, for some may be gathering.
          silentChecks = parser.arrived === arrivedBefore ? silentChecks + 1 : 0;
          arrivedBefore = parser.arrived;
          if (silentChecks === stallChecks) stalled$.next();
        }),
      );
      subscriber.add(outputs$.subscribe(subscriber));
    });
}

/** Parses packets, and counts those that are no RTP. */
class RtpParser implements Processor<RawRtp, RtpPacket> {
  /** Packets so far, whatever became of them. */
  arrived = 0;
  readonly #counts: MediaCounts;
  readonly #audioLevelExtensionId: number | undefined;

  constructor(counts: MediaCounts, audioLevelExtensionId: number | undefined) {
    this.#counts = counts;
    this.#audioLevelExtensionId = audioLevelExtensionId;
  }

  process(raw: RawRtp, emit: Emit<RtpPacket>): void {
    this.arrived += 1;
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
