// The runs of an evaluation: the same clips through the live pipeline, in calls of one kind or another.
import { sharpen, verdictWeight } from '../../src/models/calibrate.ts';
import { createRandom } from '../callers/random.ts';
import type { CorpusClip } from '../corpus/corpus.ts';
import type { Choice, Part } from './choose.ts';
import type { Verdict } from './figures.ts';
import { hear, type Call, type ClipWindow, type HeardClip } from './hear.ts';
import { callPauseMs, shuffled } from './line.ts';
import type { NoiseSource } from './noise.ts';
import type { EvaluationOptions } from './options.ts';

/** A clip that was heard, and what is known of it. */
export interface Heard extends Pick<Verdict, 'speaker' | 'sex' | 'truth'>, Omit<HeardClip, 'clip'> {
  /** Of the corpus folder; the same clip has the same in every run. */
  readonly path: string;
  /** The model that was asked. */
  readonly model: string;
  /** Confidence below which that model's product says "uncertain". */
  readonly uncertainBelow: number;
  /** What that model's verdicts are sharpened with. */
  readonly verdictTemperature: number;
  /** What that model's windows weigh: see the manifest. */
  readonly verdictPower: number;
}

/** How a run differs from the main one. */
interface Manner {
  readonly seed: number;
  readonly warmUp: boolean;
  readonly pauseMs: { readonly least: number; readonly most: number };
  readonly callsOf: (clips: readonly CorpusClip[]) => Call[];
}

/** Most clips of a caller in a short call: half a minute of speech of CREMA-D. */
const shortCallClips = 16;
const millisecondsPerFrame = 10;

/** Makes runs, and tells how far they are. */
export class Runs {
  readonly #options: EvaluationOptions;
  readonly #choice: Choice;
  readonly #noise: NoiseSource;
  readonly #onProgress: (done: number, all: number, run: string) => void;

  constructor(
    options: EvaluationOptions,
    choice: Choice,
    noise: NoiseSource,
    onProgress: (done: number, all: number, run: string) => void,
  ) {
    this.#options = options;
    this.#choice = choice;
    this.#noise = noise;
    this.#onProgress = onProgress;
  }

  /** As the options say. */
  main(): Promise<Heard[]> {
    return this.#run('calls', {});
  }

  /** Each clip after a pause longer than any window of the model, so that no window holds speech of two clips. */
  apart(): Promise<Heard[]> {
    const frames = Math.max(...this.#choice.parts.map(({ manifest }) => manifest.windowFrames));
    const windowMs = frames * millisecondsPerFrame;
    return this.#run('clips apart', { pauseMs: { least: windowMs + callPauseMs.least, most: windowMs + callPauseMs.most } });
  }

  /** The clips of each caller once more, once all of them were heard. */
  warm(seed: number): Promise<Heard[]> {
    return this.#run(`full statistics, seed ${seed}`, { seed, warmUp: true });
  }

  /** The clips of each speaker dealt at random into calls of a few, each of which begins anew. */
  short(seed: number): Promise<Heard[]> {
    return this.#run(`short calls, seed ${seed}`, { seed, callsOf: (clips) => shortCalls(clips, seed) });
  }

  async #run(name: string, manner: Partial<Manner>): Promise<Heard[]> {
    const { data, codec, fec, dtx, concealment, lossPercent, burstPackets, noiseDb, independent } = this.#options;
    const defaults: Manner = {
      seed: this.#options.seed,
      warmUp: this.#options.warmUp,
      pauseMs: callPauseMs,
      callsOf: longCalls(independent),
    };
    const { callsOf, ...how } = { ...defaults, ...manner };
    const played = this.#choice.parts.map((part) => ({ part, calls: callsOf(part.clips) }));
    const all = played.reduce((sum, { calls }) => sum + calls.length, 0);
    let done = 0;
    const heard: Heard[] = [];
    for (const { part, calls } of played) {
      const line = { data, codec, fec, dtx, concealment, lossPercent, burstPackets, noiseDb, ...how };
      const kept = this.#choice.labels.map((label) => part.manifest.labels.indexOf(label));
      const ofPart = await hear({ ...line, modelDir: part.dir, calls, noise: this.#noise, kept }, () => {
        this.#onProgress(++done, all, name);
      });
      for (const clip of ofPart) heard.push(this.#known(clip, part));
    }
    // The same order whichever caller was done first.
    return heard.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  }

  #known({ clip, ...heard }: HeardClip, { name, manifest }: Part): Heard {
    const { path, speaker, sex, emotion } = clip;
    const truth = this.#choice.labels.indexOf(emotion);
    const { uncertainBelow, verdictTemperature, verdictPower } = manifest;
    return { path, speaker, sex, truth, model: name, uncertainBelow, verdictTemperature, verdictPower, ...heard };
  }
}

/** The answer to a clip, as the product gives it of an utterance: from its windows, or from those that `counts` picks. */
export function verdictOf(heard: Heard, counts: (window: ClipWindow) => boolean = () => true): Verdict {
  const { speaker, sex, truth } = heard;
  const windows = heard.windows.filter(counts).map((window) => ({ ...window, weight: verdictWeight(window, heard.verdictPower) }));
  const [first] = windows;
  if (first === undefined) return { speaker, sex, truth, probabilities: null };
  const sums = first.probabilities.map((_, i) =>
    windows.reduce((sum, { probabilities, weight }) => sum + weight * (probabilities[i] ?? 0), 0),
  );
  const total = windows.reduce((sum, { weight }) => sum + weight, 0);
  return {
    speaker,
    sex,
    truth,
    probabilities: [
      ...sharpen(
        sums.map((sum) => sum / total),
        heard.verdictTemperature,
      ),
    ],
  };
}

function longCalls(independent: boolean): (clips: readonly CorpusClip[]) => Call[] {
  return (clips) => {
    const groups = Map.groupBy(clips, (clip) => (independent ? clip.path : clip.speaker));
    return [...groups].map(([name, own]) => ({ name, clips: own }));
  };
}

function shortCalls(clips: readonly CorpusClip[], seed: number): Call[] {
  const random = createRandom(seed);
  return [...Map.groupBy(clips, ({ speaker }) => speaker)].flatMap(([speaker, own]) => {
    const dealt = shuffled(own, random);
    const count = Math.ceil(dealt.length / shortCallClips);
    return Array.from({ length: count }, (_, i) => ({ name: `${speaker} ${i}`, clips: dealt.filter((__, at) => at % count === i) }));
  });
}
