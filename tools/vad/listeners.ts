// The voice-activity detectors that are compared: what each says of a call, frame by frame, and the utterances it makes of it.
import { FeatureExtractor, type RawFrame } from '../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../src/pipeline/speech-detector.ts';
import { shippedVoiceNetwork } from '../../src/pipeline/voice-model.ts';
import { pairFrames, VoiceSequence } from '../../src/pipeline/voice-sequence.ts';
import { levelDb } from './labels.ts';
import type { Silero } from './silero.ts';
import { sileroFrames } from './silero.ts';
import { SnrActivity, snrUtterances } from './snr-activity.ts';
import { hysteresis, type Utterance } from './utterances.ts';

/** What a detector says of a call. */
export interface Heard {
  /** A score of each frame. */
  readonly scores: Float32Array;
  /** Null where it makes none. */
  readonly utterances: readonly Utterance[] | null;
}

/** Frames without speech that end an utterance, of all of them. */
export const endFrames = 40;
/** Silero's own thresholds. */
const sileroOn = 0.5;
const sileroOff = 0.35;

/** All frames of a call. The arrays are copies. */
export function framesOf(samples: Float32Array): RawFrame[] {
  const frames: RawFrame[] = [];
  new FeatureExtractor().process({ startSample: 0, samples, concealed: false, arrivalMs: 0 }, (frame) => {
    frames.push({ ...frame, logMel: frame.logMel.slice(), mfcc: frame.mfcc.slice() });
  });
  return frames;
}

/** Ours: the network's probabilities, and the utterances of {@link SpeechDetector}. */
export function hearOurs(frames: readonly RawFrame[]): Heard {
  const scores = new Float32Array(frames.length);
  const sequence = new VoiceSequence();
  const network = shippedVoiceNetwork();
  const state = network.createState();
  const said = new Float32Array(pairFrames);
  const detector = new SpeechDetector();
  const utterances: { start: number; end: number }[] = [];
  const take: Parameters<SpeechDetector['process']>[1] = (output) => {
    if (output.kind !== 'change') return;
    const last = utterances.at(-1);
    if (output.state === 'start') utterances.push({ start: output.frameIndex, end: frames.length });
    else if (last !== undefined) last.end = output.frameIndex;
  };
  for (const frame of frames) {
    detector.process(frame, take);
    const pair = sequence.take(frame);
    if (pair === null || pair.index < 2 * pairFrames - 1) continue;
    if (pair.heard) network.step(pair.inputs, state, said);
    else said.fill(0);
    scores.set(said, pair.index + 1 - 2 * pairFrames);
  }
  detector.flush(take);
  return { scores, utterances };
}

/** What served before. */
export function hearSnr(frames: readonly RawFrame[]): Heard {
  const activity = new SnrActivity();
  const taken = frames.map((frame) => activity.take(frame));
  return { scores: Float32Array.from(taken, ({ snrDb }) => snrDb), utterances: snrUtterances(taken.map(({ active }) => active)) };
}

/** The level alone. */
export function hearLevel(frames: readonly RawFrame[]): Heard {
  return { scores: Float32Array.from(frames, ({ logMel }) => levelDb(logMel)), utterances: null };
}

/** Silero on calls side by side; `frames` of each. */
export async function hearSilero(silero: Silero, calls: readonly Float32Array[], frames: readonly number[]): Promise<Heard[]> {
  const heard = await silero.hear(calls);
  return heard.map((probabilities, i) => {
    const scores = sileroFrames(probabilities, frames[i] ?? 0);
    return { scores, utterances: hysteresis(scores, sileroOn, sileroOff, endFrames) };
  });
}
