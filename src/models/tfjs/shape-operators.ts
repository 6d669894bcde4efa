// The operators that move values and do not change them: constants, shapes, slices.
import type { OnnxTensor } from '../onnx-file.ts';
import { integers, isIntegers, tensor, type NodeReader, type Run, type Tf, type Value } from './values.ts';

/** A constant as it flows: weights go to the backend. */
export function constantOf(tf: Tf, { type, dims, data }: OnnxTensor): Value {
  return type === 'float32' ? tf.tensor(data, [...dims]) : { dims, data };
}

export function constantNode(tf: Tf, node: NodeReader): Run {
  const value = node.tensor('value');
  if (value === undefined) throw new Error('Expected a Constant to be a tensor, got another kind');
  const made = constantOf(tf, value);
  return () => [made];
}

export function constantOfShape(tf: Tf, node: NodeReader): Run {
  const value = node.tensor('value') ?? { type: 'float32', dims: [1], data: Float32Array.of(0) };
  const fill = value.data[0] ?? 0;
  return ([shape]) => {
    const dims = [...integers(shape)];
    if (value.type === 'float32') return [tf.fill(dims, fill)];
    return [{ dims, data: Array<number>(dims.reduce((size, dim) => size * dim, 1)).fill(fill) }];
  };
}

export function concat(tf: Tf, node: NodeReader): Run {
  const axis = node.number('axis', 0);
  return (values) => {
    const parts = values.filter((value) => value !== undefined);
    if (!parts.every(isIntegers)) return [tf.concat(parts.map(tensor), axis)];
    const data = parts.flatMap((part) => part.data);
    return [{ dims: [data.length], data }];
  };
}

export function flatten(tf: Tf, node: NodeReader): Run {
  const axis = node.number('axis', 1);
  return ([value]) => {
    const x = tensor(value);
    const rows = x.shape.slice(0, axis).reduce((size, dim) => size * dim, 1);
    return [tf.reshape(x, [rows, x.size / rows])];
  };
}

/** One index along an axis, or a list of them, which is all that the networks ask for. */
export function gather(tf: Tf, node: NodeReader): Run {
  const axis = node.number('axis', 0);
  return ([value, indices]) => {
    if (value === undefined || indices === undefined || !isIntegers(indices) || indices.dims.length > 1) {
      throw new Error('Expected Gather to take an index or a list of them, got others');
    }
    const [index = 0] = indices.data;
    if (isIntegers(value)) {
      if (indices.dims.length > 0) throw new Error('Expected Gather to take one index of integers, got a list');
      return [{ dims: [], data: [value.data.at(index) ?? NaN] }];
    }
    if (indices.dims.length > 0) return [tf.gather(value, tf.tensor1d([...indices.data], 'int32'), axis)];
    const from = value.shape.map((size, i) => (i === axis ? (index + size) % size : 0));
    const size = value.shape.map((all, i) => (i === axis ? 1 : all));
    return [
      tf.reshape(
        tf.slice(value, from, size),
        value.shape.filter((_, i) => i !== axis),
      ),
    ];
  };
}

export function pad(tf: Tf, node: NodeReader): Run {
  node.require('mode', 'constant');
  return ([value, sizes, fill]) => {
    const x = tensor(value);
    const pads = integers(sizes);
    if (fill !== undefined) throw new Error('Expected Pad to add zeros, got a value of its own');
    if (pads.every((size) => size === 0)) return [x];
    return [
      tf.pad(
        x,
        x.shape.map((_, axis): [number, number] => [pads[axis] ?? 0, pads[x.rank + axis] ?? 0]),
      ),
    ];
  };
}

export function reshape(tf: Tf, node: NodeReader): Run {
  node.require('allowzero', 0);
  return ([value, shape]) => {
    const x = tensor(value);
    return [
      tf.reshape(
        x,
        integers(shape).map((size, axis) => (size === 0 ? (x.shape[axis] ?? 0) : size)),
      ),
    ];
  };
}

export function slice(tf: Tf): Run {
  return ([value, starts, ends, axes, steps]) => {
    if (value === undefined) throw new Error('Expected Slice to have data, got none');
    if (steps !== undefined && integers(steps).some((step) => step !== 1)) {
      throw new Error('Expected Slice to take every element, got steps');
    }
    const shape = isIntegers(value) ? value.dims : value.shape;
    const [from, size] = [shape.map(() => 0), [...shape]];
    const all = axes === undefined ? integers(starts).map((_, i) => i) : integers(axes);
    for (const [i, given] of all.entries()) {
      const axis = given < 0 ? given + shape.length : given;
      const length = shape[axis] ?? 0;
      const bound = (position: number): number => Math.min(length, Math.max(0, position < 0 ? position + length : position));
      const [first, last] = [bound(integers(starts)[i] ?? 0), bound(integers(ends)[i] ?? 0)];
      from[axis] = first;
      size[axis] = Math.max(0, last - first);
    }
    if (!isIntegers(value)) return [tf.slice(value, from, size)];
    const data = value.data.slice(from[0], (from[0] ?? 0) + (size[0] ?? 0));
    return [{ dims: [data.length], data }];
  };
}

export function split(tf: Tf, node: NodeReader): Run {
  const axis = node.number('axis', 0);
  return ([x, sizes]) => tf.split(tensor(x), [...integers(sizes)], axis);
}

export function squeeze(tf: Tf): Run {
  return ([value, axes]) => {
    const at = integers(axes);
    if (at.length !== 1 || (at[0] ?? -1) < 0) throw new Error('Expected Squeeze to take one axis off, got others');
    return [tf.squeeze(tensor(value), [...at])];
  };
}

export function unsqueeze(tf: Tf): Run {
  return ([value, axes]) => {
    const at = integers(axes);
    if (value === undefined || at.length !== 1 || (at[0] ?? -1) < 0) throw new Error('Expected Unsqueeze to add one axis, got others');
    if (isIntegers(value)) return [{ dims: [1], data: value.data }];
    return [tf.reshape(value, value.shape.toSpliced(at[0] ?? 0, 0, 1))];
  };
}
