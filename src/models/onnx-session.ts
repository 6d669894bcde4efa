// The session that ships: trunk and head on one of onnxruntime's execution providers.
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expectPorts, headPorts, trunkPorts } from './ports.ts';
import type { NetworkFiles, Session, StreamShape, TrunkInput, TrunkOutput } from './session.ts';

/** Options of {@link OnnxSession.open}. */
export interface OnnxSessionOptions extends NetworkFiles {
  /** Names of onnxruntime's providers, best first. */
  readonly executionProviders: readonly string[];
  /** Threads that one run may use within an operator. */
  readonly intraOpNumThreads: number;
}

/** Runs the networks in the calling thread, which waits for them. */
export class OnnxSession implements Session {
  readonly tolerance = 1e-4;
  readonly #trunk: InferenceSession;
  readonly #head: InferenceSession;
  readonly #shape: StreamShape;

  private constructor(trunk: InferenceSession, head: InferenceSession, shape: StreamShape) {
    this.#trunk = trunk;
    this.#head = head;
    this.#shape = shape;
  }

  /** Rejects with the runtime's error where a network does not load, and with UT_MODEL_INVALID where one has other inputs or outputs. */
  static async open(options: OnnxSessionOptions): Promise<OnnxSession> {
    const { trunkPath, headPath, shape, executionProviders, intraOpNumThreads } = options;
    const settings: InferenceSession.SessionOptions = {
      executionProviders: [...executionProviders],
      intraOpNumThreads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      logSeverityLevel: 3,
    };
    const trunk = await InferenceSession.create(trunkPath, settings);
    const head = await InferenceSession.create(headPath, settings);
    expectPorts(trunkPath, portsOf(trunk), trunkPorts);
    expectPorts(headPath, portsOf(head), headPorts);
    return new OnnxSession(trunk, head, shape);
  }

  get stepSize(): number {
    return this.#shape.stepSize;
  }

  async trunk({ batch, features, mask, state }: TrunkInput): Promise<TrunkOutput> {
    const { hopFrames, featureCount, stateSize } = this.#shape;
    const { steps, next } = await this.#trunk.run({
      features: new Tensor('float32', features, [batch, hopFrames, featureCount]),
      mask: new Tensor('float32', mask, [batch, hopFrames]),
      state: new Tensor('float32', state, [batch, stateSize]),
    });
    return { steps: floatsOf('steps', steps), next: floatsOf('next', next) };
  }

  async head(steps: Float32Array, batch: number): Promise<Float32Array> {
    const { windowFrames, strideFrames, stepSize } = this.#shape;
    const { logits } = await this.#head.run({ steps: new Tensor('float32', steps, [batch, windowFrames / strideFrames, stepSize]) });
    return floatsOf('logits', logits);
  }

  async close(): Promise<void> {
    await this.#head.release();
    await this.#trunk.release();
  }
}

function portsOf({ inputNames, outputNames }: InferenceSession): { inputs: readonly string[]; outputs: readonly string[] } {
  return { inputs: inputNames, outputs: outputNames };
}

function floatsOf(name: string, tensor: Tensor | undefined): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  throw new Error(`Expected \`${name}\` to be float32, got ${tensor?.type ?? 'nothing'}`);
}
