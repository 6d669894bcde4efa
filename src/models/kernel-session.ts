// The session that ships: EmoNet's two networks on a kernel of our own, in the calling thread.
import { readFile } from 'node:fs/promises';
import { messageOf, UndertoneError } from '../errors.ts';
import { EmoNetKernel } from './kernel/emonet.ts';
import { features, hopFrames, kernelStateSize, kernelStepSize, ownStep, windowSteps } from './kernel/emonet-sizes.ts';
import { loadNative, type Vectors } from './kernel/native.ts';
import { kernelNetwork } from './kernel/network.ts';
import { readOnnx } from './onnx-file.ts';
import type { NetworkFiles, Session, StreamShape, TrunkInput, TrunkOutput } from './session.ts';

/** Options of {@link KernelSession.open}. */
export interface KernelSessionOptions extends NetworkFiles {
  /** Whether code that was compiled for this processor is used where it is there, or by which vectors. Scores are the same. @default true */
  readonly native?: boolean | Vectors;
}

/** Weights are whole numbers of 16 bits, inputs of 13; sums are exact. A caller's scores do not depend on who else is in the batch. */
export class KernelSession implements Session {
  readonly stepSize = kernelStepSize;
  readonly tolerance = 1e-2;
  readonly detail: string;
  readonly #kernel: EmoNetKernel;
  readonly #shape: StreamShape;
  #steps = new Float32Array();
  #next = new Float32Array();

  private constructor(kernel: EmoNetKernel, shape: StreamShape, detail: string) {
    this.detail = detail;
    this.#kernel = kernel;
    this.#shape = shape;
  }

  /** Rejects with UT_MODEL_INVALID where the files are not the network that the manifest says. */
  static async open({ trunkPath, headPath, shape, native = true }: KernelSessionOptions): Promise<KernelSession> {
    const compiled = native === false ? { reason: 'as configured' } : loadNative();
    const vectors = 'reason' in compiled ? null : native === true || native === false ? compiled.vectors[0] : native;
    const open = 'reason' in compiled || vectors === null ? undefined : (memory: ArrayBuffer) => compiled.open(memory, vectors);
    try {
      const [trunk, head] = await Promise.all([readFile(trunkPath), readFile(headPath)]);
      const kernel = new EmoNetKernel(readOnnx(trunk), readOnnx(head), open);
      const [expected, got] = [shapeOf(kernel), shape].map((one) => JSON.stringify(one, Object.keys(shapeOf(kernel))));
      if (got !== expected) throw new Error(`Expected sizes ${String(expected)}, got ${String(got)}`);
      return new KernelSession(kernel, shape, 'reason' in compiled ? `WebAssembly: ${compiled.reason}` : String(vectors));
    } catch (error) {
      const message = `Expected \`${trunkPath}\` and \`${headPath}\` to be the network ${kernelNetwork}, got: ${messageOf(error)}`;
      throw new UndertoneError('UT_MODEL_INVALID', message, { cause: error });
    }
  }

  trunk({ batch, features, mask, state }: TrunkInput): Promise<TrunkOutput> {
    const { hopFrames, strideFrames, featureCount } = this.#shape;
    const stepsEach = (hopFrames / strideFrames) * kernelStepSize;
    const { most } = this.#kernel;
    if (batch > most && this.#next.length < batch * kernelStateSize) {
      this.#steps = new Float32Array(batch * stepsEach);
      this.#next = new Float32Array(batch * kernelStateSize);
    }
    for (let from = 0; from < batch; from += most) {
      const to = Math.min(batch, from + most);
      const part = (values: Float32Array, each: number): Float32Array => values.subarray(from * each, to * each);
      const made = this.#kernel.trunk(part(features, hopFrames * featureCount), part(mask, hopFrames), part(state, kernelStateSize));
      if (batch <= most) return Promise.resolve(made);
      this.#steps.set(made.steps, from * stepsEach);
      this.#next.set(made.next, from * kernelStateSize);
    }
    return Promise.resolve({ steps: this.#steps.subarray(0, batch * stepsEach), next: this.#next.subarray(0, batch * kernelStateSize) });
  }

  windows(batch: number): Float32Array | undefined {
    return batch <= this.#kernel.most ? this.#kernel.windows(batch) : undefined;
  }

  head(steps: Float32Array, batch: number): Promise<Float32Array> {
    const { windowFrames, strideFrames, labelCount } = this.#shape;
    const each = (windowFrames / strideFrames) * kernelStepSize;
    const logits = new Float32Array(batch * labelCount);
    const { most } = this.#kernel;
    for (let from = 0; from < batch; from += most) {
      const to = Math.min(batch, from + most);
      const windows = this.#kernel.windows(to - from);
      if (steps.buffer !== windows.buffer) windows.set(steps.subarray(from * each, to * each));
      this.#kernel.score(to - from, logits.subarray(from * labelCount, to * labelCount));
    }
    return Promise.resolve(logits);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** The sizes that a manifest of the network has. */
function shapeOf({ labels }: EmoNetKernel): Omit<StreamShape, 'contextFrames'> {
  const strideFrames = 8;
  return {
    ...{ featureCount: features, windowFrames: windowSteps * strideFrames, hopFrames, strideFrames },
    ...{ stepSize: ownStep, stateSize: kernelStateSize, labelCount: labels },
  };
}
