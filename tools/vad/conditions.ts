// The calls that voice activity is measured on: a corpus's clips as they are, in noise, and over a line.
import { join } from 'node:path';
import type { PcmChunk } from '../../src/pipeline/types.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import type { CorpusClip } from '../corpus/corpus.ts';
import { addNoise, whiteNoise, type NoiseSource } from '../evaluate/noise.ts';
import type { CallCodec } from '../features/condition.ts';
import { randomOf, shuffled } from '../features/draw.ts';
import { lineDelaySamples, transmit } from '../features/transmit.ts';
import { speechLabels } from './labels.ts';
import { fillPauses } from './room-tone.ts';
import { layOut } from './track.ts';

/** What is done to a call. */
export interface Condition {
  readonly name: string;
  readonly noise: NoiseSource;
  /** Speech over noise, dB. */
  readonly ratioDb: number;
  readonly codec: CallCodec | null;
}

/** A call of one speaker. */
export interface Call {
  readonly clean: Float32Array;
  /** As it is heard, 16 kHz. */
  readonly heard: Float32Array;
  /** Energy's labels, of the clean call's frames. */
  readonly labels: Uint8Array;
  /** The same with the threshold between speech and room lower and higher by {@link shiftDb}. */
  readonly shifted: readonly Uint8Array[];
  /** Frames by which what is heard is later than the clean call. */
  readonly delayFrames: number;
}

const seed = 7;
/** By this much a label's threshold could as well lie elsewhere, dB. */
export const shiftDb = 3;
/** Noise so far below each clip's speech is next to none; the room of each clip goes on through the pauses anyway, dB. */
const quietRoomDb = 60;

/** A quiet room. */
export const quiet: Condition = { name: 'clean', noise: whiteNoise, ratioDb: quietRoomDb, codec: null };

/** A speaker's clips one after another, with pauses of 0.6 to 1.6 s, under a condition; the same each time. */
export async function makeCall(folder: string, clips: readonly CorpusClip[], condition: Condition): Promise<Call> {
  const name = clips[0]?.speaker ?? '';
  const random = randomOf(seed, `call ${name}`);
  const read: Float32Array[] = [];
  for (const { path } of shuffled(clips, random)) read.push(await samplesOf(await readRecording(join(folder, path))));
  const { samples, labels, spans } = layOut(read, () => Math.round(60 + 100 * random()));
  fillPauses(samples, labels, spans, random);
  const shifted = [-shiftDb, shiftDb].map((by) => {
    const own = new Uint8Array(labels.length);
    spans.forEach(({ startSample }, i) => {
      own.set(speechLabels(read[i] ?? new Float32Array(), by), startSample / 160);
    });
    return own;
  });
  const noisy = new Float32Array(samples.length);
  const noiseRandom = randomOf(seed, `noise ${name}`);
  let at = 0;
  for (const [i] of spans.entries()) {
    // The first stretch holds the pause before the first clip too.
    const end = spans[i + 1]?.startSample ?? samples.length;
    noisy.set(addNoise(samples.subarray(at, end), await condition.noise(end - at, noiseRandom), condition.ratioDb), at);
    at = end;
  }
  const heard = new Float32Array(samples.length);
  await transmit(
    noisy,
    { codec: condition.codec, loss: null },
    randomOf(seed, `line ${name}`),
    ({ startSample, samples: own }: PcmChunk) => {
      heard.set(own.subarray(0, Math.max(0, heard.length - startSample)), startSample);
    },
  );
  return { clean: samples, heard, labels, shifted, delayFrames: Math.round(lineDelaySamples(condition.codec) / 160) };
}
