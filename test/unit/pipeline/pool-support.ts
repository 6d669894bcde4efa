// Callers in pipeline threads for tests, and threads that can be held up or broken.
import { setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { Subject, type Subscription } from 'rxjs';
import { expect, onTestFinished, vi } from 'vitest';
import type { Pace } from '../../../src/pipeline/pace.ts';
import { mainThreadPipelines, type CallerPipelines, type OpenedCaller } from '../../../src/pipeline/pipelines.ts';
import { createMediaCounts, createMediaLevels } from '../../../src/pipeline/media-counts.ts';
import { PipelinePool, spawnPipelineThread, type PipelinePoolOptions } from '../../../src/pipeline/pool/pipeline-pool.ts';
import type { CallerOutput, FeatureBlock } from '../../../src/pipeline/types.ts';
import type { RawRtp, TrackCodec, TrackInfo } from '../../../src/sfu/types.ts';
import { writeRtp } from '../../../tools/audio/rtp-writer.ts';
import { silentLogger } from '../../support/timeline.ts';
import { fieldsOf, goodPackets, opus, raw, silence, spec, speech } from './packets.ts';

/** A thread may take long to come up where the machine is busy. */
export const patience = { timeout: 15_000, interval: 5 };

/** A caller at work, and all that came of it. */
export class TestCaller {
  readonly packets = new Subject<RawRtp>();
  readonly counts = createMediaCounts();
  readonly levels = createMediaLevels();
  readonly outputs: CallerOutput[] = [];
  /** Wall time of each output's position, as of then, ms. */
  readonly placedMs: number[] = [];
  readonly clock: OpenedCaller['clock'];
  readonly track: TrackInfo;
  /** What happened last, and last to the counts. */
  readonly state = { error: null as unknown, completed: false, closed: 0 };
  readonly #subscription: Subscription;
  readonly #copies = new Map<FeatureBlock, FeatureBlock>();

  constructor(pipelines: CallerPipelines, name: string, codec: TrackCodec = opus, pace?: Pace) {
    this.track = { callId: 'call', participantId: name, trackId: `track-${name}`, codec };
    const { counts, levels, track } = this;
    const { pipeline, clock } = pipelines.open({ track, spec, counts, levels, pace, onClosed: () => (this.state.closed += 1) });
    this.clock = clock;
    this.#subscription = this.packets.pipe(pipeline).subscribe({
      next: (output) => {
        this.outputs.push(this.#kept(output));
        this.placedMs.push(clock.wallMsOf(positionOf(output)));
      },
      error: (error: unknown) => (this.state.error = error),
      complete: () => (this.state.completed = true),
    });
  }

  send(packets: readonly RawRtp[]): void {
    for (const packet of packets) this.packets.next(packet);
  }

  /** With copies of blocks, whose memory is used again, the same for the same. */
  #kept(output: CallerOutput): CallerOutput {
    if (output.kind !== 'window') return output;
    const blocks = output.window.blocks.map((block) => {
      if (block === null) return null;
      expect(block.intact ?? true).toBe(true);
      const copy = this.#copies.get(block) ?? { features: block.features.slice(), mask: block.mask.slice() };
      this.#copies.set(block, copy);
      return copy;
    });
    return { kind: 'window', window: { ...output.window, blocks } };
  }

  giveUp(): void {
    this.#subscription.unsubscribe();
  }

  get windows() {
    return this.outputs.flatMap((output) => (output.kind === 'window' ? [output.window] : []));
  }

  get changes() {
    return this.outputs.flatMap((output) => (output.kind === 'speech' ? [output.change] : []));
  }

  get gaps() {
    return this.outputs.flatMap((output) => (output.kind === 'gap' ? [output.gap] : []));
  }
}

function positionOf(output: CallerOutput): number {
  if (output.kind === 'speech') return output.change.atSample;
  return output.kind === 'window' ? output.window.endSample : output.gap.endSample;
}

/** A pool whose threads have each made a decoder, so that the next is ready at once. Its threads are kept in order of their start. */
export async function openPool(options: Partial<PipelinePoolOptions> = {}): Promise<{ pool: PipelinePool; workers: Worker[] }> {
  const workers: Worker[] = [];
  const { spawn = spawnPipelineThread } = options;
  const keep = (): Worker => {
    const worker = spawn();
    workers.push(worker);
    return worker;
  };
  // Tests send in a moment what takes seconds.
  const pool = new PipelinePool({ threads: 1, spareMs: 100_000, logger: silentLogger, ...options, spawn: keep });
  await pool.started();
  const warm = pool.sizes.map((_, index) => new TestCaller(pool, `warm-${String(index)}`));
  for (const caller of warm) caller.send(goodPackets.slice(0, 1));
  for (const caller of warm) caller.packets.complete();
  while (warm.some(({ state }) => !state.completed)) await delay(5);
  return { pool, workers };
}

/** The same, closed when the test has ended. */
export async function startPool(options: Partial<PipelinePoolOptions> = {}): ReturnType<typeof openPool> {
  const started = await openPool(options);
  onTestFinished(() => started.pool.close());
  return started;
}

/** Resolves once the streams and counts of callers have ended. */
export async function untilClosed(...callers: TestCaller[]): Promise<void> {
  await vi.waitFor(() => expect(callers.every(({ state }) => state.closed === 1)).toBe(true), patience);
}

/** All that a caller was told and counted. */
export function storyOf({ outputs, placedMs, counts, levels, state }: TestCaller) {
  return { outputs, placedMs, counts, levels, state };
}

/** Opens a caller and gives its decoder the time to be there. */
export async function openCaller(pipelines: CallerPipelines, name: string): Promise<TestCaller> {
  const caller = new TestCaller(pipelines, name);
  await delay(50);
  return caller;
}

/** What the same packets give in this thread. */
export async function inThisThread(packets: readonly RawRtp[], name: string): Promise<TestCaller> {
  // The first decoder of a thread takes longer than the packets would be kept.
  const warm = new TestCaller(mainThreadPipelines, `${name}-warm`);
  warm.send(goodPackets.slice(0, 1));
  warm.packets.complete();
  await untilClosed(warm);
  const caller = await openCaller(mainThreadPipelines, name);
  caller.send(packets);
  caller.packets.complete();
  // Its decoder may take a moment, and no output comes before.
  await untilClosed(caller);
  return caller;
}

/** A caller's packets: the clip and its silence, so many times without a pause. */
export function turns(count: number): RawRtp[] {
  return Array.from({ length: count * speech.length }, (_, index) =>
    raw(writeRtp({ ...fieldsOf(index), payload: speech[index % speech.length] ?? silence }), index),
  );
}

/** Threads that stand still at their next message while `hold` is in force. */
export function heldThreads() {
  const gate = new Int32Array(new SharedArrayBuffer(4));
  const url = new URL('../../../src/pipeline/pool/pipeline-worker.ts', import.meta.url).href;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    const on = parentPort.on.bind(parentPort);
    parentPort.on = (name, listener) => on(name, (message) => {
      Atomics.wait(workerData, 0, 1);
      listener(message);
    });
    void import(${JSON.stringify(url)});`;
  return {
    spawn: () => new Worker(code, { eval: true, workerData: gate }),
    hold: () => Atomics.store(gate, 0, 1),
    release: () => {
      Atomics.store(gate, 0, 0);
      Atomics.notify(gate, 0);
    },
  };
}
