// A network of an ONNX file on tfjs: its graph, operator by operator, over tensors of whichever backend is in force.
import type { OnnxGraph, OnnxNode } from '../onnx-file.ts';
import { operators } from './operators.ts';
import { constantOf } from './shape-operators.ts';
import { isIntegers, NodeReader, tensor, type Run, type Tensor, type Tf, type Value } from './values.ts';

interface Step {
  readonly label: string;
  readonly run: Run;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** An input: values and their shape. */
export interface Input {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** Runs in the calling thread. Weights stay with the backend until `dispose`. */
export class TfjsNetwork {
  readonly #tf: Tf;
  readonly #steps: readonly Step[];
  readonly #constants = new Map<string, Value>();
  readonly #kept: readonly Tensor[];
  readonly #outputs: readonly string[];

  /** Throws where the network has an operator that is not known here, or one in a way that is not. */
  constructor(tf: Tf, graph: OnnxGraph) {
    const unknown = new Set(graph.nodes.map(({ op }) => op).filter((op) => !operators.has(op)));
    if (unknown.size > 0) throw new Error(`Expected operators that are known on tfjs, got ${[...unknown].join(', ')}`);
    this.#tf = tf;
    this.#outputs = graph.outputs;
    const engine = tf.engine();
    engine.startScope('weights');
    try {
      this.#steps = graph.nodes.map((node) => stepOf(tf, node, graph.constants));
      for (const name of new Set(this.#steps.flatMap(({ inputs }) => inputs))) {
        const constant = graph.constants.get(name);
        if (constant !== undefined) this.#constants.set(name, constantOf(tf, constant));
      }
      // What was made so far are weights.
      this.#kept = engine.state.activeScope.track.map((one) => tf.keep(one));
    } finally {
      engine.endScope();
    }
  }

  /** Resolves to the values of all outputs. */
  async run(inputs: Readonly<Record<string, Input>>): Promise<Readonly<Record<string, Float32Array>>> {
    const results = this.#tf.tidy(() => {
      const values = new Map(this.#constants);
      for (const [name, { data, shape }] of Object.entries(inputs)) values.set(name, this.#tf.tensor(data, [...shape]));
      for (const step of this.#steps) apply(step, values);
      return this.#outputs.map((name) => tensor(values.get(name)));
    });
    try {
      const data = await Promise.all(results.map((result) => result.data()));
      return Object.fromEntries(this.#outputs.map((name, i) => [name, data[i] as Float32Array]));
    } finally {
      for (const result of results) result.dispose();
    }
  }

  dispose(): void {
    for (const one of this.#kept) one.dispose();
  }
}

/** Inputs that were taken as weights are left out of what it is given. */
function stepOf(tf: Tf, node: OnnxNode, constants: OnnxGraph['constants']): Step {
  const { op, name, inputs, outputs } = node;
  const make = operators.get(op);
  if (make === undefined) throw new Error(`Expected a known operator, got ${op}`);
  const reader = new NodeReader(node, constants);
  const run = make(tf, reader);
  return { label: `${op} \`${name}\``, run, inputs: inputs.map((input, i) => (reader.taken.has(i) ? '' : input)), outputs };
}

function apply({ label, run, inputs, outputs }: Step, values: Map<string, Value>): void {
  const given = inputs.map((name) => {
    const value = values.get(name);
    if (value === undefined && name !== '') throw new Error(`Expected a value \`${name}\` for ${label}, got none`);
    return value;
  });
  let made: readonly Value[];
  try {
    made = run(given);
  } catch (error) {
    const shapes = given.map((value) => (value === undefined ? '-' : isIntegers(value) ? 'integers' : `[${value.shape.join(', ')}]`));
    throw new Error(`${label} over ${shapes.join(', ')}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  for (const [i, name] of outputs.entries()) {
    const value = made[i];
    if (value !== undefined && name !== '') values.set(name, value);
  }
}
