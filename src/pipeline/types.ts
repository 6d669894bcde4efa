// What flows through src/pipeline and what it hands on: packets, chunks, frames, windows, speech.
import type { TrackInfo } from '../sfu/types.ts';

/** Sample rate of all media positions and of all PCM in the pipeline, Hz. */
export const sampleRateHz = 16_000;

/** A parsed RTP packet (RFC 3550). `payload` has header extensions and padding taken off. */
export interface RtpPacket {
  /** 0 to 65535. */
  readonly sequenceNumber: number;
  /** 0 to 2^32 - 1, in the codec's clock. */
  readonly timestamp: number;
  readonly ssrc: number;
  readonly payloadType: number;
  readonly marker: boolean;
  readonly payload: Uint8Array;
  readonly arrivalMs: number;
  /** RFC 6464: 0 (loudest) to -127 dBov. */
  readonly audioLevelDbov?: number;
}

interface PlayoutSpan {
  /** Position on the track's media clock, samples at 16 kHz from the track's first packet. */
  readonly startSample: number;
  readonly sampleCount: number;
  /** Arrival of the packet that made this item available, ms. */
  readonly arrivalMs: number;
}

/** What a jitter buffer emits: spans that follow one another without hole or overlap. */
export type PlayoutItem =
  | (PlayoutSpan & {
      readonly kind: 'packet';
      readonly payload: Uint8Array;
      /** RFC 6464: 0 (loudest) to -127 dBov. */
      readonly audioLevelDbov?: number;
      /** Decoded for the decoder's sake alone: nobody heard what came before it, so its own sound is left out. */
      readonly warmUp?: boolean;
    })
  /** `next` is the payload of the packet that follows the lost media without a hole, in which FEC may be. */
  | (PlayoutSpan & { readonly kind: 'lost'; readonly next?: Uint8Array })
  | (PlayoutSpan & { readonly kind: 'dtx' });

/** Decoded audio. `samples` may be a view that the decoder reuses: copy what must outlive the call. */
export interface PcmChunk {
  readonly startSample: number;
  /** 16 kHz mono, [-1, 1]. */
  readonly samples: Float32Array;
  /** True where the samples were made up because media was lost or corrupt. */
  readonly concealed: boolean;
  readonly arrivalMs: number;
}

/** One 25 ms analysis frame, every 10 ms. The arrays may be reused by the extractor once `emit` returns. */
export interface FeatureFrame {
  /** Frame i covers samples [160 i, 160 i + 400). */
  readonly index: number;
  /** Natural logarithm of 64 mel-band energies. */
  readonly logMel: Float32Array;
  /** 40 cepstral coefficients of `logMel`. */
  readonly mfcc: Float32Array;
  /** 27 numbers: pitch in octaves from 150 Hz, how voiced, glide, and how periodic in 24 bands from 480 down to 60 Hz; where the model takes them. */
  readonly pitch?: Float32Array;
  /** Whether the voice-activity detector heard speech in it. */
  readonly speech: boolean;
  /** Share of the frame's hop that was concealed, 0 or 1. */
  readonly concealed: boolean;
  readonly arrivalMs: number;
}

/**
 * Normalised features lie in blocks as whole numbers of 1/4096 of a deviation: half the memory of floats, off by 1.2e-4 at
 * most. Clipped to 5 deviations, they fit.
 */
export const featureSteps = 4096;

/**
 * The frames of one hop between windows, normalised and gated. Complete with its last frame, and shared by every window that holds
 * it: never written to again while any of them may be scored, never transferred.
 */
export interface FeatureBlock {
  /** Row-major `[hopFrames][featureCount]`, in {@link featureSteps} of a deviation; zero outside speech, and where concealed. */
  readonly features: Int16Array;
  /** 1 for frames of speech that were heard and not concealed, else 0; `[hopFrames]`. */
  readonly mask: Float32Array;
  /** False once its memory holds another block, of the same caller: its window has waited for too long. @default true */
  readonly intact?: boolean;
}

/** Where blocks come from. */
export interface BlockSource {
  /** A block of zeros, to be written. */
  take(): FeatureBlock;
}

/** The model's input: the last frames of one track. */
export interface FeatureWindow {
  readonly track: TrackInfo;
  /** Media positions on the track's clock, samples at 16 kHz. */
  readonly startSample: number;
  readonly endSample: number;
  /** The frame, counted from the track's first, before which the window ends; a multiple of the hop between windows. */
  readonly endFrame: number;
  /** Frames between two windows that were in force when this one was made: the model's hop, or a multiple of it under overload. */
  readonly hopFrames: number;
  /** Frames that are scored. */
  readonly frameCount: number;
  /** Frames before those that reach into their score. */
  readonly contextFrames: number;
  readonly featureCount: number;
  /** The newest blocks of the track, oldest first, enough for context and window; null where nothing was heard in one. */
  readonly blocks: readonly (FeatureBlock | null)[];
  /** Share of the window's frames that are speech, 0 to 1. */
  readonly speechRatio: number;
  /** Share of the window's speech frames that were concealed, 0 to 1. */
  readonly concealedRatio: number;
  /** Arrival of the window's last packet, ms. */
  readonly arrivalMs: number;
}

/** Speech began or ended, at a position on the track's media clock. */
export interface SpeechChange {
  readonly track: TrackInfo;
  readonly state: 'start' | 'end';
  readonly atSample: number;
  readonly arrivalMs: number;
}

/** What the pipeline of one caller emits, in order of time. */
export type PipelineOutput =
  { readonly kind: 'window'; readonly window: FeatureWindow } | { readonly kind: 'speech'; readonly change: SpeechChange };

/** Media of a track that was lost with the thread that had it, and could not be measured. */
export interface MediaGap {
  readonly track: TrackInfo;
  readonly startSample: number;
  readonly endSample: number;
}

/** What is told of a caller, in whichever thread its pipeline runs: after a gap, speech begins anew. */
export type CallerOutput = PipelineOutput | { readonly kind: 'gap'; readonly gap: MediaGap };

/** Counts of one caller's media since its start; each packet in is counted once under one fate. */
export interface MediaCounts {
  received: number;
  played: number;
  late: number;
  duplicate: number;
  malformed: number;
  /** Not audio of this track's codec: another payload type, comfort noise. */
  ignored: number;
  /** Dropped because the buffer was full. */
  overflow: number;
  /** Sequence numbers that were not waited for any longer, less those that came after all and are `late`. */
  lost: number;
  decodeErrors: number;
  concealedSamples: number;
  /** Samples of lost packets that were decoded from the FEC in the next; they are not among those concealed. */
  recoveredSamples: number;
  /** Samples of silent packets that were not decoded; the packets are among those played. */
  skippedSamples: number;
}

/** How a caller's packets come, as of the newest one. */
export interface MediaLevels {
  /** Interarrival jitter (RFC 3550, 6.4.1), ms. */
  jitterMs: number;
  /** How long a missing packet is waited for, ms. */
  playoutDelayMs: number;
}

/** Where the running normalisation of a caller starts from; the 64 log-mel bands first, then the 40 cepstra, or 13 of them and the 27 numbers of the pitch. */
export interface NormalizationPrior {
  readonly mean: Float32Array;
  readonly std: Float32Array;
  /** How many of the caller's own speech frames the prior mean weighs as much as. */
  readonly meanWeightFrames: number;
  /** The same for the prior standard deviation. */
  readonly stdWeightFrames: number;
  /** Speech frames after which old ones fade out. */
  readonly memoryFrames: number;
}

/** The part of the model's manifest that fixes the front end. */
export interface FrontEndSpec {
  readonly windowFrames: number;
  /** Frames before a window that the network looks back on. */
  readonly contextFrames: number;
  readonly hopFrames: number;
  /** Least number of heard speech frames in a window that is scored. */
  readonly minSpeechFrames: number;
  /** Whether the pitch stands in place of the last 27 cepstra. @default false */
  readonly pitch?: boolean;
  readonly prior: NormalizationPrior;
}
