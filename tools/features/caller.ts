// Plays one caller's clips, as they are or under the conditions of a copy, and gives the features of each.
import { join } from 'node:path';
import { readRecording, samplesOf } from '../audio/recording.ts';
import { changeVoice } from '../audio/stretch.ts';
import type { Random } from '../callers/random.ts';
import { conditionText, drawCondition, type CallerCondition } from './condition.ts';
import { randomOf, shuffled } from './draw.ts';
import { Ear, type ClipFrames, type Span } from './hear.ts';
import { babble, colours, createNoise, type NoiseKind, type Voice } from './noise.ts';
import { roomResponse, type Room } from './rooms.ts';
import { surround, type Surroundings } from './surroundings.ts';
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
  /** Whether the pitch stands in place of the last cepstra. */
  readonly pitch: boolean;
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

/** Plays a caller. What comes out depends on the job, the seed and the files alone. */
export async function playCaller(job: CallerJob, context: CallerContext): Promise<CallerFeatures> {
  const clips: Float32Array[] = [];
  for (const path of job.paths) clips.push(await samplesOf(await readRecording(join(context.data, path))));
  if (job.copy === 0) {
    const { samples, spans } = layOut(clips);
    const ear = new Ear(spans, context.pitch);
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
  const surroundings = await findSurroundings(condition, job, context);
  const heard = await surround(samples, spans, surroundings, condition, drawn('noise'));
  const delay = lineDelaySamples(condition.codec);
  const ear = new Ear(
    spans.map(({ startSample, sampleCount }) => ({ startSample: startSample + delay, sampleCount })),
    context.pitch,
  );
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

/** Kinds of noise to draw from: recordings and colours, each twice as often as babble. */
function noisesFor(job: CallerJob, { noises }: CallerContext): readonly (readonly NoiseKind[])[] {
  return [noises, noises, colours, colours, job.voices.length >= leastVoices ? [babble] : []].filter(({ length }) => length > 0);
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

async function findSurroundings({ room, noise }: CallerCondition, job: CallerJob, context: CallerContext): Promise<Surroundings> {
  const place = context.rooms.find(({ name }) => name === room?.name);
  const others = job.voices.map(({ path }): Voice => {
    return async () => samplesOf(await readRecording(join(context.data, path)));
  });
  return {
    room: room === null || place === undefined ? null : await roomResponse(place, room.wetShare),
    noise: noise === null ? null : { make: createNoise(noise.kind, others), ratioDb: noise.ratioDb },
  };
}
