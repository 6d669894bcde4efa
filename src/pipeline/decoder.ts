// Turns playout items into PCM: packets are decoded, losses concealed, silence filled in.
import type { Emit, Processor } from '../processor.ts';
import type { AudioDecoder } from './audio-decoder.ts';
import { createMediaCounts } from './media-counts.ts';
import type { MediaCounts, PcmChunk, PlayoutItem } from './types.ts';

/** Options of a {@link Decoder}. */
export interface DecoderOptions {
  /** Must be ready. The {@link Decoder} owns it from now on and closes it. */
  readonly decoder: AudioDecoder;
  /** Counts to add `decodeErrors`, `concealedSamples` and `recoveredSamples` to. @default all zero */
  readonly counts?: MediaCounts;
}

/** Longest run of loss that is concealed with sound (100 ms); after it comes silence. */
const concealLimitSamples = 1600;

/** Over the end of that run the concealment fades to nothing (40 ms). */
const fadeSamples = 640;

/** Longest chunk of silence, 1 s. */
const maxSilenceSamples = 16_000;

const silence = new Float32Array(maxSilenceSamples);

/**
 * Decodes one track. The chunks cover exactly the items' spans: `samples.length` is the item's `sampleCount`, or, for
 * lost and silent spans, adds up to it in chunks of at most 1 s (an hour of silence is 3,600 chunks of one shared array
 * of zeros, which must not be written to). `concealed` marks lost and corrupt media, not the sender's own silence, and not
 * what was lost but decoded from the FEC in the next packet, which is the caller's voice.
 */
export class Decoder implements Processor<PlayoutItem, PcmChunk> {
  readonly counts: MediaCounts;
  readonly #decoder: AudioDecoder;
  /** Samples lost since the last packet or silence. */
  #lostSamples = 0;

  constructor(options: DecoderOptions) {
    this.counts = options.counts ?? createMediaCounts();
    this.#decoder = options.decoder;
  }

  process(item: PlayoutItem, emit: Emit<PcmChunk>): void {
    switch (item.kind) {
      case 'packet':
        this.#lostSamples = 0;
        this.#decode(item, emit);
        return;
      case 'lost':
        this.#fill(item, emit);
        return;
      case 'dtx':
        this.#lostSamples = 0;
        emitSilence(item.startSample, item.sampleCount, item.arrivalMs, false, emit);
    }
  }

  flush(): void {
    // Nothing is held back.
  }

  close(): void {
    this.#decoder.close();
  }

  #decode(item: Extract<PlayoutItem, { kind: 'packet' }>, emit: Emit<PcmChunk>): void {
    const { samples, concealed } = this.#decoder.decode(item.payload);
    if (item.warmUp === true) {
      emitSilence(item.startSample, item.sampleCount, item.arrivalMs, false, emit);
      return;
    }
    if (concealed) {
      this.counts.decodeErrors++;
      this.counts.concealedSamples += item.sampleCount;
    }
    emit({ startSample: item.startSample, samples: fit(samples, item.sampleCount), concealed, arrivalMs: item.arrivalMs });
  }

  /** Fills lost media: from the FEC in the next packet as far as that reaches back, made up before. */
  #fill(item: Extract<PlayoutItem, { kind: 'lost' }>, emit: Emit<PcmChunk>): void {
    const { next, startSample, sampleCount, arrivalMs } = item;
    const fecSamples = next === undefined ? 0 : Math.min(sampleCount, this.#decoder.fecSamples(next));
    const madeUpSamples = sampleCount - fecSamples;
    this.#conceal({ startSample, sampleCount: madeUpSamples, arrivalMs }, emit);
    if (next === undefined || fecSamples === 0) return;
    const { samples, concealed } = this.#decoder.recover(next);
    this.#lostSamples = 0;
    this.counts[concealed ? 'concealedSamples' : 'recoveredSamples'] += fecSamples;
    emit({ startSample: startSample + madeUpSamples, samples: fit(samples, fecSamples), concealed, arrivalMs });
  }

  #conceal({ startSample, sampleCount, arrivalMs }: Omit<PlayoutItem, 'kind'>, emit: Emit<PcmChunk>): void {
    const soundSamples = Math.min(sampleCount, Math.max(0, concealLimitSamples - this.#lostSamples));
    if (soundSamples > 0) {
      const samples = this.#decoder.conceal(soundSamples);
      for (let i = 0; i < soundSamples; i++) {
        const gain = (concealLimitSamples - this.#lostSamples - i) / fadeSamples;
        if (gain < 1) samples[i] = (samples[i] ?? 0) * gain;
      }
      emit({ startSample, samples, concealed: true, arrivalMs });
    }
    this.#lostSamples += sampleCount;
    this.counts.concealedSamples += sampleCount;
    emitSilence(startSample + soundSamples, sampleCount - soundSamples, arrivalMs, true, emit);
  }
}

/**
 * Exactly that many samples. A packet that overlaps what was played keeps its end, for it is its start that was covered;
 * one that falls short is followed by silence.
 */
function fit(samples: Float32Array, sampleCount: number): Float32Array {
  if (samples.length === sampleCount) return samples;
  if (samples.length > sampleCount) return samples.subarray(samples.length - sampleCount);
  const padded = new Float32Array(sampleCount);
  padded.set(samples);
  return padded;
}

function emitSilence(startSample: number, sampleCount: number, arrivalMs: number, concealed: boolean, emit: Emit<PcmChunk>): void {
  for (let at = 0; at < sampleCount; at += maxSilenceSamples) {
    const samples = silence.subarray(0, Math.min(maxSilenceSamples, sampleCount - at));
    emit({ startSample: startSample + at, samples, concealed, arrivalMs });
  }
}
