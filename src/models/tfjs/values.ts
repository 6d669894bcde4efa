// What flows through a network on tfjs: tensors of its backend, and sizes and indices, which stay plain numbers.
import type * as tfjs from '@tensorflow/tfjs-core';
import type { OnnxAttribute, OnnxNode, OnnxTensor } from '../onnx-file.ts';

/** The functions of tfjs, whichever package they come from. */
export type Tf = (typeof tfjs)['default'];
export type Tensor = tfjs.Tensor;

/** ONNX's integers: sizes, axes, bounds. They are known before anything runs on the backend, and never go there. */
export interface Integers {
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

export type Value = Tensor | Integers;

/** Runs one node. An input that the node leaves out is undefined. */
export type Run = (inputs: readonly (Value | undefined)[]) => readonly Value[];

/** Whether a value is of plain numbers. */
export function isIntegers(value: Value): value is Integers {
  return !('dataId' in value);
}

/** Throws unless it is a tensor. */
export function tensor(value: Value | undefined): Tensor {
  if (value !== undefined && !isIntegers(value)) return value;
  throw new Error(`Expected a tensor, got ${value === undefined ? 'nothing' : 'integers'}`);
}

/** Throws unless it is of plain numbers. */
export function integers(value: Value | undefined): readonly number[] {
  if (value !== undefined && isIntegers(value)) return value.data;
  throw new Error(`Expected integers, got ${value === undefined ? 'nothing' : 'a tensor'}`);
}

/** A node while it is made ready to run: its attributes, and those of its inputs that are constants. */
export class NodeReader {
  readonly op: string;
  /** Which inputs were taken as weights: the run needs them no more. */
  readonly taken = new Set<number>();
  readonly #node: OnnxNode;
  readonly #constants: ReadonlyMap<string, OnnxTensor>;

  constructor(node: OnnxNode, constants: ReadonlyMap<string, OnnxTensor>) {
    this.op = node.op;
    this.#node = node;
    this.#constants = constants;
  }

  number(name: string, otherwise: number): number {
    const value = this.#node.attributes.get(name) ?? otherwise;
    if (typeof value === 'number') return value;
    throw this.#fault(`a number as \`${name}\``, value);
  }

  numbers(name: string, otherwise: readonly number[]): readonly number[] {
    const value = this.#node.attributes.get(name) ?? otherwise;
    if (Array.isArray(value)) return value as readonly number[];
    throw this.#fault(`numbers as \`${name}\``, value);
  }

  text(name: string, otherwise: string): string {
    const value = this.#node.attributes.get(name) ?? otherwise;
    if (typeof value === 'string') return value;
    throw this.#fault(`text as \`${name}\``, value);
  }

  tensor(name: string): OnnxTensor | undefined {
    const value = this.#node.attributes.get(name);
    if (value === undefined) return undefined;
    if (typeof value === 'object' && 'data' in value) return value;
    throw this.#fault(`a tensor as \`${name}\``, value);
  }

  /** An input that has to be one of the network's weights. */
  weights(index: number): OnnxTensor & { readonly type: 'float32' } {
    const constant = this.#constants.get(this.#node.inputs[index] ?? '');
    if (constant?.type === 'float32') {
      this.taken.add(index);
      return constant;
    }
    throw this.#fault(`input ${String(index)} to be weights`, constant?.type ?? 'something that is computed');
  }

  hasInput(index: number): boolean {
    return (this.#node.inputs[index] ?? '') !== '';
  }

  /** Throws unless an attribute has the one value that is known here. */
  require(name: string, expected: number | string, otherwise: number | string = expected): void {
    const value = this.#node.attributes.get(name) ?? otherwise;
    if (value !== expected) throw this.#fault(`\`${name}\` to be ${String(expected)}`, value);
  }

  #fault(expected: string, got: OnnxAttribute): Error {
    const { op, name } = this.#node;
    return new Error(
      `Expected ${expected} of ${op} \`${name}\`, got \`${typeof got === 'object' ? JSON.stringify(got).slice(0, 60) : String(got)}\``,
    );
  }
}
