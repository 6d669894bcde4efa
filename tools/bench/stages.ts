// What each stage of a caller's front end costs, and how many callers' front ends one core carries.
import { Subject, Subscription } from 'rxjs';
import { AudioReceiver } from '../../src/pipeline/audio-receiver.ts';
import { callerPipeline } from '../../src/pipeline/caller-pipeline.ts';
import type { AudioDecoder } from '../../src/pipeline/audio-decoder.ts';
import { createDecoder } from '../../src/pipeline/codec.ts';
import { Decoder } from '../../src/pipeline/decoder.ts';
import { FeatureExtractor, frameSamples, hopSamples, type RawFrame } from '../../src/pipeline/feature-extractor.ts';
import { JitterBuffer } from '../../src/pipeline/jitter-buffer.ts';
import { parseRtp } from '../../src/pipeline/rtp.ts';
import { SpeechDetector, type DetectedSpeech } from '../../src/pipeline/speech-detector.ts';
import type { FrontEndSpec, PcmChunk, PlayoutItem, RtpPacket } from '../../src/pipeline/types.ts';
import { WindowAssembler } from '../../src/pipeline/window-assembler.ts';
import type { RawRtp } from '../../src/sfu/types.ts';
import { meydaVariant } from './meyda.ts';
import { timeNative } from './native.ts';
import { plainFeatures } from './plain-features.ts';
import { callersCodec, PlainPipeline, plainTrack } from './plain-pipeline.ts';
import type { BenchmarkResult } from './report.ts';
import { compare, type Variant } from './rounds.ts';
import { startScipy } from './scipy.ts';
import { shippedModel, speechPackets } from './speech.ts';

const seconds = 30;
const packetMs = 20;
const rounds = 15;
/** The textbook's features are slow; a few hundred frames tell enough. */
const plainFrames = 300;
const maxDifference = 1e-3;

/** The whole way from a packet to its features, without and with voice activity, and what each may cost, us a packet. */
const toFeatures = { name: 'packet to features', limitUs: 25 };
const toSpeech = { name: 'packet to features and voice activity', limitUs: 30 };

/** What goes into each stage: what the stage before made of the same speech. */
interface Inputs {
  readonly raw: readonly RawRtp[];
  readonly packets: readonly RtpPacket[];
  readonly items: readonly PlayoutItem[];
  readonly chunks: readonly PcmChunk[];
  readonly frames: readonly RawFrame[];
  readonly detected: readonly DetectedSpeech[];
  readonly samples: Float32Array;
}

/** The stream of the front end that runs at the time. */
interface Running {
  packets: Subject<RawRtp>;
  subscription: Subscription;
}

/** Times every stage on the same half minute of speech. */
export async function measureStages(): Promise<BenchmarkResult> {
  const { frontEnd } = await shippedModel();
  const decoder = createDecoder(callersCodec);
  await decoder.ready;
  const inputs = makeInputs(decoder);
  checkPlainFeatures(inputs);
  const scipy = await startScipy(inputs.samples);
  const running: Running = { packets: new Subject(), subscription: Subscription.EMPTY };
  const variants = [...stageVariants(inputs, frontEnd, decoder), ...wholeVariants(inputs, frontEnd, decoder, running)];
  variants.push(meydaVariant(inputs.samples));
  if (scipy !== null) variants.push({ name: 'log-mel + MFCC, SciPy, all frames at once', units: scipy.units, run: () => scipy.round() });
  const timings = await compare(variants, rounds);
  scipy?.close();
  const native = await timeNative(
    inputs.packets.map(({ payload }) => payload),
    rounds,
  );
  running.subscription.unsubscribe();
  decoder.close();

  const ours = timings.find(({ name }) => name === 'log-mel + MFCC');
  const rows = timings.map(({ name, minUs, medianUs }) => {
    const perPacket = variants.find((variant) => variant.name === name)?.units === inputs.raw.length;
    const isFeatures = name.startsWith('log-mel');
    return {
      stage: name,
      per: perPacket ? '20 ms packet' : '10 ms hop',
      'min us': minUs,
      'median us': medianUs,
      'times ours': isFeatures ? medianUs / (ours?.medianUs ?? NaN) : '',
      'callers a core': name.startsWith('whole') ? Math.floor((packetMs * 1000) / medianUs) : '',
    };
  });
  if (native !== null) {
    const least = (name: string): number => timings.find((timing) => timing.name === name)?.minUs ?? NaN;
    for (const [stage, us, anchor] of [
      ['Opus decoder, native C', native.decodeUs, least('Opus decoder')],
      ['packet to features, native C (libopus, FFTW)', native.wholeUs, least(toFeatures.name)],
    ] as const) {
      rows.push({ stage, per: '20 ms packet', 'min us': us, 'median us': NaN, 'times ours': us / anchor, 'callers a core': '' });
    }
  }
  const failures = [toFeatures, toSpeech].flatMap(({ name, limitUs }) => {
    const us = timings.find((timing) => timing.name === name)?.minUs ?? Infinity;
    return us <= limitUs ? [] : [`${name}: expected at most ${String(limitUs)} us, got ${us.toFixed(1)}`];
  });
  const about = `One thread, ${String(seconds)} s of unbroken speech, ${String(rounds)} interleaved rounds. From a packet to its features at most ${String(toFeatures.limitUs)} us, with voice activity at most ${String(toSpeech.limitUs)}.`;
  return { name: 'stages', about, rows, failures };
}

function stageVariants(inputs: Inputs, frontEnd: FrontEndSpec, decoder: AudioDecoder): Variant[] {
  const { raw, packets, items, chunks, frames, detected, samples } = inputs;
  let sink = 0;
  const count = (): void => {
    sink += 1;
  };
  return [
    { name: 'RTP parser', units: raw.length, run: () => raw.forEach((one) => (sink += typeof parseRtp(one) === 'string' ? 1 : 0)) },
    { name: 'jitter buffer', units: raw.length, run: feed(() => new JitterBuffer({ codec: callersCodec }), packets, count) },
    { name: 'Opus decoder', units: raw.length, run: feed(() => new Decoder({ decoder }), items, count) },
    { name: 'log-mel + MFCC', units: frames.length, run: feed(() => new FeatureExtractor(), chunks, count) },
    { name: 'the same with pitch', units: frames.length, run: feed(() => new FeatureExtractor({ pitch: true }), chunks, count) },
    {
      name: 'log-mel + MFCC, as in a textbook',
      units: plainFrames,
      run: () => {
        for (let frame = 0; frame < plainFrames; frame += 1) sink += plainFeatures(samples, frame * hopSamples).length;
      },
    },
    { name: 'speech detector', units: frames.length, run: feed(() => new SpeechDetector(), frames, count) },
    { name: 'normaliser + windows', units: frames.length, run: feed(() => new WindowAssembler(plainTrack, frontEnd), detected, count) },
  ];
}

function wholeVariants({ raw }: Inputs, frontEnd: FrontEndSpec, decoder: AudioDecoder, running: Running): Variant[] {
  const take = (): void => undefined;
  const receive = (hear: (extractor: FeatureExtractor, chunk: PcmChunk) => void): void => {
    const receiver = new AudioReceiver({ codec: callersCodec, decoder });
    const extractor = new FeatureExtractor({ pitch: frontEnd.pitch ?? false });
    const forward = (chunk: PcmChunk): void => {
      hear(extractor, chunk);
    };
    for (const one of raw) {
      const packet = parseRtp(one);
      if (typeof packet !== 'string') receiver.process(packet, forward);
    }
  };
  return [
    {
      name: toFeatures.name,
      units: raw.length,
      run: () => {
        receive((extractor, chunk) => {
          extractor.process(chunk, take);
        });
      },
    },
    {
      name: toSpeech.name,
      units: raw.length,
      run: () => {
        const detector = new SpeechDetector();
        receive((extractor, chunk) => {
          extractor.process(chunk, (frame) => {
            detector.process(frame, take);
          });
        });
      },
    },
    {
      name: 'whole front end, plain calls',
      units: raw.length,
      run: () => {
        const pipeline = new PlainPipeline(frontEnd, decoder, take);
        for (const { data, arrivalMs } of raw) pipeline.take(data, arrivalMs);
      },
    },
    {
      name: 'whole front end, RxJS (as it runs)',
      units: raw.length,
      prepare: async () => {
        running.subscription.unsubscribe();
        running.packets = new Subject();
        const own = createDecoder(callersCodec);
        running.subscription = running.packets.pipe(callerPipeline({ track: plainTrack, spec: frontEnd, decoder: own })).subscribe(take);
        await own.ready;
      },
      run: () => {
        for (const packet of raw) running.packets.next(packet);
      },
    },
  ];
}

/** A run of a fresh stage over all of its inputs. */
function feed<In, Out>(
  create: () => { process(input: In, emit: (output: Out) => void): void },
  inputs: readonly In[],
  emit: (output: Out) => void,
): () => void {
  return () => {
    const processor = create();
    for (const input of inputs) processor.process(input, emit);
  };
}

function makeInputs(audio: AudioDecoder): Inputs {
  const raw = speechPackets(seconds).map((data, index) => ({ data, arrivalMs: index * packetMs }));
  const packets = raw.map((one) => parseRtp(one)).filter((packet) => typeof packet !== 'string');
  const [items, chunks, frames, detected] = [[] as PlayoutItem[], [] as PcmChunk[], [] as RawFrame[], [] as DetectedSpeech[]];
  feed(
    () => new JitterBuffer({ codec: callersCodec }),
    packets,
    (item: PlayoutItem) => items.push(item),
  )();
  const decoder = new Decoder({ decoder: audio });
  for (const item of items) decoder.process(item, (chunk) => chunks.push({ ...chunk, samples: chunk.samples.slice() }));
  const extractor = new FeatureExtractor();
  const copy = <T extends RawFrame>(frame: T): T => ({ ...frame, logMel: frame.logMel.slice(), mfcc: frame.mfcc.slice() });
  for (const chunk of chunks) extractor.process(chunk, (frame) => frames.push(copy(frame)));
  const detector = new SpeechDetector();
  for (const frame of frames) {
    detector.process(frame, (output) => detected.push(output.kind === 'frame' ? { ...output, frame: copy(output.frame) } : output));
  }
  const samples = Float32Array.from(chunks.flatMap((chunk) => [...chunk.samples]));
  return { raw, packets, items, chunks, frames, detected, samples };
}

/** A comparison is worth something only between things that do the same. */
function checkPlainFeatures({ frames, samples }: Inputs): void {
  for (const { index, logMel, mfcc } of frames.slice(0, plainFrames)) {
    if (index * hopSamples + frameSamples > samples.length) return;
    const plain = plainFeatures(samples, index * hopSamples);
    const differs = [...logMel, ...mfcc].some((value, i) => Math.abs(value - (plain[i] ?? NaN)) > maxDifference);
    if (differs) throw new Error(`Expected the textbook's features of frame ${String(index)} to be ours, got others`);
  }
}
