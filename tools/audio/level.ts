// How loud speech is: the mean power of the frames in which somebody speaks.

const frameSamples = 320;
/** Frames this far below the loudest one are no speech, dB. */
const activeRangeDb = 30;

/** Mean power of the frames that are within 30 dB of the loudest; 0 where there is no sound. */
export function speechPower(samples: Float32Array): number {
  const powers: number[] = [];
  for (let at = 0; at < samples.length; at += frameSamples) powers.push(meanPower(samples.subarray(at, at + frameSamples)));
  const least = powers.reduce((most, power) => Math.max(most, power), 0) / 10 ** (activeRangeDb / 10);
  const active = powers.filter((power) => power > 0 && power >= least);
  return active.length === 0 ? 0 : active.reduce((sum, power) => sum + power, 0) / active.length;
}

/** Mean of the squares; 0 of no samples. */
export function meanPower(samples: Float32Array): number {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return samples.length === 0 ? 0 : sum / samples.length;
}
