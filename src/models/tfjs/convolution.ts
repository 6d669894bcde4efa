// Convolutions and pools of ONNX, channels before positions, on tfjs, which wants channels last.
import { tensor, type NodeReader, type Run, type Tf } from './values.ts';

/** `[B, C, T]` or `[B, C, H, W]` with explicit padding; no groups. Weights are turned round once, here. */
export function convolution(tf: Tf, node: NodeReader): Run {
  const { dims, data } = node.weights(1);
  const kernel = dims.slice(2);
  const flat = kernel.length === 1;
  node.require('group', 1);
  node.require('auto_pad', 'NOTSET');
  // Over time alone is over an image of height 1.
  const pair = (values: readonly number[]): [number, number] => (flat ? [1, values[0] ?? 1] : [values[0] ?? 1, values[1] ?? 1]);
  const ones = kernel.map(() => 1);
  const [strides, dilations] = [pair(node.numbers('strides', ones)), pair(node.numbers('dilations', ones))];
  const pads = node.numbers('pads', [...kernel, ...kernel].fill(0));
  const padding: [number, number][] = kernel.map((_, axis) => [pads[axis] ?? 0, pads[kernel.length + axis] ?? 0]);
  const padded = pads.some((size) => size !== 0);

  const [outputs = 0, inputs = 0] = dims;
  const [height, width] = pair(kernel);
  const filter = tf.tidy(() => tf.transpose(tf.tensor4d(data, [outputs, inputs, height, width]), [2, 3, 1, 0]));
  const bias = node.hasInput(2) ? tf.tensor1d(node.weights(2).data) : undefined;

  return ([value]) => {
    let x = tensor(value);
    if (padded) x = tf.pad(x, [[0, 0], [0, 0], ...padding]);
    const [batch = 0, channels = 0, rows = 0] = x.shape;
    const last = flat ? tf.reshape(tf.transpose(x, [0, 2, 1]), [batch, 1, rows, channels]) : tf.transpose(x, [0, 2, 3, 1]);
    const image = tf.conv2d(last as ReturnType<typeof tf.tensor4d>, filter, strides, 'valid', 'NHWC', dilations);
    const shifted = bias === undefined ? image : tf.add(image, bias);
    if (!flat) return [tf.transpose(shifted, [0, 3, 1, 2])];
    const [, , positions = 0] = shifted.shape;
    return [tf.transpose(tf.reshape(shifted, [batch, positions, outputs]), [0, 2, 1])];
  };
}

/** Pools over time, `[B, C, T]`, whose windows follow one another without gap or overlap. */
export function pool(tf: Tf, node: NodeReader): Run {
  const [size = 0, ...more] = node.numbers('kernel_shape', []);
  const [stride = 1] = node.numbers('strides', [1]);
  const pads = node.numbers('pads', [0, 0]);
  if (size < 1 || more.length > 0 || stride !== size || pads.some((pad) => pad !== 0)) {
    throw new Error(`Expected ${node.op} over time with a stride of its size and no padding, got another`);
  }
  const reduce = node.op === 'MaxPool' ? tf.max : tf.mean;
  return ([value]) => {
    const x = tensor(value);
    const [batch = 0, channels = 0, length = 0] = x.shape;
    const count = Math.floor(length / size);
    const whole = count * size === length ? x : tf.slice(x, [0, 0, 0], [batch, channels, count * size]);
    return [reduce(tf.reshape(whole, [batch, channels, count, size]), 3)];
  };
}
