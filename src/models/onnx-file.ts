// Reads a network from an ONNX file: its graph and its weights, for runtimes that do not know the format.
import { fieldsOf, floatsOf, packedVarints } from './protobuf.ts';

/** A constant of the network: weights, or sizes and indices. */
export type OnnxTensor =
  | { readonly type: 'float32'; readonly dims: readonly number[]; readonly data: Float32Array }
  | { readonly type: 'int64'; readonly dims: readonly number[]; readonly data: readonly number[] };

/** The value of a node's attribute. */
export type OnnxAttribute = number | string | readonly number[] | OnnxTensor;

/** One operator at work. An input that is left out has the name ''. */
export interface OnnxNode {
  readonly op: string;
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** A network: its nodes come in an order in which they can be run. */
export interface OnnxGraph {
  /** The version of ONNX's operators that the nodes are of. */
  readonly opset: number;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  readonly nodes: readonly OnnxNode[];
}

/** ONNX's numbers of the element types that occur here. */
const dataTypes = { float: 1, int32: 6, int64: 7 };
const utf8 = new TextDecoder();

/** Reads the bytes of an ONNX file. Throws where they are none, or hold what is not known here (subgraphs, weights beside the file). */
export function readOnnx(bytes: Uint8Array): OnnxGraph {
  let graph: Uint8Array | undefined;
  let opset = 0;
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 7 && value instanceof Uint8Array) graph = value;
    if (number === 8 && value instanceof Uint8Array) opset = Math.max(opset, opsetVersion(value));
  }
  if (graph === undefined) throw new Error('Expected an ONNX model with a graph, got none');
  return { opset, ...readGraph(graph) };
}

/** The version of the standard operators; 0 for another set of them. */
function opsetVersion(bytes: Uint8Array): number {
  let version = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1 && field.kind === 'bytes' && field.value.length > 0) return 0;
    if (field.number === 2 && field.kind === 'varint') version = field.value;
  }
  return version;
}

function readGraph(bytes: Uint8Array): Omit<OnnxGraph, 'opset'> {
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, OnnxTensor>();
  const [inputs, outputs]: [string[], string[]] = [[], []];
  for (const { number, value } of fieldsOf(bytes)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === 1) nodes.push(readNode(value));
    else if (number === 5) constants.set(...readTensor(value));
    else if (number === 11) inputs.push(nameOf(value));
    else if (number === 12) outputs.push(nameOf(value));
  }
  return { nodes, constants, inputs: inputs.filter((name) => !constants.has(name)), outputs };
}

function readNode(bytes: Uint8Array): OnnxNode {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes = new Map<string, OnnxAttribute>();
  const text = { name: '', op: '', domain: '' };
  for (const { number, value } of fieldsOf(bytes)) {
    if (!(value instanceof Uint8Array)) continue;
    if (number === 1) inputs.push(utf8.decode(value));
    else if (number === 2) outputs.push(utf8.decode(value));
    else if (number === 3) text.name = utf8.decode(value);
    else if (number === 4) text.op = utf8.decode(value);
    else if (number === 5) attributes.set(...readAttribute(value));
    else if (number === 7) text.domain = utf8.decode(value);
  }
  const op = text.domain === '' || text.domain === 'ai.onnx' ? text.op : `${text.domain}.${text.op}`;
  return { op, name: text.name, inputs, outputs, attributes };
}

function readAttribute(bytes: Uint8Array): [name: string, value: OnnxAttribute] {
  let name = '';
  let value: OnnxAttribute | undefined;
  const numbers: number[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.kind === 'varint') {
      if (field.number === 3) value = field.value;
      else if (field.number === 8) numbers.push(field.value);
    } else if (field.number === 1) name = utf8.decode(field.value);
    else if (field.number === 2) value = floatsOf(field.value)[0] ?? NaN;
    else if (field.number === 4) value = utf8.decode(field.value);
    else if (field.number === 5) value = readTensor(field.value)[1];
    else if (field.number === 7) numbers.push(...floatsOf(field.value));
    else if (field.number === 8) numbers.push(...packedVarints(field.value));
    else if (field.number === 6) throw new Error(`Expected an attribute that is no subgraph, got \`${name}\``);
  }
  return [name, value ?? numbers];
}

function readTensor(bytes: Uint8Array): [name: string, tensor: OnnxTensor] {
  let [name, dataType] = ['', 0];
  const dims: number[] = [];
  const integers: number[] = [];
  let floats: Float32Array | undefined;
  let raw: Uint8Array | undefined;
  for (const field of fieldsOf(bytes)) {
    if (field.kind === 'varint') {
      if (field.number === 1) dims.push(field.value);
      else if (field.number === 2) dataType = field.value;
      else if (field.number === 5 || field.number === 7) integers.push(field.value);
      else if (field.number === 14 && field.value !== 0) throw new Error(`Expected weights within the file, got \`${name}\` beside it`);
    } else if (field.number === 1) dims.push(...packedVarints(field.value));
    else if (field.number === 4) floats = floatsOf(field.value);
    else if (field.number === 5 || field.number === 7) integers.push(...packedVarints(field.value));
    else if (field.number === 8) name = utf8.decode(field.value);
    else if (field.number === 9) raw = field.value;
  }
  const tensor = typed(dataType, dims, { integers, floats, raw });
  const size = dims.reduce((product, dim) => product * dim, 1);
  if (tensor?.data.length !== size) throw new Error(`Expected \`${name}\` to hold ${String(size)} floats or integers, got other data`);
  return [name, tensor];
}

interface TensorBytes {
  readonly integers: readonly number[];
  readonly floats: Float32Array | undefined;
  readonly raw: Uint8Array | undefined;
}

function typed(dataType: number, dims: readonly number[], { integers, floats, raw }: TensorBytes): OnnxTensor | undefined {
  if (dataType === dataTypes.float) {
    return { type: 'float32', dims, data: raw === undefined ? (floats ?? new Float32Array()) : floatsOf(raw) };
  }
  if (dataType !== dataTypes.int64 && dataType !== dataTypes.int32) return undefined;
  return { type: 'int64', dims, data: raw === undefined ? integers : rawIntegers(raw, dataType === dataTypes.int64 ? 8 : 4) };
}

function rawIntegers(bytes: Uint8Array, size: 4 | 8): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = (index: number): number => (size === 4 ? view.getInt32(index * 4, true) : exactOf(view.getBigInt64(index * 8, true)));
  return Array.from({ length: bytes.length / size }, (_, index) => at(index));
}

/** As within a message: "all" is the largest number of 64 bits. */
function exactOf(value: bigint): number {
  const limit = Number.MAX_SAFE_INTEGER;
  return Math.max(-limit, Math.min(limit, Number(value)));
}

/** The first field of a value's description. */
function nameOf(bytes: Uint8Array): string {
  for (const { number, value } of fieldsOf(bytes)) if (number === 1 && value instanceof Uint8Array) return utf8.decode(value);
  return '';
}
