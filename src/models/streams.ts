// The running streams of many tracks over a session: what the trunk remembers of each, and the steps of its last window.
import { StepRing } from './step-ring.ts';
import type { Session, StreamShape } from './session.ts';

/** New frames of one track. */
export interface StreamItem {
  readonly trackId: string;
  /** The frame before which they end. */
  readonly endFrame: number;
  /** How many there are; a multiple of `hopFrames`. */
  readonly frames: number;
  /** Whether silence came before them, as far as it matters; otherwise they go on where the track's last item ended. */
  readonly fresh: boolean;
}

/** New frames of several tracks, each of which then has a window to be scored; a track occurs once. */
export interface StreamBatch {
  readonly items: readonly StreamItem[];
  /** `[frame][featureCount]`, those of one item after those of the other. */
  readonly features: Float32Array;
  /** `[frame]` */
  readonly mask: Float32Array;
}

interface Stream {
  /** The frame before which it ends. */
  endFrame: number;
  readonly state: Float32Array;
  readonly steps: StepRing;
}

/** A hop of an item. */
interface Row {
  readonly item: StreamItem;
  /** Where its frames begin in the batch. */
  readonly firstFrame: number;
  /** The frame before which it ends. */
  readonly endFrame: number;
  /** Whether silence came before it. */
  readonly fresh: boolean;
}

/** So many released streams are kept however few there are. */
const leastSpare = 16;

/**
 * Runs the trunk on what is new of each track and the head on the last window of each. Not for overlapping calls. Every
 * stream holds `stateSize` and a window's steps, until it is released; the next track then has that memory, of which as much
 * is kept as is in use, or 16 streams: left to the collector, which rarely comes to a thread with so few objects, it piles up.
 */
export class Streams {
  readonly #session: Session;
  readonly #shape: StreamShape;
  readonly #streams = new Map<string, Stream>();
  readonly #spare: Stream[] = [];
  /** Inputs of the networks, kept from run to run: this is too much garbage to make anew each time. */
  #states = new Float32Array();
  #windows = new Float32Array();

  constructor(session: Session, shape: StreamShape) {
    this.#session = session;
    this.#shape = shape;
  }

  /** Tracks of which something is kept. */
  get size(): number {
    return this.#streams.size;
  }

  /**
   * Appends each item to its stream and resolves to the logits of the window that ends with it, `[items][labelCount]`.
   * Rejects where an item does not go on where its stream ended, or a network fails; all streams of the batch are
   * forgotten then, so that nothing half done is ever built upon.
   */
  async run(batch: StreamBatch): Promise<Float32Array> {
    const { items } = batch;
    try {
      for (const rows of this.#hops(batch)) await this.#append(rows, batch);
      return await this.#score(items);
    } catch (error) {
      for (const { trackId } of items) this.#streams.delete(trackId);
      throw error;
    }
  }

  release(trackId: string): void {
    const stream = this.#streams.get(trackId);
    if (stream === undefined) return;
    this.#streams.delete(trackId);
    this.#spare.push(stream);
    const most = Math.max(leastSpare, this.#streams.size);
    if (this.#spare.length > most) this.#spare.length = most;
  }

  /**
   * The hops of the batch, those that can be run together: all items end with the last run, so that usually, when each has one
   * hop, there is one.
   */
  #hops({ items, features, mask }: StreamBatch): Row[][] {
    const { hopFrames, featureCount } = this.#shape;
    if (new Set(items.map(({ trackId }) => trackId)).size < items.length) throw new Error('Expected each track once in a batch');
    const runs: Row[][] = [];
    let firstFrame = 0;
    for (const item of items) {
      const { frames, fresh, endFrame, trackId } = item;
      if (!(frames > 0 && frames % hopFrames === 0)) {
        throw new Error(`Expected a multiple of ${String(hopFrames)} frames, got ${String(frames)}`);
      }
      const reached = this.#streams.get(trackId)?.endFrame;
      if (!fresh && reached !== endFrame - frames) {
        const got = reached === undefined ? 'no stream' : `one that ends at ${String(reached)}`;
        throw new Error(`Expected a stream that ends at frame ${String(endFrame - frames)}, got ${got}`);
      }
      for (let left = frames / hopFrames - 1; left >= 0; left -= 1) {
        const row = { item, firstFrame, endFrame: endFrame - left * hopFrames, fresh: fresh && (left + 1) * hopFrames === frames };
        (runs[left] ??= []).push(row);
        firstFrame += hopFrames;
      }
    }
    if (mask.length !== firstFrame || features.length !== firstFrame * featureCount) {
      const got = `${String(features.length)} features and a mask of ${String(mask.length)}`;
      throw new Error(`Expected ${String(firstFrame)} frames of ${String(featureCount)} features, got ${got}`);
    }
    return runs.reverse();
  }

  async #append(rows: readonly Row[], all: StreamBatch): Promise<void> {
    const { hopFrames, stateSize, strideFrames, featureCount } = this.#shape;
    const batch = rows.length;
    const together = batch * hopFrames === all.mask.length;
    this.#states = atLeast(this.#states, batch * stateSize);
    const state = this.#states.subarray(0, batch * stateSize);
    for (const [row, { item, fresh }] of rows.entries()) {
      const at = row * stateSize;
      const stream = fresh ? undefined : this.#streams.get(item.trackId);
      if (stream === undefined) state.fill(0, at, at + stateSize);
      else state.set(stream.state, at);
    }
    const features = together ? all.features : pick(all.features, rows, hopFrames, featureCount);
    const mask = together ? all.mask : pick(all.mask, rows, hopFrames, 1);
    const { steps, next } = await this.#session.trunk({ batch, features, mask, state });
    const size = (hopFrames / strideFrames) * this.#session.stepSize;
    expectLength('steps', steps, batch * size);
    expectLength('next', next, batch * stateSize);
    for (const [row, each] of rows.entries()) {
      const stream = this.#streamOf(each);
      stream.endFrame = each.endFrame;
      stream.state.set(next.subarray(row * stateSize, (row + 1) * stateSize));
      stream.steps.append(steps.subarray(row * size, (row + 1) * size));
    }
  }

  async #score(items: readonly StreamItem[]): Promise<Float32Array> {
    const { windowFrames, strideFrames, labelCount } = this.#shape;
    const size = (windowFrames / strideFrames) * this.#session.stepSize;
    const windows = this.#session.windows?.(items.length) ?? this.#ownWindows(items.length * size);
    for (const [row, { trackId }] of items.entries()) {
      this.#streams.get(trackId)?.steps.copyTo(windows.subarray(row * size, (row + 1) * size));
    }
    const logits = await this.#session.head(windows, items.length);
    expectLength('logits', logits, items.length * labelCount);
    return logits;
  }

  #ownWindows(size: number): Float32Array {
    this.#windows = atLeast(this.#windows, size);
    return this.#windows.subarray(0, size);
  }

  #streamOf({ item: { trackId }, fresh }: Row): Stream {
    const known = this.#streams.get(trackId);
    const stream = known ?? this.#spare.pop() ?? this.#newStream();
    // Of a track that is new, what another left: its state is written by the trunk.
    if (known === undefined) this.#streams.set(trackId, stream);
    if (known === undefined || fresh) stream.steps.clear();
    return stream;
  }

  #newStream(): Stream {
    const { stateSize, windowFrames, strideFrames } = this.#shape;
    return { endFrame: 0, state: new Float32Array(stateSize), steps: new StepRing(windowFrames / strideFrames, this.#session.stepSize) };
  }
}

/** The frames of some hops, one after the other. */
function pick(values: Float32Array, rows: readonly Row[], frames: number, width: number): Float32Array {
  const out = new Float32Array(rows.length * frames * width);
  for (const [row, { firstFrame }] of rows.entries()) {
    out.set(values.subarray(firstFrame * width, (firstFrame + frames) * width), row * frames * width);
  }
  return out;
}

function atLeast(buffer: Float32Array<ArrayBuffer>, length: number): Float32Array<ArrayBuffer> {
  return buffer.length >= length ? buffer : new Float32Array(length);
}

function expectLength(name: string, values: Float32Array, length: number): void {
  if (values.length !== length) throw new Error(`Expected \`${name}\` to be of ${String(length)} values, got ${String(values.length)}`);
}
