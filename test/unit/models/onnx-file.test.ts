// Networks as they lie in ONNX files: those of the fixtures, whole, and files that are not what they should be.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOnnx } from '../../../src/models/onnx-file.ts';
import { shippedModelDir } from './speech.ts';
import { tinyModelDir } from './support.ts';

const head = readFileSync(`${tinyModelDir}head.onnx`);

/** A field of a message: a varint, bytes, or text. */
function field(number: number, value: number | bigint | Uint8Array | string): Uint8Array {
  if (typeof value === 'number' || typeof value === 'bigint') return Uint8Array.from([number << 3, ...varint(BigInt(value))]);
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value;
  return Uint8Array.from([(number << 3) | 2, ...varint(BigInt(bytes.length)), ...bytes]);
}

function varint(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return [...bytes, Number(rest)];
}

function message(...fields: Uint8Array[]): Uint8Array {
  return Uint8Array.from(fields.flatMap((one) => [...one]));
}

/** A model of one graph. */
function model(...graph: Uint8Array[]): Uint8Array {
  return message(field(7, message(...graph)));
}

describe('readOnnx', () => {
  it('reads a graph, its weights and its sizes', () => {
    const graph = readOnnx(head);
    expect(graph).toMatchObject({ opset: 13, inputs: ['steps'], outputs: ['logits'] });
    expect(graph.nodes.map(({ op }) => op).join(' ')).toBe(
      'Slice Slice Transpose LSTM Transpose Reshape Mul ReduceSum ReduceSum Max Div Gemm',
    );
    const lstm = graph.nodes[3]!;
    expect(lstm).toMatchObject({ inputs: ['tbc', 'lstm_w', 'lstm_r', 'lstm_b'], outputs: ['t2bh'] });
    expect([...lstm.attributes]).toEqual([
      ['direction', 'bidirectional'],
      ['hidden_size', 4],
    ]);
    expect(graph.nodes[2]!.attributes.get('perm')).toEqual([1, 0, 2]);
    expect(graph.constants.get('two_states')).toEqual({ type: 'int64', dims: [3], data: [0, 0, 8] });
    expect(graph.constants.get('one')).toEqual({ type: 'float32', dims: [], data: Float32Array.of(1) });
    const weights = graph.constants.get('lstm_w')!;
    expect([weights.dims, weights.data.length]).toEqual([[2, 16, 8], 256]);
    // Scaled by 1 / sqrt(8) from a normal distribution: bytes read askew would not be.
    const power = Array.from(weights.data).reduce((sum, value) => sum + value * value, 0) / 256;
    expect(power).toBeGreaterThan(0.08);
    expect(power).toBeLessThan(0.18);
  });

  it('reads what PyTorch exports', () => {
    const trunk = readOnnx(readFileSync(`${shippedModelDir}emonet-trunk.onnx`));
    expect(trunk.inputs.toSorted()).toEqual(['features', 'mask', 'state']);
    expect(trunk.outputs.toSorted()).toEqual(['next', 'steps']);
    const whole = readOnnx(readFileSync(`${shippedModelDir}emonet.onnx`));
    const convolutions = whole.nodes.filter(({ op }) => op === 'Conv');
    expect(convolutions.length).toBeGreaterThan(8);
    expect(new Set(convolutions.map(({ attributes }) => (attributes.get('dilations') as number[])[0]))).toEqual(new Set([1, 2, 4]));
    for (const { inputs } of convolutions) expect(whole.constants.get(inputs[1]!)?.type).toBe('float32');
  });

  it('takes the largest and smallest numbers of 64 bits for "all", in either way of writing them', () => {
    const limits = [2n ** 63n - 1n, -(2n ** 63n), -1n, 7n];
    const numbers = message(...limits.map((value) => field(7, value)));
    const packed = field(7, Uint8Array.from(limits.flatMap(varint)));
    const raw = field(9, new Uint8Array(BigInt64Array.from(limits).buffer));
    const expected = [Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, -1, 7];
    for (const data of [numbers, packed, raw]) {
      const { constants } = readOnnx(model(field(5, message(field(1, 4), field(2, 7), data, field(8, 'x')))));
      expect(constants.get('x')).toEqual({ type: 'int64', dims: [4], data: expected });
    }
  });

  it('leaves weights out of the inputs, as older files list them', () => {
    const weight = message(field(1, 1), field(2, 1), field(9, new Uint8Array(4)), field(8, 'w'));
    const graph = readOnnx(model(field(5, weight), field(11, field(1, 'x')), field(11, field(1, 'w')), field(12, field(1, 'y'))));
    expect(graph).toMatchObject({ inputs: ['x'], outputs: ['y'] });
  });

  const scalar = (...fields: Uint8Array[]) => model(field(5, message(field(8, 'w'), ...fields)));
  const refused: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['nothing', new Uint8Array(), /a graph, got none/],
    ['text', new TextEncoder().encode('not a network'), /Expected .*, got/],
    ['half a file', head.subarray(0, head.length / 2), /more bytes, got/],
    ['weights beside the file', scalar(field(2, 1), field(14, 1)), /weights within the file, got `w` beside it/],
    ['weights of 16 bits', scalar(field(1, 1), field(2, 10), field(9, new Uint8Array(2))), /`w` to hold 1 floats or integers/],
    ['fewer weights than it says', scalar(field(1, 3), field(2, 1), field(9, new Uint8Array(8))), /`w` to hold 3 floats/],
    ['a part of a float', scalar(field(1, 1), field(2, 1), field(9, new Uint8Array(3))), /whole 32-bit floats, got 3 bytes/],
    ['a subgraph', model(field(1, field(5, message(field(1, 'body'), field(6, new Uint8Array()))))), /no subgraph, got `body`/],
    ['a varint without end', new Uint8Array(12).fill(0xff), /a varint of at most 10 bytes/],
  ];

  it.each(refused)('refuses %s', (_name, bytes, message) => {
    expect(() => readOnnx(bytes)).toThrow(message);
  });

  it('ends on any bytes, with a graph or an error', () => {
    const damaged = fc
      .record({ at: fc.nat(head.length - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) })
      .map(({ at, bytes }) => {
        const copy = Uint8Array.from(head);
        copy.set(bytes.subarray(0, copy.length - at), at);
        return copy;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => {
        try {
          expect(readOnnx(bytes).nodes).toBeInstanceOf(Array);
        } catch (error) {
          expect((error as Error).message).toMatch(/^Expected |is not|Invalid/);
        }
      }),
      { numRuns: 300 },
    );
  });
});
