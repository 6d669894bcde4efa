// How much of a call in which nobody speaks is taken for speech.
import { createRandom } from '../callers/random.ts';
import { recordedNoise, whiteNoise, type NoiseSource } from '../evaluate/noise.ts';
import type { BenchmarkResult } from '../bench/report.ts';
import { framesOf, hearOurs, hearSilero, hearSnr, type Heard } from './listeners.ts';
import type { Silero } from './silero.ts';
import { tones } from './tones.ts';

const calls = 20;
const seconds = 15;
const amplitude = 0.03;

/** Calls of 15 s, each of one noise from its first frame to its last. @param noise folder of ESC-10, of which fold 5 is used */
export async function measureNobody(silero: Silero, noise: string | undefined): Promise<BenchmarkResult> {
  const kinds: (readonly [string, NoiseSource])[] = [
    ['white noise', whiteNoise],
    ['melodies, telephone tones', (count, random) => Promise.resolve(tones(count, random))],
  ];
  if (noise !== undefined) kinds.push(['ESC-10, fold 5', (await recordedNoise(noise)).source]);
  const rows: Record<string, string>[] = [];
  for (const [name, source] of kinds) {
    const heard: Float32Array[] = [];
    for (let call = 0; call < calls; call += 1) heard.push(await atLevel(source, createRandom(1000 + call)));
    const frames = heard.map(framesOf);
    const detectors: (readonly [string, readonly Heard[]])[] = [
      ['network (ours)', frames.map(hearOurs)],
      ['SNR (before)', frames.map(hearSnr)],
      [
        'Silero v6',
        await hearSilero(
          silero,
          heard,
          frames.map(({ length }) => length),
        ),
      ],
    ];
    for (const [detector, said] of detectors) {
      const utterances = said.flatMap((each) => each.utterances ?? []);
      const taken = utterances.reduce((sum, { start, end }) => sum + end - start, 0);
      rows.push({
        'nobody, but': name,
        detector,
        'share of the time': (taken / (calls * seconds * 100)).toFixed(3),
        'utterances a minute': (utterances.length / ((calls * seconds) / 60)).toFixed(1),
      });
    }
  }
  return { name: 'nobody speaks', about: `${String(calls)} calls of ${String(seconds)} s; what is taken for speech.`, rows, failures: [] };
}

async function atLevel(source: NoiseSource, random: () => number): Promise<Float32Array> {
  const samples = await source(seconds * 16_000, random);
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const gain = power === 0 ? 0 : amplitude / Math.sqrt(power);
  return samples.map((sample) => Math.max(-1, Math.min(1, gain * sample)));
}
