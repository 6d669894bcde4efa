// ONNX's LSTM on tfjs: one product for the inputs of all steps, then the steps, both directions of them at once.
import { tensor, type NodeReader, type Run, type Tensor, type Tf } from './values.ts';

/** ONNX's order of gates is input, output, forget, cell: the three that are sigmoids come first. */
const gates = 4;
const sigmoids = 3;

/**
 * `X [T, B, C]`, `W [D, 4H, C]`, `R [D, 4H, H]`, `B [D, 8H]`, initial `h` and `c [D, B, H]` to `Y [T, D, B, H]`, `h` and `c`.
 * A step is a dozen calls, however many rows and directions there are: calls are what a GPU's runtime is slow at.
 */
export function lstm(tf: Tf, node: NodeReader): Run {
  const direction = node.text('direction', 'forward');
  const count = direction === 'bidirectional' ? 2 : 1;
  if (direction === 'reverse') throw new Error('Expected an LSTM that runs forward or both ways, got one in reverse');
  node.require('layout', 0);
  node.require('input_forget', 0);
  const [, rows = 0, channels = 0] = node.weights(1).dims;
  const hidden = rows / gates;
  // [C, D, 4H] and [D, H, 4H]; the two biases of a gate count as one.
  const inputWeights = tf.tidy(() =>
    tf.reshape(tf.transpose(tf.tensor3d(node.weights(1).data, [count, rows, channels]), [2, 0, 1]), [channels, count * rows]),
  );
  const stateWeights = tf.tidy(() => tf.transpose(tf.tensor3d(node.weights(2).data, [count, rows, hidden]), [0, 2, 1]));
  const bias = tf.tidy(() => {
    if (!node.hasInput(3)) return tf.zeros([1, 1, count, rows]);
    return tf.reshape(tf.sum(tf.tensor3d(node.weights(3).data, [count, 2, rows]), 1), [1, 1, count, rows]);
  });

  /** `[T, D, B, N]` with the second direction's time turned round. */
  const turned = (x: Tensor): Tensor => {
    if (count === 1) return x;
    const [forward, backward] = tf.split(x, 2, 1);
    return tf.concat([tensor(forward), tf.reverse(tensor(backward), 0)], 1);
  };

  return ([input, , , , lengths, firstHidden, firstCell]) => {
    if (lengths !== undefined) throw new Error('Expected an LSTM over rows of one length, got lengths');
    const x = tensor(input);
    const [steps = 0, batch = 0] = x.shape;
    const projected = tf.reshape(tf.matMul(tf.reshape(x, [steps * batch, channels]), inputWeights), [steps, batch, count, rows]);
    const inputs = tf.unstack(turned(tf.transpose(tf.add(projected, bias), [0, 2, 1, 3])), 0);
    let h = firstHidden === undefined ? tf.zeros([count, batch, hidden]) : tensor(firstHidden);
    let c = firstCell === undefined ? tf.zeros([count, batch, hidden]) : tensor(firstCell);
    const outputs: Tensor[] = [];
    for (const fromInput of inputs) {
      const all = tf.add(fromInput, tf.matMul(h, stateWeights));
      const [open, candidate] = tf.split(all, [sigmoids * hidden, hidden], 2);
      const [i, o, f] = tf.split(tf.sigmoid(tensor(open)), sigmoids, 2);
      c = tf.add(tf.mul(tensor(f), c), tf.mul(tensor(i), tf.tanh(tensor(candidate))));
      h = tf.mul(tensor(o), tf.tanh(c));
      outputs.push(h);
    }
    return [turned(tf.stack(outputs, 0)), h, c];
  };
}
