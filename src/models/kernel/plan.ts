// Lays a network's weights out in the kernel's memory, and fills them in once there is one.
import type { Layer } from './emonet-weights.ts';
import { ownBytes } from './module.ts';
import { packFloats, packWhole } from './weights.ts';

/** A layer of whole numbers: where its weights, what their sums are worth, and its bias lie (0 for none). */
export interface Product {
  readonly inputs: number;
  readonly outputs: number;
  readonly weights: number;
  readonly steps: number;
  readonly bias: number;
}

/** A layer of floats. */
export interface FloatProduct {
  readonly weights: number;
  readonly bias: number;
}

/** Outputs of a block of floats. */
const block = 8;
/** What a processor fetches at once. */
const lineBytes = 64;

/** Hands out addresses, and remembers what belongs there. */
export class Plan {
  readonly #fills: ((memory: ArrayBuffer) => void)[] = [];
  #bytes = ownBytes;

  /** Of all that was handed out. */
  get bytes(): number {
    return this.#bytes;
  }

  take(bytes: number): number {
    const at = this.#bytes;
    this.#bytes += Math.ceil(bytes / lineBytes) * lineBytes;
    return at;
  }

  /** A step of its inputs is worth `inputStep`, or what each row says, if that is 1. `part` of an output is what is wanted of it. */
  product({ matrix, bias }: Layer, inputStep = 1, part: (output: number) => number = () => 1): Product {
    const inputs = 2 * Math.ceil(matrix.inputs / 2);
    const { outputs } = matrix;
    const weights = this.take(2 * inputs * outputs);
    const steps = this.take(4 * outputs);
    this.#fills.push((memory) => {
      const worth = new Float32Array(memory, steps, outputs);
      packWhole(matrix, new Int16Array(memory, weights, inputs * outputs), worth);
      for (const [i, value] of worth.entries()) worth[i] = value * inputStep * part(i);
    });
    return { inputs, outputs, weights, steps, bias: bias === null ? 0 : this.floats(bias.map((value, i) => value * part(i))) };
  }

  floatProduct({ matrix, bias }: Layer): FloatProduct {
    const size = matrix.inputs * Math.ceil(matrix.outputs / block) * block;
    const weights = this.take(4 * size);
    this.#fills.push((memory) => {
      packFloats(matrix, new Float32Array(memory, weights, size));
    });
    return { weights, bias: this.floats(bias ?? []) };
  }

  floats(values: ArrayLike<number>): number {
    const at = this.take(4 * Math.max(block, values.length));
    this.#fills.push((memory) => {
      new Float32Array(memory, at, values.length).set(values);
    });
    return at;
  }

  /** Writes all weights. */
  fill(memory: ArrayBuffer): void {
    for (const fill of this.#fills) fill(memory);
  }
}
