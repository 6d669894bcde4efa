// Plays a caller whose speech is known, under drawn conditions, as the voice-activity network hears it, with labels.
import { join } from 'node:path';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { voiceInputCount } from '../../src/pipeline/voice-inputs.ts';
import { pairFrames, VoiceSequence } from '../../src/pipeline/voice-sequence.ts';
import { readRecording, samplesOf } from '../audio/recording.ts';
import { changeVoice } from '../audio/stretch.ts';
import type { Random } from '../callers/random.ts';
import { conditionText, drawCondition, type CallerCondition } from '../features/condition.ts';
import { pick, randomOf, shuffled } from '../features/draw.ts';
import type { Span } from '../features/hear.ts';
import { babble, colours, createNoise, fadeEnds, type Noise, type NoiseKind } from '../features/noise.ts';
import { roomResponse, type Room } from '../features/rooms.ts';
import { fillPauses } from './room-tone.ts';
import { surround } from '../features/surroundings.ts';
import { lineDelaySamples, transmit } from '../features/transmit.ts';
import { speechLabels } from './labels.ts';
import { tones } from './tones.ts';

/** One caller to play. */
export interface TrackJob {
  /** Names the caller, and with the seed decides all that is drawn. */
  readonly name: string;
  /** Clips of one speaker, paths in the corpus; none where nobody speaks all along. */
  readonly paths: readonly string[];
  /** Clips of others, for babble. */
  readonly others: readonly string[];
}

/** What all callers share. */
export interface TrackContext {
  readonly data: string;
  readonly seed: number;
  readonly rooms: readonly Room[];
  readonly noises: readonly NoiseKind[];
  /** Share of the noisy calls in which another noise, far louder or softer, sets in with each clip. */
  readonly suddenShare: number;
}

/** A caller as the network hears it. */
export interface Track {
  /** `[pairs][2][voiceInputCount]`, only the pairs that the network hears. */
  readonly inputs: Float32Array;
  /** `[pairs][2]`: what it is to say at each pair, which is of the pair before: 0 none, 1 speech, 2 not asked. */
  readonly targets: Uint8Array;
  readonly condition: string;
}

const hopSamples = 160;
const tonal: NoiseKind = { name: 'tones', source: 'recordings', files: [] };
const share = { noise: 0.85, dtx: 0.15, longPause: 0.12, tones: 0.2, emptyPause: 0.3, roomTone: 0.8, gateOpens: 0.004 };
/** Speech over noise, dB; other voices only where they are clearly behind. */
const ratioDb = { least: -5, most: 30, leastOfVoices: 10 };
const gainDb = { least: -35, most: 6 };
/** Where noise comes and goes, how far its level may be from the call's at each clip. */
const suddenDb = 15;
/** Silence shorter than this is sent on by a sender with DTX, and so is this much after speech. */
const dtxFrames = 20;

/** A call of clips with pauses, and where somebody speaks in it, by frame. */
export interface LaidOut {
  readonly samples: Float32Array;
  readonly labels: Uint8Array;
  readonly spans: readonly Span[];
}

/** Clips one after another, each from a frame's first sample on; `pauseFrames` gives the pauses, the first before all. */
export function layOut(clips: readonly Float32Array[], pauseFrames: () => number): LaidOut {
  const placed: { readonly clip: Float32Array; readonly frame: number }[] = [];
  let frames = pauseFrames();
  for (const clip of clips) {
    placed.push({ clip, frame: frames });
    frames += Math.ceil(clip.length / hopSamples) + pauseFrames();
  }
  const samples = new Float32Array(frames * hopSamples);
  const labels = new Uint8Array(frames);
  for (const { clip, frame } of placed) {
    samples.set(clip, frame * hopSamples);
    labels.set(speechLabels(clip), frame);
  }
  return { samples, labels, spans: placed.map(({ clip, frame }) => ({ startSample: frame * hopSamples, sampleCount: clip.length })) };
}

/** Seconds of a call in which nobody speaks, and its level, dB of full scale. */
const emptySeconds = 60;
const emptyDb = { least: -65, most: -12 };

/** Plays a call in which nobody speaks: the room, a machine, or music on hold, with pauses or without. */
async function playEmpty(job: TrackJob, context: TrackContext): Promise<Track> {
  const random = randomOf(context.seed, `empty ${job.name}`);
  const condition = drawCondition(random, { rooms: [], noises: [] });
  const kind = pick(random, pick(random, [[tonal], context.noises, colours]) ?? []) ?? tonal;
  const make = noiseOf(kind, job, context);
  const samples = new Float32Array(emptySeconds * 100 * hopSamples);
  for (let at = 0; at < samples.length;) {
    const count = Math.min(samples.length - at, Math.round((2 + 18 * random()) * 100) * hopSamples);
    const gain = 10 ** ((emptyDb.least + random() * (emptyDb.most - emptyDb.least)) / 20);
    const stretch = await make(count, random);
    fadeEnds(stretch);
    for (let i = 0; i < count; i += 1) samples[at + i] = Math.max(-1, Math.min(1, gain * (stretch[i] ?? 0)));
    at += count + (random() < share.emptyPause ? 100 * hopSamples : 0);
  }
  const sequence = new Sequence(new Uint8Array(0), 0);
  await transmit(samples, condition, random, (chunk) => {
    sequence.hear(chunk);
  });
  return { ...sequence.end(), condition: `nobody ${kind.name}` };
}

/** Plays a caller. What comes out depends on the job, the seed and the files alone. */
export async function playTrack(job: TrackJob, context: TrackContext): Promise<Track> {
  if (job.paths.length === 0) return playEmpty(job, context);
  const drawn = (purpose: string): Random => randomOf(context.seed, `${purpose} ${job.name}`);
  const random = drawn('track');
  const condition = drawConditions(job, context, random);
  const clips: Float32Array[] = [];
  for (const path of shuffled(job.paths, random)) {
    clips.push(changeVoice(await samplesOf(await readRecording(join(context.data, path))), condition));
  }
  const pause = (): number => Math.round(100 * (random() < share.longPause ? 3 + 9 * random() : 0.2 + 1.3 * random()));
  const { samples, labels, spans } = layOut(clips, pause);
  if (random() < share.roomTone) fillPauses(samples, labels, spans, random);
  const place = context.rooms.find(({ name }) => name === condition.room?.name);
  const heard = await surround(
    samples,
    spans,
    {
      room: condition.room === null || place === undefined ? null : await roomResponse(place, condition.room.wetShare),
      noise: condition.noise === null ? null : noiseOfCall(condition.noise, job, context, drawn('sudden')),
    },
    condition,
    drawn('noise'),
  );
  const dtx = random() < share.dtx;
  if (dtx) silencePauses(heard, labels, random);
  const sequence = new Sequence(labels, Math.round(lineDelaySamples(condition.codec) / hopSamples));
  await transmit(heard, condition, drawn('loss'), (chunk) => {
    sequence.hear(chunk);
  });
  return { ...sequence.end(), condition: `${conditionText(condition)}${dtx ? ' dtx' : ''}` };
}

function drawConditions(job: TrackJob, { rooms, noises }: TrackContext, random: Random): CallerCondition {
  const kinds = random() < share.tones ? [[tonal]] : [noises, noises, colours, job.others.length > 0 ? [babble] : colours];
  const chosen = drawCondition(random, { rooms: rooms.map(({ name }) => name), noises: [] });
  const kind = pick(random, pick(random, kinds) ?? []);
  const least = kind?.source === 'voices' ? ratioDb.leastOfVoices : ratioDb.least;
  const noisy = random() < share.noise && kind !== undefined;
  return {
    ...chosen,
    gainDb: gainDb.least + random() * (gainDb.most - gainDb.least),
    noise: noisy ? { kind, ratioDb: least + random() * (ratioDb.most - least) } : null,
  };
}

/** The noise of a call: for some it is the same throughout, for others another sets in with each clip, far louder or softer. */
function noiseOfCall(
  { kind, ratioDb: ratio }: NonNullable<CallerCondition['noise']>,
  job: TrackJob,
  context: TrackContext,
  random: Random,
) {
  if (random() >= context.suddenShare) return { make: noiseOf(kind, job, context), ratioDb: ratio };
  const kinds = kind.source === 'recordings' && kind !== tonal ? context.noises : [kind];
  const make: Noise = (count, own) => noiseOf(pick(own, kinds) ?? kind, job, context)(count, own);
  return { make, ratioDb: ratio, spreadDb: suddenDb };
}

function noiseOf(kind: NoiseKind, job: TrackJob, { data }: TrackContext): Noise {
  if (kind.name === 'tones') return (count, random) => Promise.resolve(tones(count, random));
  return createNoise(
    kind,
    job.others.map((path) => async () => samplesOf(await readRecording(join(data, path)))),
  );
}

/**
 * Digital silence in the pauses, as a sender with DTX or a gate makes it. The gate opens up to half a second before speech, and at
 * times for none, so that its opening says nothing.
 */
function silencePauses(samples: Float32Array, labels: Uint8Array, random: Random): void {
  let since = dtxFrames;
  let aheadFrames = 3;
  let openFrames = 0;
  for (let frame = 0; frame < labels.length; frame += 1) {
    const near = labels.subarray(frame, frame + aheadFrames).includes(1);
    if (openFrames > 0) openFrames -= 1;
    else if (random() < share.gateOpens) openFrames = Math.round(10 + 90 * random());
    if (near || openFrames > 0) since = 0;
    else if (since === dtxFrames) aheadFrames = Math.round(3 + 47 * random() ** 2);
    if (!near && openFrames === 0) since += 1;
    if (since > dtxFrames) samples.fill(0, frame * hopSamples + 2 * hopSamples, (frame + 1) * hopSamples + 2 * hopSamples);
  }
}

/** What the network hears of a call, and what it is to say. */
class Sequence {
  readonly #extractor = new FeatureExtractor();
  readonly #sequence = new VoiceSequence();
  readonly #labels: Uint8Array;
  readonly #delayFrames: number;
  readonly #inputs: Float32Array[] = [];
  readonly #targets: number[] = [];
  readonly #concealed: boolean[] = [];

  constructor(labels: Uint8Array, delayFrames: number) {
    this.#labels = labels;
    this.#delayFrames = delayFrames;
  }

  hear(chunk: Parameters<FeatureExtractor['process']>[0]): void {
    this.#extractor.process(chunk, (frame) => {
      this.#concealed.push(frame.concealed);
      const pair = this.#sequence.take(frame);
      if (pair?.heard !== true) return;
      this.#inputs.push(pair.inputs.slice());
      for (let i = 0; i < pairFrames; i += 1) this.#targets.push(this.#target(pair.index + 1 - 2 * pairFrames + i));
    });
  }

  end(): Pick<Track, 'inputs' | 'targets'> {
    const inputs = new Float32Array(this.#inputs.length * pairFrames * voiceInputCount);
    this.#inputs.forEach((pair, i) => {
      inputs.set(pair, i * pair.length);
    });
    return { inputs, targets: Uint8Array.from(this.#targets) };
  }

  #target(frame: number): number {
    if (frame < 0 || this.#concealed[frame] === true) return 2;
    return this.#labels[frame - this.#delayFrames] ?? 0;
  }
}
