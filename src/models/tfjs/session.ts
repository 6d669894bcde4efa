// The model's networks on tfjs: the same files as onnxruntime's, the same weights, other arithmetic.
import { readFile } from 'node:fs/promises';
import { UndertoneError, messageOf } from '../../errors.ts';
import { readOnnx, type OnnxGraph } from '../onnx-file.ts';
import type { NetworkFiles, Session, StreamShape, TrunkInput, TrunkOutput } from '../session.ts';
import { expectPorts, headPorts, trunkPorts } from '../ports.ts';
import { TfjsNetwork } from './network.ts';
import type { Tf } from './values.ts';

/** Runs the networks in the calling thread, on the backend that tfjs has in force. */
export class TfjsSession implements Session {
  readonly tolerance = 1e-4;
  readonly #trunk: TfjsNetwork;
  readonly #head: TfjsNetwork;
  readonly #shape: StreamShape;

  private constructor(trunk: TfjsNetwork, head: TfjsNetwork, shape: StreamShape) {
    this.#trunk = trunk;
    this.#head = head;
    this.#shape = shape;
  }

  /** Rejects where a file is no network that can be run here, and with UT_MODEL_INVALID where one has other inputs or outputs. */
  static async open(tf: Tf, { trunkPath, headPath, shape }: NetworkFiles): Promise<TfjsSession> {
    const [trunk, head] = await Promise.all([readNetwork(trunkPath), readNetwork(headPath)]);
    expectPorts(trunkPath, trunk, trunkPorts);
    expectPorts(headPath, head, headPorts);
    return new TfjsSession(new TfjsNetwork(tf, trunk), new TfjsNetwork(tf, head), shape);
  }

  get stepSize(): number {
    return this.#shape.stepSize;
  }

  async trunk({ batch, features, mask, state }: TrunkInput): Promise<TrunkOutput> {
    const { hopFrames, featureCount, stateSize } = this.#shape;
    const { steps, next } = await this.#trunk.run({
      features: { data: features, shape: [batch, hopFrames, featureCount] },
      mask: { data: mask, shape: [batch, hopFrames] },
      state: { data: state, shape: [batch, stateSize] },
    });
    if (steps === undefined || next === undefined) throw new Error('Expected the trunk to give `steps` and `next`, got less');
    return { steps, next };
  }

  async head(steps: Float32Array, batch: number): Promise<Float32Array> {
    const { windowFrames, strideFrames, stepSize } = this.#shape;
    const { logits } = await this.#head.run({ steps: { data: steps, shape: [batch, windowFrames / strideFrames, stepSize] } });
    if (logits === undefined) throw new Error('Expected the head to give `logits`, got nothing');
    return logits;
  }

  close(): Promise<void> {
    this.#head.dispose();
    this.#trunk.dispose();
    return Promise.resolve();
  }
}

async function readNetwork(path: string): Promise<OnnxGraph> {
  try {
    return readOnnx(await readFile(path));
  } catch (error) {
    throw new UndertoneError(
      'UT_ENGINE_UNAVAILABLE',
      `Expected \`${path}\` to be an ONNX file that can be read here, got: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
