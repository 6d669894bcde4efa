// Plays one caller's clips, as they are or under the conditions of a copy, and gives the features of each.
import { join } from 'node:path';
import { convolve, minimumPhaseFilter } from '../audio/filter.ts';
import { speechPower } from '../audio/level.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import { changeVoice } from '../audio/stretch.ts';
import type { Random } from '../callers/random.ts';
import { conditionText, drawCondition, equalizerGain, randomOf, type CallerCondition } from './condition.ts';
import { Ear, type ClipFrames, type Span } from './hear.ts';
import { babble, colours, createNoise, fadeEnds, type NoiseKind, type Voice } from './noise.ts';
import { roomResponse, type Room } from './rooms.ts';
import { lineDelaySamples, transmit } from './transmit.ts';

/** One caller to play. */
export interface CallerJob {
  /** Names the caller, and with the seed decides all that is drawn. */
  readonly caller: string;
  /** 0 plays the clips as they are. */
  readonly copy: number;
  /** Paths in the order of the corpus, relative to its folder. */
  readonly paths: readonly string[];
  /** Clips that babble may be made from, none of them of the caller's speaker. */
  readonly voices: readonly { readonly speaker: string; readonly path: string }[];
}

/** What all callers share. */
export interface CallerContext {
  readonly data: string;
  readonly seed: number;
  readonly rooms: readonly Room[];
  /** Kinds of recorded noise. */
  readonly noises: readonly NoiseKind[];
}

/** The features of a caller's clips, in the order of the job's paths. */
export interface CallerFeatures {
  readonly clips: readonly ClipFrames[];
  readonly condition: string;
}

/** Silence between clips; longer than the detector needs to end an utterance. */
const pauseSamples = 9600;
/** Fewer other voices than these make no babble. */
const leastVoices = 8;
/** How far the ratio of a clip's noise may be from the caller's. */
const ratioSpreadDb = 3;
const sampleRateHz = 16_000;

/** Plays a caller. What comes out depends on the job, the seed and the files alone. */
export async function playCaller(job: CallerJob, context: CallerContext): Promise<CallerFeatures> {
  const clips: Float32Array[] = [];
  for (const path of job.paths) clips.push(await samplesOf(await readRecording(join(context.data, path))));
  if (job.copy === 0) {
    const { samples, spans } = layOut(clips);
    const ear = new Ear(spans);
    ear.hear({ startSample: 0, samples, concealed: false, arrivalMs: 0 });
    return { clips: ear.end(), condition: '' };
  }
  const drawn = (purpose: string): Random => randomOf(context.seed, `${purpose} ${job.caller}`);
  const condition = drawCondition(drawn('condition'), {
    rooms: context.rooms.map(({ name }) => name),
    noises: noisesFor(job, context),
  });
  const order = shuffled(
    clips.map((_, i) => i),
    drawn('order'),
  );
  const { samples, spans } = layOut(order.map((i) => changeVoice(clips[i] ?? new Float32Array(), condition)));
  const heard = await surround(samples, spans, condition, job, context);
  const delay = lineDelaySamples(condition.codec);
  const ear = new Ear(spans.map(({ startSample, sampleCount }) => ({ startSample: startSample + delay, sampleCount })));
  await transmit(heard, condition, drawn('loss'), (chunk) => {
    ear.hear(chunk);
  });
  const played = ear.end();
  const ordered: ClipFrames[] = [];
  order.forEach((clip, i) => {
    const frames = played[i];
    if (frames !== undefined) ordered[clip] = frames;
  });
  return { clips: ordered, condition: conditionText(condition) + voicesText(condition, job) };
}

/** Whose voices a babble holds: a fold that tests on one of them must not train on it. */
function voicesText({ noise }: CallerCondition, { voices }: CallerJob): string {
  return noise?.kind.source === 'voices' ? ` voices:${[...new Set(voices.map(({ speaker }) => speaker))].toSorted().join('+')}` : '';
}

/** Kinds of noise to draw from: recordings, colours and babble, each group as often as another. */
function noisesFor(job: CallerJob, { noises }: CallerContext): readonly (readonly NoiseKind[])[] {
  return [noises, colours, job.voices.length >= leastVoices ? [babble] : []].filter(({ length }) => length > 0);
}

/** Clips one after another, each followed by a pause. */
function layOut(clips: readonly Float32Array[]): { samples: Float32Array; spans: Span[] } {
  const samples = new Float32Array(clips.reduce((sum, clip) => sum + clip.length + pauseSamples, 0));
  const spans: Span[] = [];
  let at = 0;
  for (const clip of clips) {
    samples.set(clip, at);
    spans.push({ startSample: at, sampleCount: clip.length });
    at += clip.length + pauseSamples;
  }
  return { samples, spans };
}

/** The room and the noise around a caller, and the microphone that hears it all. */
async function surround(
  voice: Float32Array,
  spans: readonly Span[],
  condition: CallerCondition,
  job: CallerJob,
  context: CallerContext,
): Promise<Float32Array> {
  const room = context.rooms.find(({ name }) => name === condition.room?.name);
  const inRoom = room === undefined || condition.room === null ? voice : convolve(voice, await roomResponse(room, condition.room.wetShare));
  if (condition.noise !== null) {
    const random = randomOf(context.seed, `noise ${job.caller}`);
    const others = job.voices.map(({ path }): Voice => {
      return async () => samplesOf(await readRecording(join(context.data, path)));
    });
    const noise = createNoise(condition.noise.kind, others);
    const levelDb = speechLevelDb(inRoom, spans);
    for (const [i, { startSample }] of spans.entries()) {
      const end = spans[i + 1]?.startSample ?? inRoom.length;
      const ratioDb = condition.noise.ratioDb + (2 * random() - 1) * ratioSpreadDb;
      const stretch = await noise(end - startSample, random);
      fadeEnds(stretch);
      const gain = 10 ** ((levelDb - ratioDb) / 20);
      for (let at = 0; at < stretch.length; at++) inRoom[startSample + at] = (inRoom[startSample + at] ?? 0) + gain * (stretch[at] ?? 0);
    }
  }
  const gain = 10 ** (condition.gainDb / 20);
  const microphone = minimumPhaseFilter((hz) => gain * equalizerGain(condition.equalizer, hz), sampleRateHz);
  const heard = convolve(inRoom, microphone);
  for (let i = 0; i < heard.length; i++) heard[i] = Math.max(-1, Math.min(1, heard[i] ?? 0));
  return heard;
}

/** Mean level of a caller's clips while they speak, dB of full scale: each clip counts the same, be it loud or soft. */
function speechLevelDb(samples: Float32Array, spans: readonly Span[]): number {
  const powers = spans
    .map(({ startSample, sampleCount }) => speechPower(samples.subarray(startSample, startSample + sampleCount)))
    .filter((power) => power > 0);
  return powers.length === 0 ? -Infinity : (10 * powers.reduce((sum, power) => sum + Math.log10(power), 0)) / powers.length;
}

/** Fisher and Yates' shuffle, of a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const order = [...items];
  for (let i = order.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const [a, b] = [order[i], order[j]];
    if (a !== undefined && b !== undefined) [order[i], order[j]] = [b, a];
  }
  return order;
}
