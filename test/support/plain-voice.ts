// The voice-activity network and its inputs as plain loops over doubles: what the kernel is held against.
import { energyFloor } from '../../src/pipeline/feature-extractor.ts';
import { melBands } from '../../src/pipeline/mel.ts';
import type { VoiceNetworkShape } from '../../src/pipeline/voice-network.ts';

const pairFrames = 2;
const groups = melBands / 4;

/** A network that keeps the state of its only caller. Weights as `VoiceNetwork` takes them. */
export class PlainVoiceNetwork {
  readonly #shape: VoiceNetworkShape;
  readonly #layers: { readonly weights: Float32Array; readonly bias: Float32Array }[];
  #state: number[];

  constructor(shape: VoiceNetworkShape, weights: Float32Array) {
    const { inputs, dense, hidden } = shape;
    this.#shape = shape;
    this.#state = Array<number>(hidden).fill(0);
    let at = 0;
    const next = (count: number): Float32Array => weights.subarray(at, (at += count));
    this.#layers = [
      [dense, inputs],
      [3 * hidden, pairFrames * dense],
      [3 * hidden, hidden],
      [pairFrames, hidden],
    ].map(([rows = 0, columns = 0]) => ({ weights: next(rows * columns), bias: next(rows) }));
  }

  /** The two probabilities after a pair of frames. */
  step(pair: Float32Array): number[] {
    const { inputs, hidden } = this.#shape;
    const frames = [pair.subarray(0, inputs), pair.subarray(inputs)];
    const features = frames.flatMap((frame) => this.#apply(0, frame).map((value) => Math.max(0, value)));
    const input = this.#apply(1, features);
    const recurrent = this.#apply(2, this.#state);
    this.#state = this.#state.map((before, unit) => {
      const [reset, update] = [0, 1].map((gate) => sigmoid(input[gate * hidden + unit]! + recurrent[gate * hidden + unit]!));
      const fresh = Math.tanh(input[2 * hidden + unit]! + reset! * recurrent[2 * hidden + unit]!);
      return fresh + update! * (before - fresh);
    });
    return this.#apply(3, this.#state).map(sigmoid);
  }

  #apply(layer: number, input: ArrayLike<number>): number[] {
    const { weights, bias } = this.#layers[layer]!;
    return Array.from(bias, (sum, row) =>
      Array.from(input).reduce((total, value, column) => total + weights[row * input.length + column]! * value, sum),
    );
  }
}

/** Running levels of one track, and what the network is given of a frame, as `VoiceInputs` describes them. */
export class PlainVoiceInputs {
  #floor: number[] = Array<number>(groups).fill(0);
  #level = 0;
  #peak = 0;
  #taken = 0;
  #sinceSilence = 0;

  /** What the network is given of the frame, and whether it has a signal. */
  take(logMel: Float32Array): { readonly values: number[]; readonly signal: boolean } {
    const means = Array.from({ length: groups }, (_, group) => mean(logMel.subarray(4 * group, 4 * group + 4)));
    const whole = mean(logMel);
    const signal = whole >= Math.log(energyFloor) + 1.2;
    this.#sinceSilence = signal ? this.#sinceSilence + 1 : 0;
    if (signal) this.#learn(means, whole);
    const nepers = [
      ...Array.from(logMel, (value) => value - this.#level),
      ...means.map((value, group) => value - this.#floor[group]!),
      whole - this.#peak,
    ];
    return { values: nepers.map((value) => 0.3 * Math.max(-9, Math.min(9, value))), signal };
  }

  #learn(means: number[], whole: number): void {
    const settling = this.#sinceSilence <= 3;
    const first = this.#taken === 0;
    if (!(first && settling)) this.#taken += 1;
    this.#level = first ? whole : this.#level + (whole - this.#level) / Math.min(this.#taken, 200);
    this.#peak = first ? whole : Math.max(whole, this.#peak - 0.005);
    if (!first && settling) return;
    const rise = Math.max(0.002, 1 / Math.max(1, this.#taken));
    this.#floor = this.#floor.map((floor, group) => {
      const above = means[group]! - floor;
      return first ? means[group]! : floor + (above < 0 ? Math.max(-0.2, 0.1 * above) : rise * above);
    });
  }
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
