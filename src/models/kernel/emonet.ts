// EmoNet on the kernel: its layers one after the other, for eight callers at a time, in memory that is laid out once.
import type { OnnxGraph } from '../onnx-file.ts';
import { instantiateKernel, type KernelFunctions } from './module.ts';
import { scratch, type Joined } from './emonet-scratch.ts';
import {
  cepstra,
  channels,
  coarse,
  features,
  fine,
  gates,
  hidden,
  hiddenScores,
  hopFrames,
  kernelStateSize,
  kernelStepSize,
  labelBlock,
  melBands,
  most,
  ownStep,
  paddedSteps,
  pooledMeans,
  row,
  stepBytes,
  units,
  windowSteps,
} from './emonet-sizes.ts';
import { dilations, readEmoNet } from './emonet-weights.ts';
import { Plan, type FloatProduct, type Product } from './plan.ts';
import { greatestInput } from './weights.ts';

/** Rows of a block: how many a caller has, and where they lie. */
interface Rows {
  readonly at: number;
  readonly each: number;
  readonly groupStride: number;
}

/** The network's weights and scratch, of one thread. Calls are synchronous; what they return are views that hold until the next. */
export class EmoNetKernel {
  readonly #functions: KernelFunctions;
  readonly #memory: ArrayBuffer;
  readonly #labels: number;
  readonly #stem: readonly Product[];
  readonly #cepstrum: Product;
  readonly #join: Product;
  readonly #blocks: readonly { readonly dilated: Product; readonly mix: Product }[];
  readonly #inputs: Product;
  /** Of both ways: weights, steps and bias of one behind those of the other, as `lstm` reads them, for all are whole lines. */
  readonly #recurrent: readonly Product[];
  readonly #attention: Product;
  readonly #scores: number;
  readonly #first: FloatProduct;
  readonly #last: FloatProduct;
  readonly #at: ReturnType<typeof scratch>;
  readonly #scales: Float32Array;

  /** Throws where the graphs are not this network's. `native`: as {@link instantiateKernel} takes it. */
  constructor(trunk: OnnxGraph, head: OnnxGraph, native?: Parameters<typeof instantiateKernel>[1]) {
    const known = readEmoNet(trunk, head);
    this.#labels = known.labels;
    const plan = new Plan();
    this.#stem = known.stem.map((layer) => plan.product(layer));
    this.#cepstrum = plan.product(known.cepstrum);
    this.#join = plan.product(known.join);
    this.#blocks = known.blocks.map(({ dilated, mix }) => ({ dilated: plan.product(dilated), mix: plan.product(mix) }));
    this.#inputs = plan.product(known.inputs);
    // Gates go through the logistic function, which is a hyperbolic tangent of half.
    const part = (gate: number): number => (gate < 3 * units ? 0.5 : 1);
    this.#recurrent = known.recurrent.map((layer) => plan.product(layer, 1 / greatestInput, part));
    this.#attention = plan.product(known.attention, 1 / greatestInput);
    this.#scores = plan.floats(known.scores);
    this.#first = plan.floatProduct(known.first);
    this.#last = plan.floatProduct(known.last);
    this.#at = scratch(plan);
    const { memory, functions } = instantiateKernel(plan.bytes, native);
    this.#memory = memory;
    this.#functions = functions;
    this.#scales = this.#floats(this.#at.scales, 1);
    plan.fill(memory);
    // Of memory that holds zeros yet.
    functions.listen(this.#at.windows, windowSteps, this.#recurrentAt, this.#at.silences, this.#at.lstm, this.#at.outputs, this.#at.wholes);
  }

  /** How many there are. */
  get labels(): number {
    return this.#labels;
  }

  /** Most callers of one call. */
  get most(): number {
    return most;
  }

  /**
   * A hop of each of at most {@link most} callers: features `[callers][24][104]`, mask `[callers][24]`, state `[callers][4064]`.
   * What layers remember is `[time][band][channels]` here.
   */
  trunk(own: Float32Array, mask: Float32Array, state: Float32Array): { readonly steps: Float32Array; readonly next: Float32Array } {
    const at = this.#at;
    const callers = mask.length / hopFrames;
    this.#floats(at.features, own.length).set(own);
    this.#floats(at.mask, mask.length).set(mask);
    this.#floats(at.state, state.length).set(state);
    const { copyRows, heard, halve, finishSteps, sums } = this.#functions;
    let offset = at.state;
    for (const { at: to, bytes, past } of at.joined) {
      copyRows(offset, 4 * kernelStateSize, to, bytes, past, callers);
      offset += past;
    }
    heard(at.mask, callers, at.twos, at.fours, at.eights, at.counts, at.shares);
    for (let caller = 0; caller < callers; caller += 1) this.#runStem(caller);
    const [, , , ownCepstra, first, ...others] = at.joined as [Joined, Joined, Joined, Joined, Joined, ...Joined[]];
    const finePlaces = { at: at.joinRows, each: fine * callers, groupStride: 0 };
    this.#quantize(ownCepstra.at, fine, callers, ownCepstra.bytes, 4 * 4 * cepstra, this.#cepstrum.inputs);
    this.#finish(this.#cepstrum, fine * callers, { ...finePlaces, at: at.joinRows + this.#joinOffset }, 4 * this.#join.inputs, true);
    this.#quantize(at.joinRows, fine * callers, 1, 0, 4 * this.#join.inputs, this.#join.inputs);
    this.#finish(this.#join, fine * callers, { at: first.at + first.past, each: fine, groupStride: first.bytes }, row, true, at.fours);
    this.#runBlock(0, first, fine, callers, at.fours, { at: at.made, each: fine, groupStride: fine * row });
    const [second = first] = others;
    halve(at.made, callers, channels, at.shares, second.at + second.past, second.bytes);
    for (const [i, joined] of others.entries()) {
      const next = others[i + 1];
      const to =
        next === undefined
          ? { at: at.made, each: coarse, groupStride: coarse * row }
          : { at: next.at + next.past, each: coarse, groupStride: next.bytes };
      this.#runBlock(i + 1, joined, coarse, callers, at.eights, to);
    }
    const steps = coarse * callers;
    copyRows(at.made, row, at.steps, stepBytes, row, steps);
    sums(at.features, at.mask, at.counts, steps, at.steps + row, stepBytes);
    this.#quantize(at.made, steps, 1, 0, row, channels);
    this.#functions.multiply(at.rows, this.#inputs.weights, at.sums, steps, channels, 2 * gates);
    finishSteps(at.sums, steps, 2 * gates, at.scales, this.#inputs.steps, at.steps + 4 * ownStep, stepBytes);
    offset = at.state;
    for (const { at: from, bytes, past } of at.joined) {
      copyRows(from + bytes - past, bytes, offset, 4 * kernelStateSize, past, callers);
      offset += past;
    }
    return { steps: this.#floats(at.steps, steps * kernelStepSize), next: this.#floats(at.state, callers * kernelStateSize) };
  }

  /** Where the steps of at most {@link most} windows are to be written before {@link score}, `[windows][30][kernelStepSize]`. */
  windows(count: number): Float32Array {
    return this.#floats(this.#at.windows, count * windowSteps * kernelStepSize);
  }

  /**
   * Logits `[windows][labels]` of the windows that were written. What lies before a window's first step in which something was heard is
   * not run: the LSTM begins with what it would remember of it, and nobody asks what it says there.
   */
  score(count: number, out: Float32Array): void {
    const at = this.#at;
    const { first, lstm, multiply, attend, pool, statistics, multiplyFloats } = this.#functions;
    const heardAt = at.windows + 4 * (ownStep - 1);
    first(heardAt, count, windowSteps, stepBytes, at.firsts);
    const firsts = this.#integers(at.firsts, count);
    this.#integers(at.order, count).set([...firsts.keys()].sort((a, b) => (firsts[a] ?? 0) - (firsts[b] ?? 0)));
    lstm(
      ...([at.windows + 4 * ownStep, count, windowSteps, stepBytes, at.order, at.firsts] as const),
      ...([this.#recurrentAt, at.silences, at.lstm, at.outputs, at.wholes] as const),
    );
    const { steps, bias, weights } = this.#attention;
    for (const [window, from] of firsts.entries()) {
      const step = window * windowSteps + from;
      multiply(at.wholes + 4 * units * step, weights, at.sums + 4 * hiddenScores * step, windowSteps - from, 2 * units, hiddenScores);
    }
    attend(at.sums, count, windowSteps, hiddenScores, steps, bias, this.#scores, heardAt, stepBytes, at.firsts, at.attention, at.even);
    const [pooled, deviations] = [4 * 2 * pooledMeans, 4 * pooledMeans];
    const outputRow = 4 * 2 * units;
    pool(
      ...([at.outputs, count, windowSteps, outputRow, windowSteps * outputRow, 2 * units] as const),
      ...([at.attention, 4 * paddedSteps, at.firsts, at.pooled, at.pooled + deviations, pooled] as const),
    );
    const own = at.pooled + outputRow;
    pool(
      ...([at.windows, count, windowSteps, stepBytes, windowSteps * stepBytes, channels] as const),
      ...([at.even, 4 * paddedSteps, at.firsts, own, own + deviations, pooled] as const),
    );
    statistics(at.windows + row, count, windowSteps, stepBytes, own + row, own + row + deviations, pooled);
    multiplyFloats(at.pooled, this.#first.weights, this.#first.bias, at.hidden, count, 2 * pooledMeans, hidden, 1);
    multiplyFloats(at.hidden, this.#last.weights, this.#last.bias, at.logits, count, hidden, labelBlock, 0);
    const logits = this.#floats(at.logits, count * labelBlock);
    for (let i = 0; i < out.length; i += 1) {
      out[i] = logits[Math.floor(i / this.#labels) * labelBlock + (i % this.#labels)] ?? NaN;
    }
  }

  get #joinOffset(): number {
    return 4 * (this.#join.inputs - this.#cepstrum.outputs);
  }

  /** The three convolutions over bands of one caller. */
  #runStem(caller: number): void {
    const at = this.#at;
    const { copyRows, quantizeMap, unfoldBands, unfold, multiply, finishRows } = this.#functions;
    const [mel, one, two, ownCepstra] = at.joined as [Joined, Joined, Joined, Joined];
    const [first, second, third] = this.#stem as [Product, Product, Product];
    const from = at.features + caller * 4 * hopFrames * features;
    const [melAt, oneAt, twoAt] = [mel.at + caller * mel.bytes, one.at + caller * one.bytes, two.at + caller * two.bytes];
    copyRows(from, 4 * features, melAt + mel.past, 4 * melBands, 4 * melBands, hopFrames);
    const cepstraAt = ownCepstra.at + caller * ownCepstra.bytes + ownCepstra.past;
    copyRows(from + 4 * melBands, 4 * features, cepstraAt, 4 * cepstra, 4 * cepstra, hopFrames);

    const finish = (layer: Product, rows: number, gate: number, perGate: number, to: number, group: number, groupStride: number): void => {
      const { outputs, steps, bias } = layer;
      finishRows(at.sums, rows, outputs, at.scales, 0, steps, bias, 1, 0, 0, gate, perGate, to, 4 * outputs, group, groupStride);
    };
    const maps = at.maps;
    this.#scales[0] = quantizeMap(melAt, 25, melBands, 4, maps.mel);
    unfoldBands(maps.mel, 2 * (melBands + 4), 12, 32, at.rows);
    multiply(at.rows, first.weights, at.sums, 12 * 32, first.inputs, first.outputs);
    finish(first, 12 * 32, at.twos + caller * 48, 32, oneAt + one.past, 12 * 32, 0);

    this.#scales[0] = quantizeMap(oneAt, 13, 32 * 16, 32, maps.one);
    unfold(maps.one, 34 * 32, 6, 2, 16, 96, at.rows);
    multiply(at.rows, second.weights, at.sums, 6 * 16, second.inputs, second.outputs);
    finish(second, 6 * 16, at.fours + caller * 24, 16, twoAt + two.past, 6 * 16, 0);

    this.#scales[0] = quantizeMap(twoAt, 8, 16 * 32, 64, maps.two);
    unfold(maps.two, 18 * 64, 6, 1, 8, 192, at.rows);
    multiply(at.rows, third.weights, at.sums, 6 * 8, third.inputs, third.outputs);
    const joinRow = 4 * this.#join.inputs;
    // Not gated: `join` sees one step at a time, and is.
    finish(third, 6 * 8, 0, 1, at.joinRows + caller * fine * joinRow, 8, joinRow);
  }

  /** A residual block over `each` steps a caller. */
  #runBlock(index: number, joined: Joined, each: number, callers: number, gate: number, to: Rows): void {
    const { dilated, mix } = this.#blocks[index] as { dilated: Product; mix: Product };
    const at = this.#at;
    const rows = each * callers;
    const dilation = dilations[index] ?? 1;
    this.#functions.quantizeRows(joined.at, rows, row, each, joined.bytes, 3, dilation * row, channels, at.rows, at.scales);
    this.#finish(dilated, rows, { at: at.inner, each: rows, groupStride: 0 }, row, true);
    this.#quantize(at.inner, rows, 1, 0, row, channels);
    this.#finish(mix, rows, to, row, false, gate, { at: joined.at + joined.past, each, groupStride: joined.bytes });
  }

  #quantize(from: number, each: number, groups: number, groupStride: number, rowStride: number, floats: number): void {
    const { rows, scales } = this.#at;
    this.#functions.quantizeRows(from, each * groups, rowStride, each, groupStride, 1, 0, floats, rows, scales);
  }

  /** Multiplies the rows that were quantized, and writes what comes of them. */
  #finish(layer: Product, rows: number, to: Rows, rowStride: number, cut: boolean, gate = 0, residual: Rows | null = null): void {
    const { sums, scales, rows: from } = this.#at;
    const { inputs, outputs, weights, steps, bias } = layer;
    this.#functions.multiply(from, weights, sums, rows, inputs, outputs);
    this.#functions.finishRows(
      ...([sums, rows, outputs, scales, 4, steps, bias, cut ? 1 : 0] as const),
      ...([residual?.at ?? 0, residual?.groupStride ?? 0, gate, 1, to.at, rowStride, to.each, to.groupStride] as const),
    );
  }

  get #recurrentAt(): number {
    return this.#recurrent[0]?.weights ?? NaN;
  }

  #integers(at: number, count: number): Int32Array {
    return new Int32Array(this.#memory, at, count);
  }

  #floats(at: number, count: number): Float32Array {
    return new Float32Array(this.#memory, at, count);
  }
}
