// The bookkeeping between a session and its callers: what is sent, what is kept, and that no history changes a score.
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { loadManifest, streamShape } from '../../../src/models/manifest.ts';
import { OnnxSession } from '../../../src/models/onnx-session.ts';
import type { Session, TrunkInput } from '../../../src/models/session.ts';
import { StepRing } from '../../../src/models/step-ring.ts';
import { StreamFeed } from '../../../src/models/stream-feed.ts';
import { Streams, type StreamBatch } from '../../../src/models/streams.ts';
import { expectGolden, goldenCallers, goldenCount, goldenWindow } from './golden.ts';
import { threadOf, tinyManifest, tinyModelDir } from './support.ts';

const shape = streamShape(tinyManifest);
const { hopFrames } = shape;

/** The tiny model's session, which counts what it runs and fails on demand. */
class WatchedSession implements Session {
  /** Batches of its runs of the trunk. */
  readonly trunks: number[] = [];
  readonly tolerance = 1e-4;
  failing: 'trunk' | 'head' | null = null;
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  get stepSize() {
    return this.#session.stepSize;
  }

  async trunk(input: TrunkInput) {
    if (this.failing === 'trunk') throw new Error('trunk failed on purpose');
    this.trunks.push(input.batch);
    return this.#session.trunk(input);
  }

  async head(steps: Float32Array, batch: number) {
    if (this.failing === 'head') throw new Error('head failed on purpose');
    return this.#session.head(steps, batch);
  }

  close() {
    return this.#session.close();
  }
}

let onnx: OnnxSession;
let session: WatchedSession;
let streams: Streams;
let feed: StreamFeed;

beforeAll(async () => {
  onnx = await OnnxSession.open(threadOf(await loadManifest(tinyModelDir)));
});

afterAll(() => onnx.close());

beforeEach(() => {
  session = new WatchedSession(onnx);
  streams = new Streams(session, shape);
  feed = new StreamFeed(shape);
});

/** Scores windows of the fixture's callers; forgets their streams on both sides where that fails, as an engine does. */
async function run(...windows: [caller: number, index: number][]): Promise<void> {
  const batch = feed.pack(windows.map(([caller, index]) => goldenWindow(caller, index)));
  try {
    expectGolden(await streams.run(batch), windows);
  } catch (error) {
    for (const { trackId } of batch.items) feed.forget(trackId);
    throw error;
  }
}

describe('StreamFeed', () => {
  const itemOf = (caller: number, index: number) => {
    const { frames, fresh } = feed.pack([goldenWindow(caller, index)]).items[0]!;
    return { hops: frames / hopFrames, fresh };
  };

  it('sends a new track what was heard, from the hop in which it began', () => {
    // Caller 0 is silent for two hops and ten frames more.
    expect(itemOf(0, 3)).toEqual({ hops: 2, fresh: true });
    expect(itemOf(1, 19)).toEqual({ hops: 5, fresh: true });
  });

  it('sends the next window its new hop alone', () => {
    itemOf(0, 3);
    expect(itemOf(0, 4)).toEqual({ hops: 1, fresh: false });
    expect(itemOf(0, 7)).toEqual({ hops: 3, fresh: false });
  });

  it('begins anew rather than send more than that', () => {
    // Caller 1 is silent in hops 8 to 12: of the window after hop 15, three hops are new and heard, nine are new.
    itemOf(1, 6);
    expect(itemOf(1, 15)).toEqual({ hops: 3, fresh: true });
    expect(itemOf(1, 19)).toEqual({ hops: 4, fresh: false });
    itemOf(2, 0);
    expect(itemOf(2, 19)).toEqual({ hops: 5, fresh: true });
  });

  it('begins anew where a window comes again, or one before it', () => {
    itemOf(0, 9);
    expect(itemOf(0, 9)).toEqual({ hops: 5, fresh: true });
    expect(itemOf(0, 8)).toEqual({ hops: 5, fresh: true });
    expect(itemOf(0, 9)).toEqual({ hops: 1, fresh: false });
  });

  it('begins anew where an utterance begins in the hop after the last one sent: the stream holds the one before', () => {
    const block = { features: new Int16Array(25 * 104), mask: new Float32Array(25) };
    const item = (endFrame: number, heard: number) => {
      const blocks = [...Array<null>(5 - heard).fill(null), ...Array<typeof block>(heard).fill(block)];
      const { frames, fresh } = feed.pack([{ trackId: 'a', endFrame, blocks }]).items[0]!;
      return { hops: frames / 25, fresh };
    };
    expect(item(100, 4)).toEqual({ hops: 4, fresh: true });
    expect(item(125, 5)).toEqual({ hops: 1, fresh: false });
    // The assembler forgot what lay before; the two hops since are all that it knows.
    expect(item(175, 2)).toEqual({ hops: 2, fresh: true });
    expect(item(200, 3)).toEqual({ hops: 1, fresh: false });
  });

  it('sends a window in which nothing was heard one hop of silence', () => {
    const blocks = Array<null>(5).fill(null);
    const { items, features, mask } = feed.pack([{ trackId: 'a', endFrame: 50, blocks }]);
    expect(items).toEqual([{ trackId: 'a', endFrame: 50, frames: 25, fresh: true }]);
    expect([features.length, mask.length]).toEqual([25 * 104, 25]);
    expect(features.every((value) => value === 0) && mask.every((value) => value === 0)).toBe(true);
  });

  it('begins anew once told that the thread has nothing', () => {
    itemOf(0, 9);
    itemOf(1, 9);
    itemOf(2, 9);
    expect([feed.forget('golden-0'), feed.forget('golden-0'), feed.size]).toEqual([true, false, 2]);
    expect([itemOf(0, 10).fresh, itemOf(1, 10).fresh]).toEqual([true, false]);
    feed.clear();
    expect([itemOf(1, 11).fresh, feed.size]).toEqual([true, 1]);
  });
});

describe('Streams', () => {
  it('runs the trunk over new hops alone, those of several tracks together, and the head once', async () => {
    // Caller 2 was silent up to hop 8, so that it has two hops and the others have five: its two go with their last.
    await run([0, 9], [1, 9], [2, 9]);
    expect(session.trunks).toEqual([2, 2, 2, 3, 3]);
    await run([0, 10], [1, 10], [2, 10]);
    expect(session.trunks.slice(5)).toEqual([3]);
    await run([0, 12], [1, 11], [2, 11]);
    expect(session.trunks.slice(6)).toEqual([1, 3]);
  });

  it('gives no track anything of another, whichever rows they lie in', async () => {
    for (let index = 0; index < goldenCount; index += 1) {
      const rows = [0, 1, 2].map((row): [number, number] => [(row + index) % goldenCallers, index]);
      await run(...rows);
    }
    expect(streams.size).toBe(goldenCallers);
  });

  it('keeps nothing of a track that was released', async () => {
    for (let index = 0; index < 1000; index += 1) {
      const batch = feed.pack([goldenWindow(1, index % goldenCount, `t${String(index)}`)]);
      await streams.run(batch);
      streams.release(`t${String(index)}`);
      feed.forget(`t${String(index)}`);
    }
    expect([streams.size, feed.size]).toEqual([0, 0]);
    streams.release('t0');
  });

  it.each(['trunk', 'head'] as const)('forgets the streams of a batch whose %s failed, and no others', async (network) => {
    await run([0, 7], [1, 7], [2, 7]);
    session.failing = network;
    await expect(run([0, 8], [2, 9])).rejects.toThrow(`${network} failed on purpose`);
    expect(streams.size).toBe(1);
    session.failing = null;
    await run([1, 8], [0, 9], [2, 10]);
  });

  const item = (change: object) => ({ trackId: 'golden-0', endFrame: 200, frames: 25, fresh: false, ...change });
  const frames = (count: number) => ({ features: new Float32Array(count * 104), mask: new Float32Array(count) });
  const malformed: readonly (readonly [string, StreamBatch, RegExp])[] = [
    ['frames that do not follow', { items: [item({ endFrame: 225 })], ...frames(25) }, /ends at frame 200, got one that ends at 175/],
    ['frames of an unknown track', { items: [item({ trackId: 'x' })], ...frames(25) }, /ends at frame 175, got no stream/],
    ['half a step', { items: [item({ frames: 23, fresh: true })], ...frames(23) }, /multiple of 25 frames, got 23/],
    ['no frames', { items: [item({ frames: 0, fresh: true })], ...frames(0) }, /multiple of 25 frames, got 0/],
    ['fewer frames than it says', { items: [item({})], ...frames(20) }, /25 frames of 104 features, got 2080 features/],
    ['a track twice', { items: [item({}), item({ endFrame: 225, frames: 50 })], ...frames(75) }, /each track once/],
  ];

  it.each(malformed)('refuses a batch of %s before it runs any of it', async (_name, batch, message) => {
    await run([0, 6], [1, 6]);
    await expect(streams.run(batch)).rejects.toThrow(message);
    expect(session.trunks).toEqual([2, 2, 2, 2, 2]);
    for (const { trackId } of batch.items) feed.forget(trackId);
    await run([0, 7], [1, 7]);
  });

  it('refuses networks that give other sizes than the manifest says', async () => {
    const trunk = () => Promise.resolve({ steps: new Float32Array(7), next: new Float32Array(shape.stateSize) });
    const sizes = { stepSize: shape.stepSize, tolerance: 0 };
    const odd = new Streams({ ...sizes, trunk, head: session.head.bind(session), close: () => Promise.resolve() }, shape);
    await expect(odd.run(feed.pack([goldenWindow(0, 4)]))).rejects.toThrow('Expected `steps` to be of 45 values, got 7');
  });

  it('gives a window the same score whatever happened before it', async () => {
    const window = fc.record({ caller: fc.nat(goldenCallers - 1), hops: fc.integer({ min: -2, max: 7 }) });
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.record({ kind: fc.constant('run' as const), windows: fc.array(window, { minLength: 1, maxLength: 6 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('release' as const), caller: fc.nat(goldenCallers - 1) }) },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('fail' as const), network: fc.constantFrom('trunk' as const, 'head' as const) }),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        streams = new Streams(session, shape);
        feed = new StreamFeed(shape);
        const at = Array<number>(goldenCallers).fill(0);
        for (const one of steps) {
          if (one.kind === 'run') {
            const due = new Map<number, number>();
            for (const { caller, hops } of one.windows) {
              at[caller] = Math.max(0, ((at[caller] ?? 0) + hops) % goldenCount);
              due.set(caller, at[caller]);
            }
            await run(...due);
          } else if (one.kind === 'release') {
            feed.forget(`golden-${String(one.caller)}`);
            streams.release(`golden-${String(one.caller)}`);
          } else if (one.kind === 'fail') {
            session.failing = one.network;
            await expect(run([1, at[1] ?? 0])).rejects.toThrow('on purpose');
            session.failing = null;
          } else {
            streams = new Streams(session, shape);
            feed.clear();
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('StepRing', () => {
  it('shows the newest steps, oldest first, however they came', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 20 }), (counts) => {
        const ring = new StepRing(4, 2);
        const all = Array<number>(8).fill(0);
        let next = 1;
        for (const count of counts) {
          const steps = Float32Array.from({ length: 2 * count }, () => next++);
          ring.append(steps);
          all.push(...steps);
          const out = new Float32Array(8);
          ring.copyTo(out);
          expect([...out]).toEqual(all.slice(-8));
        }
      }),
    );
  });

  it('is silence at first, and once cleared', () => {
    const ring = new StepRing(3, 1);
    const out = new Float32Array(3).fill(9);
    ring.copyTo(out);
    expect([...out]).toEqual([0, 0, 0]);
    ring.append(Float32Array.of(1, 2));
    ring.clear();
    ring.append(Float32Array.of(3));
    ring.copyTo(out);
    expect([...out]).toEqual([0, 0, 3]);
  });
});
