// What a caller's front end, a caller's stream and a kept event take of memory.
import { Subject, type Subscription } from 'rxjs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { MemoryTimelineStore } from '../../src/gateway/memory-store.ts';
import { emptySummary } from '../../src/gateway/summary.ts';
import type { TimelineEvent } from '../../src/gateway/types.ts';
import { streamShape } from '../../src/models/manifest.ts';
import { StreamFeed } from '../../src/models/stream-feed.ts';
import { Streams } from '../../src/models/streams.ts';
import { callerPipeline } from '../../src/pipeline/caller-pipeline.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { createRandom } from '../callers/random.ts';
import type { RawRtp } from '../../src/sfu/types.ts';
import { callersCodec, plainTrack } from './plain-pipeline.ts';
import type { BenchmarkResult } from './report.ts';
import { mainThreadSession, shippedModel, speechPackets, speechWindows } from './speech.ts';

const callers = 200;
const warmUpCallers = 10;
const callerSeconds = 10;
const maxCallerKib = 300;
const streams = 200;
/** What the configuration keeps of a call by default. */
const events = 20_000;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/**
 * Makes many of each, and divides what memory grew by. Needs a process with the server's bound on V8's young generation
 * (`scripts/setup/server-flags.mjs`; `npm run bench` sets it), for else that grows while the callers come, and is taken for theirs.
 */
export async function measureMemory(): Promise<BenchmarkResult> {
  const { manifest } = await shippedModel();
  // The first ones bring code and tables that all others share. They stay until the end, so that none takes the room they leave.
  const warm = [await makeCallers(warmUpCallers), await makeStreams(warmUpCallers), await fillStore(manifest.labels, events)];
  const rows = [
    { of: 'a caller’s front end, Opus', ...(await growth(callers, () => makeCallers(callers))) },
    { of: 'a caller’s stream in the inference thread', ...(await growth(streams, () => makeStreams(streams))) },
    { of: 'a point that the memory store keeps', ...(await growth(events, () => fillStore(manifest.labels, events))) },
  ];
  for (const release of warm) release();
  const about =
    `Mean of ${String(callers)} callers after ${String(callerSeconds)} s of speech each, of ${String(streams)} streams after a window, ` +
    `and of ${String(events)} points. A caller may take ${String(maxCallerKib)} KiB.`;
  const callerKib = rows[0]?.['resident KiB'] ?? Infinity;
  const failures =
    callerKib <= maxCallerKib ? [] : [`a caller: expected at most ${String(maxCallerKib)} KiB resident, got ${callerKib.toFixed(0)}`];
  return { name: 'memory', about, rows, failures };
}

/** By how much memory grew for each of `count` things that `make` made and holds on to until the end. */
async function growth(count: number, make: () => Promise<() => void>) {
  const before = settled();
  const release = await make();
  const after = settled();
  release();
  const kib = (bytes: number): number => bytes / count / 1024;
  return {
    'heap KiB': kib(after.heapUsed - before.heapUsed),
    'outside of the heap KiB': kib(after.external - before.external),
    'resident KiB': kib(after.rss - before.rss),
  };
}

function settled(): NodeJS.MemoryUsage {
  collect();
  collect();
  return process.memoryUsage();
}

async function makeCallers(count: number): Promise<() => void> {
  const { frontEnd } = await shippedModel();
  const packets = speechPackets(callerSeconds);
  const subscriptions: Subscription[] = [];
  for (let made = 0; made < count; made += 1) {
    const decoder = createDecoder(callersCodec);
    const source = new Subject<RawRtp>();
    subscriptions.push(source.pipe(callerPipeline({ track: plainTrack, spec: frontEnd, decoder })).subscribe());
    await decoder.ready;
    for (const [index, data] of packets.entries()) source.next({ data, arrivalMs: index * 20 });
  }
  return () => {
    for (const subscription of subscriptions) subscription.unsubscribe();
  };
}

async function makeStreams(count: number): Promise<() => void> {
  const model = await shippedModel();
  const session = await mainThreadSession(model);
  const shape = streamShape(model.manifest);
  const [made, feed] = [new Streams(session, shape), new StreamFeed(shape)];
  const window = (await speechWindows(10, model.frontEnd)).at(-1);
  if (window === undefined) throw new Error('Expected a window of speech, got none');
  const { endFrame, blocks } = window;
  for (let caller = 0; caller < count; caller += 1) await made.run(feed.pack([{ trackId: String(caller), endFrame, blocks }]));
  return () => {
    for (let caller = 0; caller < count; caller += 1) made.release(String(caller));
    void session.close();
  };
}

async function fillStore(labels: readonly string[], count: number): Promise<() => void> {
  const store = new MemoryTimelineStore({ maxEvents: events });
  const call = { callId: 'memory', epoch: 'epoch', startedAtUnixMs: 0, node: 'node', purpose: 'conversation', region: 'EU' };
  await store.open(call);
  const random = createRandom(1);
  for (let seq = 1; seq <= count; seq += 1) {
    // As many digits as are served: what is regular would take less than what is said of a voice.
    const values = labels.map(random);
    const sum = values.reduce((total, value) => total + value, 0);
    const probabilities = Object.fromEntries(labels.map((label, i) => [label, Math.round(((values[i] ?? 0) / sum) * 1e6) / 1e6]));
    const share = probabilities[labels[0] ?? ''] ?? 0;
    const point: TimelineEvent = {
      type: 'point',
      epoch: call.epoch,
      seq,
      callId: call.callId,
      participantId: 'demo-1',
      atMs: seq * 240,
      startMs: Math.max(0, seq * 240 - 2400),
      label: labels[0] ?? '',
      confidence: share,
      probabilities,
      speechRatio: Math.round(125 * random()) / 125,
      concealedRatio: 0,
      unreliable: false,
      hopMs: 240,
      arrivedAtUnixMs: 1.7e12 + seq * 240 + 30 * random(),
    };
    await store.append([point], { ...emptySummary(call), lastSeq: seq });
  }
  return () => void store.close();
}
