// What each build of libopus makes of losses and of damage, and what it costs.
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { FeatureExtractor } from '../../src/pipeline/feature-extractor.ts';
import { JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import { createOpusDecoder } from '../../src/pipeline/opus-codec.ts';
import { opusLibraries, type OpusLibrary } from '../../src/pipeline/opus-engine.ts';
import { createRandom } from '../callers/random.ts';
import { concealing, concealments, type Concealment } from '../evaluate/concealment.ts';
import { createOpusEncoder } from '../evaluate/encoders.ts';
import { burstLoss } from '../evaluate/network.ts';
import { compare } from './rounds.ts';
import { callersCodec } from './plain-pipeline.ts';
import type { BenchmarkResult } from './report.ts';
import { speechSamples } from './speech.ts';

const speechSeconds = 60;
const kbps = 24;
const rounds = 9;
const decoders = 100;
const mutatedPayloads = 100_000;
/** Below its loudest frame, what a frame may be and still count as active, dB: the usual range of speech. */
const activeRangeDb = 30;
const decibelsPerNeper = 10 / Math.LN10;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Speed, memory and making of a decoder, and a hundred thousand damaged payloads. */
export async function measureOpus(): Promise<BenchmarkResult> {
  const packets = await encoded();
  const failures: string[] = [];
  const opened = new Map<OpusLibrary, AudioDecoder>();
  for (const library of opusLibraries) opened.set(library, await open(library));
  const speeds = await compare(
    [...opened].map(([name, decoder]) => ({
      name,
      units: packets.length,
      run: () => {
        for (const packet of packets) decoder.decode(packet);
      },
    })),
    rounds,
  );
  const rows: Record<string, string | number>[] = [];
  for (const [library, decoder] of opened) {
    decoder.close();
    const fuzz = await fuzzed(library, packets);
    if (fuzz.fault !== null) failures.push(`${library}: ${fuzz.fault}`);
    rows.push({
      library,
      'us a packet': speeds.find(({ name }) => name === library)?.minUs ?? NaN,
      ...(await made(library, packets.slice(0, 50))),
      'damaged, unplayable': fuzz.concealed,
      'growth over 2nd half KiB': fuzz.grownKiB,
    });
  }
  const about = `${String(speechSeconds)} s of speech at ${String(kbps)} kbit/s with FEC, minima of ${String(rounds)} rounds; means of ${String(decoders)} decoders; ${String(mutatedPayloads)} damaged payloads.`;
  return { name: 'opus', about, rows, failures };
}

/** Error of the log-mel on active frames that were lost, against what is heard without loss. */
export async function measureLoss(): Promise<BenchmarkResult> {
  const packets = await encoded();
  const ways: readonly { library: OpusLibrary; how: Concealment }[] = opusLibraries.flatMap((library) =>
    concealments.filter((how) => library !== 'opus-decoder' || how !== 'fec').map((how) => ({ library, how })),
  );
  const rows: Record<string, string | number>[] = [];
  for (const lossPercent of [5, 10, 20, 30]) {
    for (const bursts of [1, 3]) {
      for (const { library, how } of ways) {
        const clean = await heard(packets, library, how, () => false);
        const lossy = await heard(packets, library, how, loss(lossPercent, bursts));
        const of = (concealed: boolean): number => errorDb(clean, lossy, (frame) => frame.lost && frame.concealed === concealed);
        rows.push({
          'loss %': lossPercent,
          bursts: bursts === 1 ? 'random' : 'of 3',
          library,
          'lost media is': how,
          'error dB': errorDb(clean, lossy, ({ lost }) => lost),
          'of those recovered dB': of(false),
          'of those made up dB': of(true),
          'recovered %': 100 * recoveredShare(clean, lossy),
        });
      }
    }
  }
  const about = `Mean |difference| over 64 bands of the log-mel, on frames of speech (within ${String(activeRangeDb)} dB of the loudest) whose newest 10 ms were lost, against the same packets without loss. ${String(speechSeconds)} s of demo speech, Opus at ${String(kbps)} kbit/s encoded for 10 % loss.`;
  return { name: 'loss', about, rows, failures: [] };
}

interface LossyFrame {
  readonly logMel: Float32Array;
  readonly concealed: boolean;
  readonly lost: boolean;
}

/** What the live stages make of the packets that arrive. */
async function heard(packets: readonly Uint8Array[], library: OpusLibrary, how: Concealment, isLost: () => boolean): Promise<LossyFrame[]> {
  const decoder = new Decoder({ decoder: concealing(await open(library), how) });
  const buffer = new JitterBuffer({ codec: callersCodec });
  const extractor = new FeatureExtractor();
  const frames: LossyFrame[] = [];
  const lostPackets = packets.map((_, i) => isLost() && i > 0 && i < packets.length - 1);
  const decode = (item: Parameters<Decoder['process']>[0]): void => {
    decoder.process(item, (chunk) => {
      extractor.process(chunk, ({ index, logMel, concealed }) => {
        // A frame's newest sample tells: 25 ms from the start of its 10 ms.
        frames.push({ logMel: logMel.slice(), concealed, lost: lostPackets[Math.floor((160 * index + 399) / 320)] ?? false });
      });
    });
  };
  packets.forEach((payload, i) => {
    if (lostPackets[i] === true) return;
    const fields = { sequenceNumber: i % 65_536, timestamp: i * 960, ssrc: 1, payloadType: callersCodec.payloadType, marker: i === 0 };
    buffer.process({ ...fields, payload, arrivalMs: 20 * i }, decode);
  });
  buffer.flush(decode);
  decoder.close();
  return frames;
}

function errorDb(clean: readonly LossyFrame[], lossy: readonly LossyFrame[], counts: (frame: LossyFrame) => boolean): number {
  const active = activeOf(clean);
  let sum = 0;
  let bands = 0;
  lossy.forEach((frame, i) => {
    if (!counts(frame) || active[i] !== true) return;
    frame.logMel.forEach((value, band) => (sum += Math.abs(value - (clean[i]?.logMel[band] ?? 0))));
    bands += frame.logMel.length;
  });
  return (decibelsPerNeper * sum) / bands;
}

/** Of the active frames that were lost, those that are not marked as made up. */
function recoveredShare(clean: readonly LossyFrame[], lossy: readonly LossyFrame[]): number {
  const active = activeOf(clean);
  const lost = lossy.filter((frame, i) => frame.lost && active[i] === true);
  return lost.filter(({ concealed }) => !concealed).length / Math.max(1, lost.length);
}

function activeOf(clean: readonly LossyFrame[]): boolean[] {
  const levels = clean.map(({ logMel }) => logMel.reduce((sum, x) => sum + Math.exp(x), 0));
  const least = levels.reduce((most, level) => Math.max(most, level), 0) / 10 ** (activeRangeDb / 10);
  return levels.map((level) => level >= least);
}

function loss(percent: number, bursts: number): () => boolean {
  return burstLoss(percent, createRandom(1), bursts);
}

async function encoded(): Promise<Uint8Array[]> {
  const encoder = await createOpusEncoder(kbps, { fec: true });
  const packets = encoder.encode(await speechSamples(speechSeconds));
  encoder.close();
  return packets;
}

async function open(library: OpusLibrary): Promise<AudioDecoder> {
  const decoder = createOpusDecoder(library);
  await decoder.ready;
  return decoder;
}

/** Makes decoders, each used, and divides what it took. */
async function made(library: OpusLibrary, packets: readonly Uint8Array[]): Promise<Record<string, number>> {
  const before = settled();
  const startMs = performance.now();
  const all: AudioDecoder[] = [];
  for (let i = 0; i < decoders; i += 1) all.push(await open(library));
  const createUs = (1000 * (performance.now() - startMs)) / decoders;
  for (const decoder of all) for (const packet of packets) decoder.decode(packet);
  const after = settled();
  for (const decoder of all) decoder.close();
  return { 'to make us': createUs, 'resident KiB': (after - before) / decoders / 1024 };
}

/** Payloads with bytes changed, cut off or added, half of them followed by an attempt at their FEC. */
async function fuzzed(library: OpusLibrary, packets: readonly Uint8Array[]) {
  const random = createRandom(2);
  const below = (count: number): number => Math.floor(random() * count);
  const decoder = await open(library);
  let concealed = 0;
  let fault: string | null = null;
  let halfway = 0;
  for (let i = 0; i < mutatedPayloads; i += 1) {
    const packet = packets[below(packets.length)] ?? new Uint8Array();
    const payload = new Uint8Array(random() < 0.3 ? below(packet.length + 40) : packet.length);
    payload.set(packet.subarray(0, payload.length));
    for (let left = below(8); left > 0; left -= 1) payload[random() < 0.2 ? 0 : below(payload.length)] = below(256);
    const chunk = decoder.decode(payload);
    // They hold until the next call.
    const samples = chunk.samples.slice();
    if (chunk.concealed) concealed += 1;
    const others = random() < 0.5 ? decoder.recover(payload).samples : decoder.conceal(320);
    if (![...samples, ...others].every((x) => x >= -1 && x <= 1)) fault ??= `payload ${String(i)} gave samples out of range`;
    if (i === mutatedPayloads / 2) halfway = settled();
  }
  const grownKiB = (settled() - halfway) / 1024;
  decoder.close();
  return { concealed, fault, grownKiB };
}

function settled(): number {
  collect();
  collect();
  return process.memoryUsage().rss;
}
