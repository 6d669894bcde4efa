// EmoNet's weights from its two graphs, by the names that training/undertone/serving.py gives them.
import type { OnnxGraph, OnnxTensor } from '../onnx-file.ts';
import type { Matrix } from './weights.ts';

/** A layer: what it multiplies by, and adds. */
export interface Layer {
  readonly matrix: Matrix;
  readonly bias: Float32Array | null;
}

/** Of the blocks. */
export const dilations = [1, 1, 2, 4];

/** All layers, inputs in the order in which the kernel has them. */
export interface EmoNetWeights {
  readonly labels: number;
  readonly stem: readonly Layer[];
  readonly cepstrum: Layer;
  readonly join: Layer;
  readonly blocks: readonly { readonly dilated: Layer; readonly mix: Layer }[];
  /** The LSTM's products of its inputs: forward gates, then backward ones. */
  readonly inputs: Layer;
  /** Those of its states, forward and backward, with the bias of both. */
  readonly recurrent: readonly Layer[];
  readonly attention: Layer;
  readonly scores: Float32Array;
  readonly first: Layer;
  readonly last: Layer;
}

/** Throws where the graphs have other weights than this network's, or weights of other shapes. */
export function readEmoNet(trunk: OnnxGraph, head: OnnxGraph): EmoNetWeights {
  const own = (name: string, ...dims: number[]): Float32Array => floatsOf(trunk.constants.get(name), name, dims);
  const layer = (name: string, inputs: number, outputs: number): Layer => ({
    matrix: rows(own(`${name}.weight`, inputs, outputs), inputs, outputs),
    bias: own(`${name}.bias`, outputs),
  });
  const blockNames = ['first', 'others.0', 'others.1', 'others.2'];
  const got = blockNames.map((name) => dilationOf(trunk.constants.get(`${name}.dilated.taps`)));
  if (got.join() !== dilations.join()) throw new Error(`Expected blocks with dilations ${dilations.join()}, got ${got.join()}`);
  const join = layer('join', 416, 144);
  return {
    stem: [
      convolution(own('stem.0.weight', 16, 1, 3, 5), own('stem.0.bias', 16), [16, 1, 3, 5]),
      convolution(own('stem.1.weight', 32, 16, 3, 3), own('stem.1.bias', 32), [32, 16, 3, 3]),
      convolution(own('stem.2.weight', 48, 32, 3, 3), own('stem.2.bias', 48), [48, 32, 3, 3]),
    ],
    cepstrum: layer('cepstrum', 320, 32),
    // The stem's 48 channels lie band by band here, 8 bands channel by channel there.
    join: {
      ...join,
      matrix: {
        ...join.matrix,
        weightOf: (input, output) => join.matrix.weightOf(input < 384 ? (input % 48) * 8 + Math.floor(input / 48) : input, output),
      },
    },
    blocks: blockNames.map((name) => ({ dilated: layer(`${name}.dilated`, 432, 144), mix: layer(`${name}.mix`, 144, 144) })),
    ...readHead(head),
  };
}

function readHead(head: OnnxGraph): Pick<EmoNetWeights, 'labels' | 'inputs' | 'recurrent' | 'attention' | 'scores' | 'first' | 'last'> {
  const own = (name: string, ...dims: number[]): Float32Array => floatsOf(head.constants.get(name), name, dims);
  const lstm = head.nodes.filter(({ op }) => op === 'LSTM');
  if (lstm.length !== 1) throw new Error(`Expected the head to have one LSTM, got ${String(lstm.length)}`);
  const [, inputName = '', stateName = '', biasName = ''] = lstm[0]?.inputs ?? [];
  const [fromInput, fromState, bias] = [own(inputName, 2, 384, 144), own(stateName, 2, 384, 96), own(biasName, 2, 768)];
  const labels = head.constants.get('output.bias')?.dims[0] ?? 0;
  if (labels > 8) throw new Error(`Expected at most 8 labels, got ${String(labels)}`);
  return {
    labels,
    inputs: { matrix: columns(fromInput, 144, 768), bias: null },
    recurrent: [0, 1].map((way) => ({
      matrix: columns(fromState.subarray(way * 384 * 96), 96, 384),
      bias: Float32Array.from({ length: 384 }, (_, i) => (bias[way * 768 + i] ?? NaN) + (bias[way * 768 + 384 + i] ?? NaN)),
    })),
    attention: { matrix: columns(own('attention.weight', 64, 192), 192, 64), bias: own('attention.bias', 64) },
    scores: own('scores', 64, 1),
    first: { matrix: rows(own('weight', 880, 160), 880, 160), bias: own('bias', 160) },
    last: { matrix: columns(own('output.weight', labels, 160), 160, labels), bias: own('output.bias', labels) },
  };
}

/** Weights `[inputs][outputs]`. */
function rows(values: Float32Array, inputs: number, outputs: number): Matrix {
  return { inputs, outputs, weightOf: (input, output) => values[input * outputs + output] ?? NaN };
}

/** Weights `[outputs][inputs]`. */
function columns(values: Float32Array, inputs: number, outputs: number): Matrix {
  return { inputs, outputs, weightOf: (input, output) => values[output * inputs + input] ?? NaN };
}

/** Weights `[outputs][channels][times][bands]` for rows `[times][bands][channels]`; a row of an odd number gets one more, of zeros. */
function convolution(
  values: Float32Array,
  bias: Float32Array,
  [outputs, inputs, times, bands]: readonly [number, number, number, number],
): Layer {
  const weightOf = (input: number, output: number): number => {
    const [place, channel] = [Math.floor(input / inputs), input % inputs];
    return values[(output * inputs + channel) * times * bands + place] ?? NaN;
  };
  return { matrix: { inputs: inputs * times * bands, outputs, weightOf }, bias };
}

/** How far apart the first two of a block's taps lie. */
function dilationOf(taps: OnnxTensor | undefined): number {
  const [first = NaN, second = NaN] = taps?.data ?? [];
  return second - first;
}

function floatsOf(tensor: OnnxTensor | undefined, name: string, dims: readonly number[]): Float32Array {
  if (tensor?.type === 'float32' && tensor.dims.join() === dims.join()) return tensor.data;
  const got = tensor === undefined ? 'nothing' : `${tensor.type} [${tensor.dims.join(', ')}]`;
  throw new Error(`Expected \`${name}\` to be float32 [${dims.join(', ')}], got ${got}`);
}
