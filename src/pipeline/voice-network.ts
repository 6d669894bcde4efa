// The voice-activity network: a dense layer a frame, a GRU a pair of frames, two probabilities; the kernel works it out.
import { instantiateKernel, type KernelFunctions } from './kernel/module.ts';
import { pairFrames } from './voice-sequence.ts';

/** Sizes of a network. `dense` and `hidden` are multiples of 8. */
export interface VoiceNetworkShape {
  /** Numbers of a frame. */
  readonly inputs: number;
  readonly dense: number;
  readonly hidden: number;
}

const gates = 3;
/** Rows of a matrix that the kernel works out side by side: of the dense layer for both frames, of the GRU's three gates for one. */
const denseBlock = 8;
const gruBlock = gates * denseBlock;

/** Number of weights and biases of a network of this shape. */
export function voiceWeightCount({ inputs, dense, hidden }: VoiceNetworkShape): number {
  const gru = gates * hidden * (pairFrames * dense + hidden + 2);
  return dense * (inputs + 1) + gru + pairFrames * (hidden + 1);
}

/**
 * Weights that all callers share; what a caller's voice has left behind is in the state that the caller keeps.
 * Weights come in PyTorch's order and layout: dense, GRU input, GRU hidden (rows reset, update, new), output, each
 * weights before bias. A network has an instance of the kernel of its own, which holds them.
 */
export class VoiceNetwork {
  readonly #shape: VoiceNetworkShape;
  readonly #step: KernelFunctions['stepVoice'];
  /** Where in the kernel's memory, bytes. */
  readonly #at: { readonly pair: number; readonly state: number; readonly scratch: number; readonly said: number };
  readonly #pair: Float32Array;
  readonly #state: Float32Array;
  readonly #said: Float32Array;

  /** @throws RangeError where the shape does not fit the weights. */
  constructor(shape: VoiceNetworkShape, weights: Float32Array) {
    const { inputs, dense, hidden } = shape;
    if (dense % denseBlock !== 0 || hidden % denseBlock !== 0) {
      throw new RangeError(`Expected sizes that are multiples of ${denseBlock}, got ${dense} and ${hidden}`);
    }
    if (weights.length !== voiceWeightCount(shape)) {
      throw new RangeError(`Expected ${voiceWeightCount(shape)} weights, got ${weights.length}`);
    }
    let end = 0;
    const place = (count: number): number => {
      const from = end;
      end += 16 * Math.ceil(count / 4);
      return from;
    };
    place(weights.length);
    this.#at = {
      pair: place(pairFrames * inputs),
      state: place(hidden),
      scratch: place(pairFrames * dense + 2 * gates * hidden),
      said: place(pairFrames),
    };
    const { memory, functions } = instantiateKernel(end);
    const laid = new Float32Array(memory, 0, weights.length);
    laid.set(weights);
    const layers = [
      { rows: dense, columns: inputs, block: denseBlock },
      { rows: gates * hidden, columns: pairFrames * dense, block: gruBlock },
      { rows: gates * hidden, columns: hidden, block: gruBlock },
    ];
    let at = 0;
    for (const { rows, columns, block } of layers) {
      laid.set(interleave(weights.subarray(at, at + rows * columns), columns, block), at);
      at += rows * (columns + 1);
    }
    this.#shape = shape;
    this.#step = functions.stepVoice;
    this.#pair = new Float32Array(memory, this.#at.pair, pairFrames * inputs);
    this.#state = new Float32Array(memory, this.#at.state, hidden);
    this.#said = new Float32Array(memory, this.#at.said, pairFrames);
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
    const at = this.#at;
    this.#pair.set(pair);
    this.#state.set(state);
    this.#step(inputs, dense, hidden, 0, at.pair, at.state, at.scratch, at.said);
    state.set(this.#state);
    probabilities.set(this.#said);
  }
}

/** Of a block of rows, the first column, then the second, and so on; then of the next block. */
function interleave(matrix: Float32Array, columns: number, blockRows: number): Float32Array {
  const laid = new Float32Array(matrix.length);
  matrix.forEach((value, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const block = Math.floor(row / blockRows) * blockRows;
    laid[block * columns + column * blockRows + (row - block)] = value;
  });
  return laid;
}
