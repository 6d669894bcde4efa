// Every engine side by side, as it serves, and tfjs where it runs anywhere; of those that do not load, the reason.
import { messageOf } from '../../src/errors.ts';
import { createLogger } from '../../src/log.ts';
import { engineNames } from '../../src/models/engine-entry.ts';
import { loadEngines } from '../../src/models/load-engine.ts';
import { streamShape, type LoadedModel } from '../../src/models/manifest.ts';
import { StreamFeed } from '../../src/models/stream-feed.ts';
import { Streams } from '../../src/models/streams.ts';
import { TfjsSession } from '../../src/models/tfjs/session.ts';
import { maxDifference } from '../../src/models/try-engine.ts';
import type { Engine, EngineWindow } from '../../src/models/types.ts';
import type { FeatureWindow } from '../../src/pipeline/types.ts';
import { portableTfjs, type PortableBackend } from '../models/portable-tfjs.ts';
import { callers } from './inference.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Timing, type Variant } from './rounds.ts';
import { shippedModel, speechWindows } from './speech.ts';

const batchSizes = [1, 8, 32];
/** Batches of a run: few, because some engines take a second for one. */
const hops = 4;
const rounds = 5;
/** Windows over which logits are compared. */
const comparedWindows = 24;
/** Of the head in 8-bit integers. */
const maxInt8Difference = 0.1;

/** An engine that loaded. */
interface Contender {
  readonly name: string;
  /** Greatest difference of a logit from the CPU engine's. */
  readonly maxDifference: number;
  readonly sizes: readonly number[];
  readonly score: (windows: readonly EngineWindow[]) => Promise<Float32Array>;
  readonly close: () => Promise<void>;
}

/** Runs the same windows of speech through each, in batches of several sizes; each row of a batch is a caller. */
export async function measureEngines(): Promise<BenchmarkResult> {
  const model = await shippedModel();
  const windows = await speechWindows(Math.max(hops + 1, comparedWindows), model.frontEnd);
  const [contenders, absent] = await openAll(model);
  const rows: Record<string, string | number>[] = [];
  const failures: string[] = [];
  // tfjs keeps one backend a thread, so what runs on it is measured by itself, each time beside the CPU engine.
  const [cpu] = contenders;
  if (cpu === undefined) throw new Error('Expected the CPU engine to load, got nothing');
  rows.push(...(await measureTogether(contenders, cpu, windows, failures)));
  for (const backend of ['wasm', 'cpu'] as const) {
    const portable = await openPortable(model, backend);
    rows.push(...(await measureTogether([cpu, portable], cpu, windows, failures)).filter(({ engine }) => engine !== cpu.name));
    await portable.close();
  }
  await Promise.all(contenders.map(({ close }) => close()));
  const about =
    `${String(hops)} batches a run of callers who speak on, ${String(rounds)} interleaved rounds. Engines in a thread of their own, as ` +
    `they serve; tfjs on wasm and cpu in the main thread, for comparison. "times cpu" is the CPU engine's best time over the engine's in ` +
    `the same rounds; CPU time is the least, of all threads. Logits of ${String(comparedWindows)} windows differ from the CPU engine's by at most what is said.` +
    absent.map(([engine, reason]) => `\nNot loaded: \`${engine}\`. ${reason}`).join('');
  return { name: 'engines', about, rows, failures };
}

/** The engines of this machine, the CPU's first; and the others with their reasons. */
async function openAll(model: LoadedModel): Promise<[contenders: Contender[], absent: (readonly [name: string, reason: string])[]]> {
  const logger = createLogger('silent');
  const contenders: Contender[] = [];
  const absent: [string, string][] = [];
  for (const name of engineNames.toReversed()) {
    try {
      const [engine] = await loadEngines({ model, name, precision: 'fp32', logger });
      if (engine !== undefined) contenders.push(contenderOf(engine));
      if (name !== 'cpu') continue;
      const [int8] = await loadEngines({ model, name, precision: 'int8', logger });
      if (int8 !== undefined) contenders.push({ ...contenderOf(int8), name: 'cpu, int8', maxDifference: maxInt8Difference });
    } catch (error) {
      absent.push([name, messageOf(error).replace(/^.*? to load, got: [\w-]+: /, '')]);
    }
  }
  return [contenders, absent];
}

function contenderOf(engine: Engine): Contender {
  const { name } = engine;
  return { name, maxDifference, sizes: batchSizes, score: (windows) => engine.run(windows), close: () => engine.close() };
}

async function openPortable(model: LoadedModel, backend: PortableBackend): Promise<Contender> {
  const shape = streamShape(model.manifest);
  const tf = await portableTfjs(backend);
  const session = await TfjsSession.open(tf, { trunkPath: model.paths.trunk, headPath: model.paths.head, shape });
  const [streams, feed] = [new Streams(session, shape), new StreamFeed(shape)];
  return {
    name: `tfjs ${backend} (reference)`,
    maxDifference,
    // Plain JavaScript takes most of a second for one window.
    sizes: backend === 'cpu' ? [1] : batchSizes,
    score: (windows) => streams.run(feed.pack(windows)),
    close: () => session.close(),
  };
}

async function measureTogether(contenders: readonly Contender[], cpu: Contender, windows: readonly FeatureWindow[], failures: string[]) {
  const differences = new Map<string, number>();
  for (const one of contenders.filter((contender) => contender !== cpu)) {
    const difference = await differenceOf(one, cpu, windows);
    differences.set(one.name, difference);
    if (!(difference <= one.maxDifference)) {
      failures.push(`${one.name}: logits differ from the CPU engine's by ${difference.toExponential(1)}`);
    }
  }
  const cpuMs = new Map<string, number>();
  const variants = contenders.flatMap(({ name, sizes, score }) =>
    sizes.map((size): Variant => {
      const { prepare, run } = callers(windows, size, score, hops);
      const variant = nameOf(name, size);
      return { name: variant, units: hops, prepare, run: () => withCpuTime(run, variant, cpuMs) };
    }),
  );
  const timings = await compare(variants, rounds);
  return contenders.flatMap(({ name, sizes }) =>
    sizes.map((size) => ({
      engine: name,
      'windows a batch': size,
      'ms a batch, median': of(timings, name, size).medianUs / 1000,
      'windows/s, best': (1e6 * size) / of(timings, name, size).minUs,
      'CPU ms a window': (cpuMs.get(nameOf(name, size)) ?? NaN) / (hops * size),
      'times cpu': of(timings, cpu.name, size).minUs / of(timings, name, size).minUs,
      'differs by': name === cpu.name ? '' : (differences.get(name) ?? NaN).toExponential(0),
    })),
  );
}

/** Keeps the least CPU time that a run took, of all threads: what a GPU does not take over, and what other work hardly adds to. */
async function withCpuTime(run: () => Promise<unknown>, name: string, cpuMs: Map<string, number>): Promise<void> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  cpuMs.set(name, Math.min(cpuMs.get(name) ?? Infinity, (user + system) / 1000));
}

/** Greatest difference of a logit over windows of one caller. */
async function differenceOf(one: Contender, cpu: Contender, windows: readonly FeatureWindow[]): Promise<number> {
  let worst = 0;
  for (const { endFrame, blocks } of windows.slice(0, comparedWindows)) {
    const window = { trackId: 'compared', endFrame, blocks };
    const got = Float32Array.from(await one.score([window]));
    const expected = await cpu.score([window]);
    for (const [i, value] of expected.entries()) worst = Math.max(worst, Math.abs(value - (got[i] ?? NaN)));
  }
  return worst;
}

function of(timings: readonly Timing[], name: string, size: number): Timing {
  return timings.find((timing) => timing.name === nameOf(name, size)) ?? { name, minUs: NaN, medianUs: NaN };
}

function nameOf(engine: string, size: number): string {
  return `${engine} ${String(size)}`;
}
