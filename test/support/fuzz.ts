// A caller who sends rubbish beside one who does not, in the same process: what comes of both, and of the memory.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { FrontEnd } from '../../src/pipeline/front-end.ts';
import { createMediaCounts } from '../../src/pipeline/media-counts.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import type { MediaCounts, PipelineOutput } from '../../src/pipeline/types.ts';
import { writeRtp } from '../../tools/audio/rtp-writer.ts';
import { shippedModel, speechPackets } from '../../tools/bench/speech.ts';
import { createRandom, type Random } from '../../tools/callers/random.ts';

const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };

/** What a fuzzing run found. */
export interface FuzzResult {
  /** Of the caller who sent rubbish. */
  readonly counts: MediaCounts;
  readonly windows: number;
  /** Values in windows, and samples given to the features, that were not finite or out of range. */
  readonly faults: number;
  /** What was heard of the neighbour, and what is heard of them alone. */
  readonly neighbour: string;
  readonly alone: string;
  /** Memory in use after a full collection: a third through the run, and at its end, MiB. */
  readonly memoryMiB: readonly [number, number];
}

/** A packet of the run. */
export type Mutate = (random: Random, good: Uint8Array, index: number) => Uint8Array;

/** Random bytes, headers with a random body, and good packets with flipped bits, cut, repeated, or with counters that jump. */
export const anyRtp: Mutate = (random, good, index) => {
  const kind = random();
  if (kind < 0.15) return bytes(random, Math.floor(random() * 200));
  const data = good.slice();
  const view = new DataView(data.buffer);
  if (kind < 0.3) {
    const body = bytes(random, Math.floor(random() * 1400));
    return writeRtp({ sequenceNumber: index, timestamp: index * 960, ssrc: 1, payloadType: codec.payloadType, payload: body });
  }
  view.setUint16(2, index);
  view.setUint32(4, (index * 960) >>> 0);
  if (kind < 0.55) flip(random, data, 1 + Math.floor(random() * 8));
  else if (kind < 0.65) return data.subarray(0, Math.floor(random() * data.length));
  else if (kind < 0.7) view.setUint16(2, Math.floor(random() * 65_536));
  else if (kind < 0.75) view.setUint32(4, Math.floor(random() * 2 ** 32));
  else if (kind < 0.77) view.setUint32(8, Math.floor(random() * 4));
  else if (kind < 0.8) view.setUint16(2, index - Math.floor(random() * 200));
  return data;
};

/** Good headers, and Opus payloads with flipped bits, cut, extended, or of random bytes behind any TOC byte. */
export const anyOpus: Mutate = (random, good, index) => {
  const payload = good.slice(12);
  const kind = random();
  let mutated: Uint8Array = payload;
  if (kind < 0.5) flip(random, payload, 1 + Math.floor(random() * 16));
  else if (kind < 0.65) mutated = payload.subarray(0, 1 + Math.floor(random() * payload.length));
  else if (kind < 0.75) mutated = Uint8Array.from([...payload, ...bytes(random, Math.floor(random() * 100))]);
  else mutated = bytes(random, 1 + Math.floor(random() * 300));
  return writeRtp({ sequenceNumber: index, timestamp: index * 960, ssrc: 1, payloadType: codec.payloadType, payload: mutated });
};

/** Runs `count` packets of rubbish, and a good packet of the neighbour's to every fourth of them as long as there are any. */
export async function fuzz(count: number, mutate: Mutate, seed: number): Promise<FuzzResult> {
  const random = createRandom(seed);
  const good = speechPackets(20);
  const counts = createMediaCounts();
  let [windows, faults] = [0, 0];
  const fuzzed = await open(counts, (output) => {
    if (output.kind !== 'window') return;
    windows += 1;
    const { blocks, concealedRatio, speechRatio } = output.window;
    const values = blocks.flatMap((block) => (block === null ? [] : [...block.features]));
    if (![...values, concealedRatio, speechRatio].every(Number.isFinite)) faults += 1;
  });
  const alone = await listen(good, () => undefined);
  let [at, index, memoryMiB] = [0, 0, 0];
  const send = (): void => {
    const packet = parseRtp({ data: mutate(random, good[index % good.length] ?? new Uint8Array(), index), arrivalMs: index * 20 });
    index += 1;
    if (typeof packet === 'string') {
      counts.received += 1;
      counts.malformed += 1;
    } else fuzzed.process(packet);
    if (index === Math.floor(count / 3)) memoryMiB = usedMiB();
  };
  const neighbour = await listen(good, () => {
    for (let n = 0; n < 4 && at < count; n += 1, at += 1) send();
  });
  for (; at < count; at += 1) send();
  fuzzed.end();
  return { counts, windows, faults, neighbour, alone, memoryMiB: [memoryMiB, usedMiB()] };
}

async function open(counts: MediaCounts, take: (output: PipelineOutput) => void) {
  const { frontEnd: spec } = await shippedModel();
  const decoder = createDecoder(codec);
  await decoder.ready;
  const track = { callId: 'fuzz', participantId: 'p', trackId: 't', codec };
  const frontEnd = new FrontEnd({ track, spec, decoder, counts });
  return {
    process: (packet: Exclude<ReturnType<typeof parseRtp>, string>) => {
      frontEnd.process(packet, take);
    },
    end: () => {
      frontEnd.flush(take);
      frontEnd.close();
    },
  };
}

/** Plays good packets, and says what was heard in a line that changes with any bit of it. */
async function listen(packets: readonly Uint8Array[], between: () => void): Promise<string> {
  let [windows, sum] = [0, 0];
  const caller = await open(createMediaCounts(), (output) => {
    if (output.kind !== 'window') return;
    windows += 1;
    for (const block of output.window.blocks) for (const value of block?.features ?? []) sum = (sum * 31 + value) % 1e9;
  });
  for (const [index, data] of packets.entries()) {
    const packet = parseRtp({ data, arrivalMs: index * 20 });
    if (typeof packet !== 'string') caller.process(packet);
    between();
  }
  caller.end();
  return `${String(windows)} windows, ${String(sum)}`;
}

/** Heap and array buffers (WebAssembly's memory among them) after a full collection. */
function usedMiB(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  const { heapUsed, arrayBuffers, external } = process.memoryUsage();
  return (heapUsed + arrayBuffers + external) / 2 ** 20;
}

function bytes(random: Random, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}

function flip(random: Random, data: Uint8Array, bits: number): void {
  for (let n = 0; n < bits; n += 1) {
    const at = Math.floor(random() * data.length);
    data[at] = (data[at] ?? 0) ^ (1 << Math.floor(random() * 8));
  }
}
