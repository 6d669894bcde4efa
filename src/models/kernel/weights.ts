// The weights of a network's layers as the kernel reads them: in whole numbers of 16 bits, in blocks of 8 outputs.

/** Greatest whole number of an input: as in `assembly/quantize.ts`. */
export const greatestInput = 4095;
/** What the weights of an output may come to together, so that no sum of products leaves 32 bits. */
const greatestSum = 524_000;
const greatestWeight = 32_767;
/** Outputs of a block. */
const block = 8;

/** Weights of one output after another: `weightOf(input, output)`. */
export interface Matrix {
  readonly inputs: number;
  readonly outputs: number;
  readonly weightOf: (input: number, output: number) => number;
}

/**
 * Fills `weights` (`outputs` to the next 8 × `inputs` to the next 2) and `steps`, what a sum of products is worth for each output
 * where an input's step is worth 1.
 */
export function packWhole({ inputs, outputs, weightOf }: Matrix, weights: Int16Array, steps: Float32Array): void {
  const pairs = Math.ceil(inputs / 2);
  for (let output = 0; output < outputs; output += 1) {
    let [most, sum] = [0, 0];
    for (let input = 0; input < inputs; input += 1) {
      const size = Math.abs(weightOf(input, output));
      most = Math.max(most, size);
      sum += size;
    }
    // What is no number of single precision counts as 0.
    const factor = most < 1e-30 ? 1 : Math.min(greatestWeight / most, greatestSum / sum);
    steps[output] = 1 / factor;
    const first = Math.floor(output / block) * pairs * 2 * block + 2 * (output % block);
    for (let input = 0; input < inputs; input += 1) {
      weights[first + Math.floor(input / 2) * 2 * block + (input % 2)] = Math.round(weightOf(input, output) * factor);
    }
  }
}

/** Fills `weights`, `outputs` to the next 8 × `inputs`, for products of floats. */
export function packFloats({ inputs, outputs, weightOf }: Matrix, weights: Float32Array): void {
  for (let output = 0; output < outputs; output += 1) {
    const first = Math.floor(output / block) * inputs * block + (output % block);
    for (let input = 0; input < inputs; input += 1) weights[first + input * block] = weightOf(input, output);
  }
}
