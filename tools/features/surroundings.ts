// What lies between a caller's mouth and the line: the room, the noise in it, and the microphone that hears both.
import { convolve, minimumPhaseFilter } from '../audio/filter.ts';
import { speechPower } from '../audio/level.ts';
import type { Random } from '../callers/random.ts';
import { equalizerGain, type CallerCondition } from './condition.ts';
import type { Span } from './hear.ts';
import { fadeEnds, type Noise } from './noise.ts';

/** What of a caller's conditions concerns the surroundings. */
export type SurroundingsCondition = Pick<CallerCondition, 'gainDb' | 'equalizer'>;

/** What is around the caller. */
export interface Surroundings {
  /** Impulse response; null outdoors. */
  readonly room: Float32Array | null;
  /**
   * Noise, how far it lies below the caller's speech on the whole, and how far from that it may be at a clip (3); null where it is
   * quiet.
   */
  readonly noise: { readonly make: Noise; readonly ratioDb: number; readonly spreadDb?: number } | null;
}

/** How far the ratio of a clip's noise may be from the caller's. */
const ratioSpreadDb = 3;
const sampleRateHz = 16_000;

/**
 * A call as the microphone takes it, clipped to [-1, 1]. The noise goes on from clip to clip through the pauses, each
 * time from another stretch and at a level of its own.
 */
export async function surround(
  voice: Float32Array,
  spans: readonly Span[],
  { room, noise }: Surroundings,
  { gainDb, equalizer }: SurroundingsCondition,
  random: Random,
): Promise<Float32Array> {
  const there = room === null ? voice.slice() : convolve(voice, room);
  if (noise !== null) {
    const levelDb = speechLevelDb(there, spans);
    for (const [i, { startSample }] of spans.entries()) {
      const end = spans[i + 1]?.startSample ?? there.length;
      const ratioDb = noise.ratioDb + (2 * random() - 1) * (noise.spreadDb ?? ratioSpreadDb);
      const stretch = await noise.make(end - startSample, random);
      fadeEnds(stretch);
      const gain = 10 ** ((levelDb - ratioDb) / 20);
      for (let at = 0; at < stretch.length; at++) there[startSample + at] = (there[startSample + at] ?? 0) + gain * (stretch[at] ?? 0);
    }
  }
  const gain = 10 ** (gainDb / 20);
  const heard = convolve(
    there,
    minimumPhaseFilter((hz) => gain * equalizerGain(equalizer, hz), sampleRateHz),
  );
  for (let i = 0; i < heard.length; i++) heard[i] = Math.max(-1, Math.min(1, heard[i] ?? 0));
  return heard;
}

/** Mean level of a caller's clips while they speak, dB of full scale: each clip counts the same, be it loud or soft. */
function speechLevelDb(samples: Float32Array, spans: readonly Span[]): number {
  const powers = spans
    .map(({ startSample, sampleCount }) => speechPower(samples.subarray(startSample, startSample + sampleCount)))
    .filter((power) => power > 0);
  return powers.length === 0 ? -Infinity : (10 * powers.reduce((sum, power) => sum + Math.log10(power), 0)) / powers.length;
}
