// Goes on with the room of a clip through the pause after it, as a microphone that is not muted does.
import type { Random } from '../callers/random.ts';
import type { Span } from '../features/hear.ts';

const hopSamples = 160;
const grainSamples = 800;
const stepSamples = grainSamples / 2;
/** Frames around speech that may hold some of it. */
const guardFrames = 6;
/** Fewer places than these to take a grain from make no room. */
const leastPlaces = 5;
/** Grains of noise have no phase in common, so that at half overlap their Hann windows leave 3/4 of the power. */
const gain = 1 / Math.sqrt(0.75);

/**
 * Fills the pause after each clip, and the one before the first, with what is heard in the clip while nobody speaks: grains of
 * 50 ms from random places, half overlapping. In place. A clip without room before and after its speech leaves its pause silent.
 */
export function fillPauses(samples: Float32Array, labels: Uint8Array, spans: readonly Span[], random: Random): void {
  const clean = samples.slice();
  for (const [i, { startSample, sampleCount }] of spans.entries()) {
    const places = quietPlaces(labels, startSample, startSample + sampleCount);
    if (places.length < leastPlaces) continue;
    const fill = (from: number, to: number): void => {
      for (let at = from - stepSamples; at < to; at += stepSamples) {
        const place = places[Math.floor(random() * places.length)] ?? 0;
        for (let k = Math.max(0, from - at); k < grainSamples && at + k < to; k += 1) {
          const window = 0.5 - 0.5 * Math.cos((2 * Math.PI * (k + 0.5)) / grainSamples);
          samples[at + k] = (samples[at + k] ?? 0) + gain * window * (clean[place + k] ?? 0);
        }
      }
    };
    if (i === 0) fill(0, startSample);
    fill(startSample + sampleCount, spans[i + 1]?.startSample ?? samples.length);
  }
}

/** Samples from which a grain holds no speech. */
function quietPlaces(labels: Uint8Array, start: number, end: number): number[] {
  const places: number[] = [];
  for (let at = start; at + grainSamples <= end; at += hopSamples) {
    const frame = Math.floor(at / hopSamples);
    const around = labels.subarray(Math.max(0, frame - guardFrames), frame + grainSamples / hopSamples + guardFrames);
    if (!around.includes(1)) places.push(at);
  }
  return places;
}
