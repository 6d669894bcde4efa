// From one track's posteriors to what is said of it: smoothed points with a steady label, and a verdict per utterance.
import type { SpeechChange } from '../pipeline/types.ts';
import { sharpen, verdictWeight } from './calibrate.ts';
import { Hysteresis, leader } from './hysteresis.ts';
import type { ModelManifest, Point, ScoredWindow, Segment } from './types.ts';

type Window = ScoredWindow['window'];

/** How posteriors are smoothed. */
export interface SmoothingOptions {
  /** Weight of a new posterior in the moving average, at the manifest's hop; a wider hop weighs more. @default 0.35 */
  readonly alpha?: number;
  /** Silence after which the average starts afresh, ms. @default 1000 */
  readonly resetAfterSilenceMs?: number;
  /** A class that leads the held one by this much probability takes over at once. @default 0.2 */
  readonly switchMargin?: number;
  /** A class that leads the held one by this much for `switchPoints` points in a row takes over. @default 0.05 */
  readonly leadMargin?: number;
  /** At the manifest's hop; at a wider one as many points as fill that time. @default 3 */
  readonly switchPoints?: number;
}

/** Options of a {@link Smoother}. */
export interface SmootherOptions extends SmoothingOptions {
  readonly track: Segment['track'];
  readonly manifest: Pick<
    ModelManifest,
    'labels' | 'hopFrames' | 'hopSamples' | 'sampleRateHz' | 'uncertainBelow' | 'verdictTemperature' | 'verdictPower'
  >;
}

interface Utterance {
  readonly startSample: number;
  /** Null while it lasts. */
  endSample: number | null;
  /** Whether the silence before it was long enough to forget what was heard before. */
  readonly fresh: boolean;
  /** Windows of it whose score is still to come. */
  outstanding: number;
  points: number;
  /** Of the posteriors, weighted, and of the weights. */
  readonly sum: Float64Array;
  weight: number;
  concealedSum: number;
  /** The widest between its windows. */
  hopSamples: number;
  lastPointEndSample: number | null;
}

interface Outstanding {
  readonly endSample: number;
  readonly utterance: Utterance | null;
}

const defaults = { alpha: 0.35, resetAfterSilenceMs: 1000, switchMargin: 0.2, leadMargin: 0.05, switchPoints: 3 };

/**
 * Scores come back late, so a window's utterance is settled when it is submitted, not when it returns: tell this class
 * of each window (`submitted`) and each change of speech (`speech`) in the pipeline's order, and of each window's fate
 * (`scored`, `lost`). A window that is submitted while nobody speaks yields nothing. An utterance's segment is ready
 * once it has ended and each of its windows met its fate; `takeSegments` hands out those that are, in order. So the
 * verdict does not depend on how fast the engine was.
 */
export class Smoother {
  readonly #options: SmootherOptions & Required<SmoothingOptions>;
  readonly #hopSamples: number;
  readonly #hysteresis: Hysteresis;
  /** Bounded by the batcher: one window waiting and one with the engine. */
  readonly #outstanding: Outstanding[] = [];
  /** Ended utterances that wait for windows, oldest first; their segments come out in this order. */
  #ended: Utterance[] = [];
  #current: Utterance | null = null;
  #lastSpeechEndSample: number | null = null;
  #smoothed: Float64Array | null = null;
  /** The utterance that `#smoothed` was last updated in. */
  #smoothedIn: Utterance | null = null;
  #lastEndSample = 0;

  constructor(options: SmootherOptions) {
    this.#options = { ...defaults, ...options };
    this.#hopSamples = options.manifest.hopFrames * options.manifest.hopSamples;
    this.#hysteresis = new Hysteresis(this.#options);
  }

  /** Windows whose fate is still to come. */
  get outstanding(): number {
    return this.#outstanding.length;
  }

  /** A window was handed to the batcher. */
  submitted(window: Pick<Window, 'endSample'>): void {
    const current = this.#current;
    const utterance = current !== null && window.endSample > current.startSample ? current : null;
    if (utterance !== null) utterance.outstanding += 1;
    this.#outstanding.push({ endSample: window.endSample, utterance });
  }

  /** A window came back with its score. Null where it belongs to no utterance. */
  scored({ window, posterior }: ScoredWindow): Point | null {
    const utterance = this.#settle(window);
    if (utterance === null) return null;
    const { probabilities } = posterior;
    const { hopFrames, hopSamples: frameSamples, verdictPower } = this.#options.manifest;
    // By the media that it stands for: what was said while the hop was wide counts no less.
    const weight = (window.hopFrames / hopFrames) * verdictWeight(window, verdictPower);
    const { sum } = utterance;
    for (let index = 0; index < sum.length; index++) sum[index] = (sum[index] ?? 0) + weight * (probabilities[index] ?? 0);
    utterance.weight += weight;
    utterance.points += 1;
    utterance.concealedSum += window.concealedRatio;
    const hops = Math.max(1, (window.endSample - (utterance.lastPointEndSample ?? window.endSample)) / this.#hopSamples);
    const smoothed = this.#smooth(probabilities, window.endSample, utterance);
    const held = this.#hysteresis.next(smoothed, hops);
    const hopSamples = window.hopFrames * frameSamples;
    utterance.hopSamples = Math.max(utterance.hopSamples, hopSamples);
    utterance.lastPointEndSample = window.endSample;
    const { track, startSample, endSample, speechRatio, concealedRatio, arrivalMs } = window;
    const verdict = this.#verdict(smoothed, held);
    return { track, startSample, endSample, ...verdict, hopSamples, speechRatio, concealedRatio, arrivalMs };
  }

  /** A window will never be scored. Whether it belonged to an utterance, so that something is missing now. */
  lost(window: Pick<Window, 'endSample'>): boolean {
    return this.#settle(window) !== null;
  }

  /** Speech began or ended. A start within speech and an end outside of it change nothing. */
  speech(change: Pick<SpeechChange, 'state' | 'atSample'>): void {
    const { state, atSample } = change;
    if (state === 'end') {
      this.#end(atSample);
    } else if (this.#current === null) {
      const { resetAfterSilenceMs, manifest } = this.#options;
      const resetSamples = (resetAfterSilenceMs * manifest.sampleRateHz) / 1000;
      const lastEnd = this.#lastSpeechEndSample;
      this.#current = {
        startSample: atSample,
        endSample: null,
        fresh: lastEnd === null || atSample - lastEnd > resetSamples,
        outstanding: 0,
        points: 0,
        sum: new Float64Array(manifest.labels.length),
        weight: 0,
        concealedSum: 0,
        hopSamples: 0,
        lastPointEndSample: null,
      };
    }
  }

  /** The segments of ended utterances all of whose windows met their fate; each is handed out once. */
  takeSegments(): Segment[] {
    const waitingFrom = this.#ended.findIndex((utterance) => utterance.outstanding > 0);
    const ready = this.#ended.splice(0, waitingFrom === -1 ? this.#ended.length : waitingFrom);
    return ready.flatMap((utterance) => this.#segment(utterance));
  }

  /** Ends the track: gives up on windows whose fate is unknown, ends what is being said, and hands out its segments. */
  flush(): Segment[] {
    this.#end(this.#current?.lastPointEndSample ?? this.#current?.startSample ?? 0);
    for (const utterance of this.#ended) utterance.outstanding = 0;
    this.#outstanding.length = 0;
    return this.takeSegments();
  }

  #end(atSample: number): void {
    if (this.#current === null) return;
    this.#current.endSample = atSample;
    this.#ended.push(this.#current);
    this.#current = null;
    this.#lastSpeechEndSample = atSample;
  }

  #settle(window: Pick<Window, 'endSample'>): Utterance | null {
    const index = this.#outstanding.findIndex((outstanding) => outstanding.endSample === window.endSample);
    const [outstanding] = index === -1 ? [] : this.#outstanding.splice(index, 1);
    if (outstanding === undefined || outstanding.utterance === null) return null;
    outstanding.utterance.outstanding -= 1;
    return outstanding.utterance;
  }

  /** The moving average with this posterior in it; as a function of media time, so that a lost window leaves no lag. */
  #smooth(probabilities: Float32Array, endSample: number, utterance: Utterance): Float64Array {
    const before = this.#smoothed;
    const restart = before === null || (utterance.fresh && this.#smoothedIn !== utterance);
    if (restart) this.#hysteresis.reset();
    const hops = Math.max(0, endSample - this.#lastEndSample) / this.#hopSamples;
    const weight = restart ? 1 : 1 - (1 - this.#options.alpha) ** Math.max(1, hops);
    const smoothed = new Float64Array(probabilities);
    if (!restart) {
      for (let index = 0; index < smoothed.length; index++) {
        const old = before[index] ?? 0;
        smoothed[index] = old + weight * ((smoothed[index] ?? 0) - old);
      }
    }
    this.#smoothed = smoothed;
    this.#smoothedIn = utterance;
    this.#lastEndSample = endSample;
    return smoothed;
  }

  #segment(utterance: Utterance): Segment[] {
    const { lastPointEndSample, endSample, startSample, sum, weight, points, concealedSum, hopSamples } = utterance;
    if (points === 0 || lastPointEndSample === null || endSample === null) return [];
    const mean = sum.map((value) => value / weight);
    const sure = sharpen(mean, this.#options.manifest.verdictTemperature);
    return [
      {
        track: this.#options.track,
        startSample,
        endSample,
        ...this.#verdict(sure, leader(sure)),
        points,
        concealedRatio: concealedSum / points,
        hopSamples,
      },
    ];
  }

  #verdict(values: Float64Array, index: number): { label: string; confidence: number; probabilities: Float32Array } {
    const { labels, uncertainBelow } = this.#options.manifest;
    const confidence = values[index] ?? 0;
    const label = confidence < uncertainBelow ? 'uncertain' : (labels[index] ?? 'uncertain');
    return { label, confidence, probabilities: new Float32Array(values) };
  }
}
