// Lifts one caller's front end into a stream: RTP packets in, model windows and speech changes out.
import type { OperatorFunction } from 'rxjs';
import type { AudioDecoder } from './audio-decoder.ts';
import { FrontEnd, type FrontEndOptions } from './front-end.ts';
import { createMediaCounts } from './media-counts.ts';
import { packetPipeline, type PacketPipelineOptions, type RawRtp } from './packet-pipeline.ts';
import type { PipelineOutput } from './types.ts';

/** What {@link callerPipeline} is built from. */
export interface CallerPipelineOptions extends Omit<FrontEndOptions, 'onFrame'>, Pick<PacketPipelineOptions<PipelineOutput>, 'looks$'> {
  /** A decoder for the track's codec; closed with the pipeline, also if it never became ready. */
  readonly decoder: AudioDecoder;
}

/** Takes packets through a {@link FrontEnd}. Where they stop coming, an open utterance ends. */
export function callerPipeline({ looks$, ...options }: CallerPipelineOptions): OperatorFunction<RawRtp, PipelineOutput> {
  const { track, decoder, counts = createMediaCounts() } = options;
  const { audioLevelExtensionId } = track;
  return packetPipeline({ audioLevelExtensionId, decoder, counts, looks$, create: () => new FrontEnd({ ...options, counts }) });
}
