// The operators of ONNX that the networks are made of, on tfjs.
import { convolution, pool } from './convolution.ts';
import { lstm } from './lstm.ts';
import {
  concat,
  constantNode,
  constantOfShape,
  flatten,
  gather,
  pad,
  reshape,
  slice,
  split,
  squeeze,
  unsqueeze,
} from './shape-operators.ts';
import { integers, isIntegers, tensor, type Integers, type NodeReader, type Run, type Tensor, type Tf } from './values.ts';

/** Makes a node ready to run: what can be done once is done here. */
type Operator = (tf: Tf, node: NodeReader) => Run;

/** Every operator that is known, by ONNX's name. */
export const operators: ReadonlyMap<string, Operator> = new Map<string, Operator>([
  [
    'Add',
    arithmetic(
      (tf) => tf.add,
      (a, b) => a + b,
    ),
  ],
  ['AveragePool', pool],
  ['BatchNormalization', batchNormalization],
  ['Cast', cast],
  ['Clip', clip],
  ['Concat', concat],
  ['Constant', constantNode],
  ['ConstantOfShape', constantOfShape],
  ['Conv', convolution],
  [
    'Div',
    arithmetic(
      (tf) => tf.div,
      (a, b) => Math.trunc(a / b),
    ),
  ],
  ['Flatten', flatten],
  ['Gather', gather],
  ['Gemm', gemm],
  [
    'Greater',
    (tf) =>
      ([a, b]) => [tf.greater(tensor(a), tensor(b))],
  ],
  [
    'Identity',
    () =>
      ([x]) => [x ?? tensor(x)],
  ],
  ['LSTM', lstm],
  ['MatMul', matMul],
  ['Max', arithmetic((tf) => tf.maximum, Math.max)],
  ['MaxPool', pool],
  [
    'Mul',
    arithmetic(
      (tf) => tf.mul,
      (a, b) => a * b,
    ),
  ],
  ['Pad', pad],
  [
    'Reciprocal',
    (tf) =>
      ([x]) => [tf.div(1, tensor(x))],
  ],
  ['ReduceMax', reduceMax],
  ['ReduceSum', reduceSum],
  [
    'Relu',
    (tf) =>
      ([x]) => [tf.relu(tensor(x))],
  ],
  ['Reshape', reshape],
  [
    'Shape',
    () =>
      ([x]) => [{ dims: [tensor(x).rank], data: tensor(x).shape }],
  ],
  [
    'Sigmoid',
    (tf) =>
      ([x]) => [tf.sigmoid(tensor(x))],
  ],
  ['Slice', slice],
  ['Softmax', softmax],
  ['Split', split],
  [
    'Sqrt',
    (tf) =>
      ([x]) => [tf.sqrt(tensor(x))],
  ],
  [
    'Sub',
    arithmetic(
      (tf) => tf.sub,
      (a, b) => a - b,
    ),
  ],
  [
    'Tanh',
    (tf) =>
      ([x]) => [tf.tanh(tensor(x))],
  ],
  [
    'Transpose',
    (tf, node) =>
      ([x]) => [
        tf.transpose(tensor(x), [
          ...node.numbers(
            'perm',
            tensor(x).shape.map((_, i) => tensor(x).rank - 1 - i),
          ),
        ]),
      ],
  ],
  ['Squeeze', squeeze],
  ['Unsqueeze', unsqueeze],
]);

/** An operator on two values that are brought to one shape; sizes are computed here and not on the backend. */
function arithmetic(onTensors: (tf: Tf) => (a: Tensor, b: Tensor) => Tensor, onNumbers: (a: number, b: number) => number): Operator {
  return (tf) => {
    const apply = onTensors(tf);
    return ([a, b]) => {
      if (a === undefined || b === undefined || !isIntegers(a) || !isIntegers(b)) return [apply(tensor(a), tensor(b))];
      const longer = a.data.length >= b.data.length ? a : b;
      const at = ({ data }: Integers, i: number): number => data[data.length === 1 ? 0 : i] ?? NaN;
      return [{ dims: longer.dims, data: longer.data.map((_, i) => onNumbers(at(a, i), at(b, i))) }];
    };
  };
}

function batchNormalization(tf: Tf, node: NodeReader): Run {
  const [gamma, beta, mean, variance] = [1, 2, 3, 4].map((index) => node.weights(index).data) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const epsilon = node.number('epsilon', 1e-5);
  const factors = gamma.map((value, i) => value / Math.sqrt((variance[i] ?? NaN) + epsilon));
  const [scale, shift] = [tf.tensor1d(factors), tf.tensor1d(beta.map((value, i) => value - (mean[i] ?? NaN) * (factors[i] ?? NaN)))];
  return ([value]) => {
    const x = tensor(value);
    const shape = [gamma.length, ...Array<number>(x.rank - 2).fill(1)];
    return [tf.add(tf.mul(x, tf.reshape(scale, shape)), tf.reshape(shift, shape))];
  };
}

function cast(tf: Tf, node: NodeReader): Run {
  node.require('to', 1, 0);
  return ([x]) => [tf.cast(tensor(x), 'float32')];
}

function clip(tf: Tf): Run {
  return ([value, least, most]) => {
    const x = tensor(value);
    const above = least === undefined ? x : tf.maximum(x, tensor(least));
    return [most === undefined ? above : tf.minimum(above, tensor(most))];
  };
}

function gemm(tf: Tf, node: NodeReader): Run {
  node.require('alpha', 1);
  node.require('beta', 1);
  const [transA, transB] = [node.number('transA', 0) === 1, node.number('transB', 0) === 1];
  return ([a, b, c]) => {
    const product = tf.matMul(tensor(a), tensor(b), transA, transB);
    return [c === undefined ? product : tf.add(product, tensor(c))];
  };
}

function matMul(tf: Tf): Run {
  return ([left, right]) => {
    const [a, b] = [tensor(left), tensor(right)];
    if (b.rank !== 2 || a.rank === 2) return [tf.matMul(a, b)];
    const [inner = 0, columns = 0] = b.shape;
    return [tf.reshape(tf.matMul(tf.reshape(a, [a.size / inner, inner]), b), [...a.shape.slice(0, -1), columns])];
  };
}

function reduceMax(tf: Tf, node: NodeReader): Run {
  const keep = node.number('keepdims', 1) === 1;
  const axes = [...node.numbers('axes', [])];
  return ([x]) => [tf.max(tensor(x), axes.length === 0 ? undefined : axes, keep)];
}

function reduceSum(tf: Tf, node: NodeReader): Run {
  const keep = node.number('keepdims', 1) === 1;
  return ([x, axes]) => [tf.sum(tensor(x), [...integers(axes)], keep)];
}

/** tfjs's own takes the last axis alone. */
function softmax(tf: Tf, node: NodeReader): Run {
  const axis = node.number('axis', -1);
  return ([value]) => {
    const x = tensor(value);
    const weights = tf.exp(tf.sub(x, tf.max(x, axis, true)));
    return [tf.div(weights, tf.sum(weights, axis, true))];
  };
}
