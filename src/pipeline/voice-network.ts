// The voice-activity network in plain numbers: a dense layer a frame, a GRU a pair of frames, two probabilities.
import { pairFrames } from './voice-sequence.ts';

/** Sizes of a network. `dense` and `hidden` are multiples of 8. */
export interface VoiceNetworkShape {
  /** Numbers of a frame. */
  readonly inputs: number;
  readonly dense: number;
  readonly hidden: number;
}

/** Rows of a matrix that are worked out side by side: each input is read once for all of them. */
const blockRows = 8;
const gates = 3;

/** A matrix and its bias, laid out by {@link interleave}. */
interface Layer {
  readonly weights: Float32Array;
  readonly bias: Float32Array;
  readonly rows: number;
  readonly columns: number;
}

/** Number of weights and biases of a network of this shape. */
export function voiceWeightCount({ inputs, dense, hidden }: VoiceNetworkShape): number {
  const gru = gates * hidden * (pairFrames * dense + hidden + 2);
  return dense * (inputs + 1) + gru + pairFrames * (hidden + 1);
}

/**
 * Weights that all callers share; what a caller's voice has left behind is in the state that the caller keeps.
 * Weights come in PyTorch's order and layout: dense, GRU input, GRU hidden (rows reset, update, new), output, each
 * weights before bias.
 */
export class VoiceNetwork {
  readonly #shape: VoiceNetworkShape;
  readonly #dense: Layer;
  readonly #input: Layer;
  readonly #recurrent: Layer;
  readonly #outWeights: Float32Array;
  readonly #outBias: Float32Array;
  readonly #frame: Float32Array;
  readonly #features: Float32Array;
  readonly #fromInput: Float32Array;
  readonly #fromState: Float32Array;

  /** @throws RangeError where the shape does not fit the weights. */
  constructor(shape: VoiceNetworkShape, weights: Float32Array) {
    const { inputs, dense, hidden } = shape;
    if (dense % blockRows !== 0 || hidden % blockRows !== 0) {
      throw new RangeError(`Expected sizes that are multiples of ${blockRows}, got ${dense} and ${hidden}`);
    }
    if (weights.length !== voiceWeightCount(shape)) {
      throw new RangeError(`Expected ${voiceWeightCount(shape)} weights, got ${weights.length}`);
    }
    let at = 0;
    const next = (count: number): Float32Array => weights.slice(at, (at += count));
    const layer = (rows: number, columns: number): Layer => {
      return { weights: interleave(next(rows * columns), rows, columns), bias: next(rows), rows, columns };
    };
    this.#shape = shape;
    this.#dense = layer(dense, inputs);
    this.#input = layer(gates * hidden, pairFrames * dense);
    this.#recurrent = layer(gates * hidden, hidden);
    this.#outWeights = next(pairFrames * hidden);
    this.#outBias = next(pairFrames);
    this.#frame = new Float32Array(dense);
    this.#features = new Float32Array(pairFrames * dense);
    this.#fromInput = new Float32Array(gates * hidden);
    this.#fromState = new Float32Array(gates * hidden);
  }

  /** State of a caller who has not been heard. */
  createState(): Float32Array {
    return new Float32Array(this.#shape.hidden);
  }

  /**
   * Hears a pair of frames, `[2][inputs]`, moves `state` on, and writes into `probabilities` whether the two frames before them
   * are speech.
   */
  step(pair: Float32Array, state: Float32Array, probabilities: Float32Array): void {
    const { inputs, dense, hidden } = this.#shape;
    const frame = this.#frame;
    for (let i = 0; i < pairFrames; i += 1) {
      multiply(this.#dense, pair, i * inputs, frame);
      for (let unit = 0; unit < dense; unit += 1) {
        const value = frame[unit] ?? 0;
        this.#features[i * dense + unit] = value > 0 ? value : 0;
      }
    }
    const input = this.#fromInput;
    const recurrent = this.#fromState;
    multiply(this.#input, this.#features, 0, input);
    multiply(this.#recurrent, state, 0, recurrent);
    for (let unit = 0; unit < hidden; unit += 1) {
      const reset = sigmoid((input[unit] ?? 0) + (recurrent[unit] ?? 0));
      const update = sigmoid((input[hidden + unit] ?? 0) + (recurrent[hidden + unit] ?? 0));
      const fresh = 2 * sigmoid(2 * ((input[2 * hidden + unit] ?? 0) + reset * (recurrent[2 * hidden + unit] ?? 0))) - 1;
      state[unit] = fresh + update * ((state[unit] ?? 0) - fresh);
    }
    for (let i = 0; i < pairFrames; i += 1) {
      let sum = this.#outBias[i] ?? 0;
      for (let unit = 0; unit < hidden; unit += 1) sum += (this.#outWeights[i * hidden + unit] ?? 0) * (state[unit] ?? 0);
      probabilities[i] = sigmoid(sum);
    }
  }
}

/** `output = weights * input + bias`, the input from `offset` on. */
function multiply({ weights, bias, rows, columns }: Layer, input: Float32Array, offset: number, output: Float32Array): void {
  let at = 0;
  for (let row = 0; row < rows; row += blockRows) {
    let a = bias[row] ?? 0;
    let b = bias[row + 1] ?? 0;
    let c = bias[row + 2] ?? 0;
    let d = bias[row + 3] ?? 0;
    let e = bias[row + 4] ?? 0;
    let f = bias[row + 5] ?? 0;
    let g = bias[row + 6] ?? 0;
    let h = bias[row + 7] ?? 0;
    for (let column = 0; column < columns; column += 1) {
      const value = input[offset + column] ?? 0;
      a += (weights[at] ?? 0) * value;
      b += (weights[at + 1] ?? 0) * value;
      c += (weights[at + 2] ?? 0) * value;
      d += (weights[at + 3] ?? 0) * value;
      e += (weights[at + 4] ?? 0) * value;
      f += (weights[at + 5] ?? 0) * value;
      g += (weights[at + 6] ?? 0) * value;
      h += (weights[at + 7] ?? 0) * value;
      at += blockRows;
    }
    output[row] = a;
    output[row + 1] = b;
    output[row + 2] = c;
    output[row + 3] = d;
    output[row + 4] = e;
    output[row + 5] = f;
    output[row + 6] = g;
    output[row + 7] = h;
  }
}

/** Of eight rows, the first column, then the second, and so on; then of the next eight. */
function interleave(matrix: Float32Array, rows: number, columns: number): Float32Array {
  const laid = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const block = Math.floor(row / blockRows) * blockRows;
    for (let column = 0; column < columns; column += 1) {
      laid[block * columns + column * blockRows + (row - block)] = matrix[row * columns + column] ?? 0;
    }
  }
  return laid;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
