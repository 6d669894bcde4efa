// Plays one speaker's clips after one another through decoder, extractor and speech detector, as one caller of a call.
import { createDecoder } from '../../src/pipeline/codec.ts';
import { FeatureExtractor, frameSamples, hopSamples } from '../../src/pipeline/feature-extractor.ts';
import { featureCount } from '../../src/pipeline/mel.ts';
import { SpeechDetector, type DetectedSpeech } from '../../src/pipeline/speech-detector.ts';
import { readOggOpus } from '../audio/ogg-opus.ts';

/** Frames of one clip. */
export interface ClipFrames {
  /** `[frames][104]` row-major: log-mel, then MFCC, not normalised. */
  readonly frames: Float32Array;
  /** 1 where the detector heard speech, `[frames]`. */
  readonly flags: Uint8Array;
}

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
/** Silence between clips; longer than the detector needs to end an utterance. */
const pauseSamples = 9_600;

/** The state of one caller from clip to clip: the detector's noise floor goes on, as it does in a call. */
export class SpeakerStream {
  readonly #extractor = new FeatureExtractor();
  readonly #detector = new SpeechDetector();
  #position = 0;

  /**
   * Plays a clip and a pause, and returns the frames that lie within the clip.
   * @throws Error if the file is not Ogg Opus.
   */
  async play(file: Uint8Array): Promise<ClipFrames> {
    const samples = await decodeOggOpus(file);
    const firstFrame = Math.ceil(this.#position / hopSamples);
    const endFrame = Math.floor((this.#position + samples.length - frameSamples) / hopSamples) + 1;
    const count = Math.max(0, endFrame - firstFrame);
    const frames = new Float32Array(count * featureCount);
    const flags = new Uint8Array(count);
    const take = (output: DetectedSpeech): void => {
      if (output.kind !== 'frame') return;
      const { index, logMel, mfcc, speech } = output.frame;
      const row = index - firstFrame;
      if (row < 0 || row >= count) return;
      frames.set(logMel, row * featureCount);
      frames.set(mfcc, row * featureCount + logMel.length);
      flags[row] = Number(speech);
    };
    this.#push(samples, take);
    this.#push(new Float32Array(pauseSamples), take);
    return { frames, flags };
  }

  #push(samples: Float32Array, take: (output: DetectedSpeech) => void): void {
    this.#extractor.process({ startSample: this.#position, samples, concealed: false, arrivalMs: 0 }, (frame) => {
      this.#detector.process(frame, take);
    });
    this.#position += samples.length;
  }
}

/** Decodes a whole Ogg Opus file to 16 kHz mono with the decoder that serves. */
export async function decodeOggOpus(file: Uint8Array): Promise<Float32Array> {
  const { packets, preSkipSamples48k, granuleEnd48k } = readOggOpus(file);
  const decoder = createDecoder(codec);
  await decoder.ready;
  try {
    const parts = packets.map((packet) => decoder.decode(packet).samples);
    const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all.subarray(Math.round(preSkipSamples48k / 3), Math.round(granuleEnd48k / 3));
  } finally {
    decoder.close();
  }
}
