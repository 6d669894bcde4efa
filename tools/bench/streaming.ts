// What streaming saves: whole windows, context and all, against trunk and head, on one thread.
import { streamShape, type LoadedModel } from '../../src/models/manifest.ts';
import { KernelSession } from '../../src/models/kernel-session.ts';
import { loadNative } from '../../src/models/kernel/native.ts';
import type { OnnxSession } from '../../src/models/onnx-session.ts';
import type { Session } from '../../src/models/session.ts';
import { StreamFeed } from '../../src/models/stream-feed.ts';
import { Streams } from '../../src/models/streams.ts';
import type { FeatureWindow } from '../../src/pipeline/types.ts';
import { WholeNetwork } from '../models/whole-network.ts';
import { callers } from './inference.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Variant } from './rounds.ts';
import { mainThreadSession, shippedModel, speechWindows } from './speech.ts';

/** The networks, and the windows that each way scores. */
interface Setting {
  readonly model: LoadedModel;
  readonly windows: readonly FeatureWindow[];
  readonly whole: WholeNetwork;
  readonly session: OnnxSession;
  readonly streams: Streams;
  readonly feed: StreamFeed;
  /** The same with the head in integers of 8 bits. */
  readonly int8: Streamed;
  /** All of it in 16 bits on our kernel, in WebAssembly and by all vectors that it was compiled for and the processor has. */
  readonly kernels: readonly (Streamed & { readonly way: string })[];
}

interface Streamed {
  readonly streams: Streams;
  readonly feed: StreamFeed;
}

const batchSizes = [1, 8];
const windowCount = 64;
const rounds = 15;
/** One window's share of a core at most, in batches of eight. */
const requiredMs = 0.6;
/** Greatest difference of a logit between the ways. */
const maxDifference = 1e-4;
/** Greatest difference of a logit by which the head in 8-bit integers may miss, and our kernel. */
const maxInt8Difference = 0.1;
const maxInt16Difference = 0.01;
const ways = {
  whole: 'whole windows',
  streaming: 'streaming: trunk and head',
  int8: 'the same, head in 8-bit integers',
  trunk: 'trunk alone, one hop',
  head: 'head alone',
};

/** Scores the same windows of speech in every way, in batches of one and of eight callers. */
export async function measureStreaming(): Promise<BenchmarkResult> {
  const model = await shippedModel();
  const shape = streamShape(model.manifest);
  const session = await mainThreadSession(model);
  const whole = await WholeNetwork.open(model);
  const windows = await speechWindows(windowCount + 1, model.frontEnd);
  const int8Session = await mainThreadSession(model, model.paths.headInt8);
  const { trunk: trunkPath, head: headPath } = model.paths;
  const compiled = loadNative();
  const natives = [false, ...('vectors' in compiled ? compiled.vectors.toReversed() : [])] as const;
  const kernels = await Promise.all(natives.map((native) => KernelSession.open({ trunkPath, headPath, shape, native })));
  const streamed = (own: Session): Streamed => ({ streams: new Streams(own, shape), feed: new StreamFeed(shape) });
  const setting = {
    model,
    windows,
    whole,
    session,
    ...streamed(session),
    int8: streamed(int8Session),
    kernels: kernels.map((kernel, i) => ({
      ...streamed(kernel),
      way: `our kernel in 16-bit integers, ${natives[i] === false ? 'WebAssembly' : natives[i]}`,
    })),
  };
  await checkScores(setting);
  const timings = await compare(
    batchSizes.flatMap((batch) => variantsOf(setting, batch)),
    rounds,
  );
  await Promise.all([whole.close(), session.close(), int8Session.close()]);

  const timing = (way: string, batch: number) => timings.find(({ name }) => name === nameOf(way, batch));
  const minMs = (way: string, batch: number): number => (timing(way, batch)?.minUs ?? NaN) / 1000;
  const rows = batchSizes.flatMap((batch) =>
    [...Object.values(ways), ...setting.kernels.map(({ way }) => way)].map((way) => ({
      way,
      'windows a batch': batch,
      'ms a window, min': minMs(way, batch),
      'ms a window, median': (timing(way, batch)?.medianUs ?? NaN) / 1000,
      'whole windows take': minMs(ways.whole, batch) / minMs(way, batch),
    })),
  );
  const streamedMs = minMs(ways.streaming, 8);
  const slow = `a streamed window in batches of 8 takes ${streamedMs.toFixed(2)} ms, more than ${String(requiredMs)} ms`;
  const about =
    `Windows of ${String(shape.windowFrames)} frames after a context of ${String(shape.contextFrames)}, every ${String(shape.hopFrames)} ` +
    `frames. CPU time of one thread, ${String(rounds)} interleaved rounds; the ratio is of the best. ` +
    `The last row serves. The logits of every window agree to ${String(maxDifference)}, with the head in 8-bit integers to ${String(maxInt8Difference)}, on our kernel to ${String(maxInt16Difference)}.`;
  return { name: 'streaming', about, rows, failures: streamedMs <= requiredMs ? [] : [slow] };
}

/** A comparison is worth something only between things that do the same. */
async function checkScores({ windows, whole, streams, feed, int8, kernels }: Setting): Promise<void> {
  for (const { endFrame, blocks } of windows) {
    const window = { trackId: 'check', endFrame, blocks };
    const expected = await whole.run(whole.gather([{ blocks }]));
    for (const [streamed, most] of [
      [await streams.run(feed.pack([window])), maxDifference],
      [await int8.streams.run(int8.feed.pack([window])), maxInt8Difference],
      ...(await Promise.all(
        kernels.map(async (kernel) => [await kernel.streams.run(kernel.feed.pack([window])), maxInt16Difference] as const),
      )),
    ] as const) {
      const differs = expected.some((value, i) => !(Math.abs(value - (streamed[i] ?? NaN)) <= most));
      if (differs) throw new Error(`Expected streaming to score as whole windows do to ${String(most)}, got other logits`);
    }
  }
}

function variantsOf({ model, windows, whole, session, streams, feed, int8, kernels }: Setting, batch: number): Variant[] {
  const { hopFrames, windowFrames, strideFrames, stepSize, stateSize, featureCount } = streamShape(model.manifest);
  const wholes = Array.from({ length: windowCount / batch }, (_, at) => whole.gather(windows.slice(at * batch, (at + 1) * batch)));
  const streamed = callers(windows, batch, (due) => streams.run(feed.pack(due)));
  const streamedInt8 = callers(windows, batch, (due) => int8.streams.run(int8.feed.pack(due)));
  const { features, mask } = new StreamFeed({ hopFrames, featureCount }).pack(
    Array.from({ length: batch }, (_, caller) => ({ trackId: String(caller), endFrame: 0, blocks: windows[0]?.blocks.slice(-1) ?? [] })),
  );
  const state = new Float32Array(batch * stateSize);
  const steps = new Float32Array((batch * windowFrames * stepSize) / strideFrames).fill(0.1);
  const timed = (way: string, run: () => Promise<unknown>, prepare?: () => Promise<void>): Variant => ({
    name: nameOf(way, batch),
    units: windowCount,
    run: () => cpuMs(run),
    ...(prepare === undefined ? {} : { prepare }),
  });
  const times = (run: () => Promise<unknown>) => async (): Promise<void> => {
    for (let done = 0; done < windowCount; done += batch) await run();
  };
  return [
    timed(ways.whole, async () => {
      for (const one of wholes) await whole.run(one);
    }),
    timed(ways.streaming, streamed.run, streamed.prepare),
    timed(ways.int8, streamedInt8.run, streamedInt8.prepare),
    timed(
      ways.trunk,
      times(() => session.trunk({ batch, features, mask, state })),
    ),
    timed(
      ways.head,
      times(() => session.head(steps, batch)),
    ),
    ...kernels.map(({ way, streams: own, feed: ownFeed }) => {
      const { run, prepare } = callers(windows, batch, (due) => own.run(ownFeed.pack(due)));
      return timed(way, run, prepare);
    }),
  ];
}

function nameOf(way: string, batch: number): string {
  return `${way} ${String(batch)}`;
}

/** The process's CPU time of a run, ms: unlike the wall's, other work on the machine hardly adds to it. */
async function cpuMs(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
