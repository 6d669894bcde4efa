// What voice activity costs a frame.
import { SpeechDetector } from '../../src/pipeline/speech-detector.ts';
import type { RawFrame } from '../../src/pipeline/feature-extractor.ts';
import type { BenchmarkResult } from '../bench/report.ts';
import { compare } from '../bench/rounds.ts';
import { framesOf } from './listeners.ts';
import { levelDb } from './labels.ts';
import { sileroSamples, type Silero } from './silero.ts';
import { SnrActivity } from './snr-activity.ts';
import { demoSpeech } from './demo.ts';

const seconds = 20;
const rounds = 12;
const batch = 16;
const framesOfBlock = sileroSamples / 160;

/** Times all of them on the same speech, one thread. */
export async function measureCost(silero: Silero): Promise<BenchmarkResult> {
  const samples = await demoSpeech(seconds);
  const frames = framesOf(samples);
  const silent: RawFrame[] = framesOf(new Float32Array(16_000)).slice(0, 1);
  const silence = Array.from({ length: 20_000 }, (_, index) => ({ ...silent[0], index })) as RawFrame[];
  const short = samples.subarray(0, 4 * 16_000);
  let sink = 0;
  const detect = (all: readonly RawFrame[]) => (): void => {
    const detector = new SpeechDetector();
    for (const frame of all) detector.process(frame, () => (sink += 1));
  };
  const timings = await compare(
    [
      { name: 'speech detector, speech', units: frames.length, run: detect(frames) },
      { name: 'speech detector, digital silence', units: silence.length, run: detect(silence) },
      {
        name: 'SNR (before), without hysteresis',
        units: frames.length,
        run: () => {
          const activity = new SnrActivity();
          for (const frame of frames) sink += activity.take(frame).snrDb;
        },
      },
      {
        name: 'level',
        units: frames.length,
        run: () => {
          for (const frame of frames) sink += levelDb(frame.logMel);
        },
      },
      { name: 'Silero v6, one caller', units: Math.ceil(short.length / sileroSamples) * framesOfBlock, run: () => silero.hear([short]) },
      {
        name: `Silero v6, ${String(batch)} callers at once`,
        units: batch * Math.ceil(short.length / sileroSamples) * framesOfBlock,
        run: () => silero.hear(Array.from({ length: batch }, () => short)),
      },
    ],
    rounds,
  );
  const rows = timings.map(({ name, minUs, medianUs }) => ({ what: name, 'min us a 10 ms frame': minUs, 'median us': medianUs }));
  return {
    name: 'cost',
    about: `${String(rounds)} interleaved rounds, one thread.`,
    rows,
    failures: Number.isFinite(sink) ? [] : ['no work was done'],
  };
}
