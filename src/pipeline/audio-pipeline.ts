// Lifts an audio receiver into a stream: RTP packets in, decoded and correctly timed audio out.
import { map, type OperatorFunction } from 'rxjs';
import type { TrackInfo } from '../sfu/types.ts';
import { AudioReceiver, type AudioReceiverOptions } from './audio-receiver.ts';
import { MediaClock } from './media-clock.ts';
import { createMediaCounts } from './media-counts.ts';
import { packetPipeline, type RawRtp } from './packet-pipeline.ts';
import type { PcmChunk } from './types.ts';

/** A piece of what a participant said. Pieces follow one another without hole or overlap. */
export interface TimedAudio extends Pick<PcmChunk, 'startSample' | 'concealed'> {
  /** Wall time at which it was said, late by the network's least delay, ms since the Unix epoch. */
  readonly startedAtUnixMs: number;
  /** 16 kHz mono, [-1, 1]; yours to keep. */
  readonly samples: Float32Array;
}

/** What {@link audioPipeline} is built from. */
export interface AudioPipelineOptions extends Omit<AudioReceiverOptions, 'codec'> {
  readonly track: Pick<TrackInfo, 'codec' | 'audioLevelExtensionId'>;
}

/**
 * Turns the packets of a tap into its audio. It lasts as long as what was said, whatever the network did: five minutes stay
 * five minutes. What was lost is made up for 100 ms at most and marked as `concealed`; what was not sent (DTX, mute) is
 * zeros, in pieces of at most a second, which come with the next packet, or, where silence
 * lasts, with a packet within 240 ms. The decoder is closed with the stream.
 */
export function audioPipeline(options: AudioPipelineOptions): OperatorFunction<RawRtp, TimedAudio> {
  const { track, decoder, counts = createMediaCounts(), clock = new MediaClock(), ...others } = options;
  const { codec, audioLevelExtensionId } = track;
  const receiver = { ...others, codec, decoder, counts, clock };
  return (source) =>
    source.pipe(
      packetPipeline({ audioLevelExtensionId, decoder, counts, create: () => new AudioReceiver(receiver) }),
      map(({ startSample, samples, concealed }) => {
        return { startSample, startedAtUnixMs: clock.wallMsOf(startSample), samples: samples.slice(), concealed };
      }),
    );
}
