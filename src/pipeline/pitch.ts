// How periodic a frame is at which pitch: what the log-mel of 25 ms does not resolve in a low voice.

/** Rate at which a frame is correlated with itself, Hz. */
export const pitchRateHz = 4000;
/** Bands of pitch, from high to low. */
export const pitchBands = 24;
/** Numbers that say a frame's pitch: pitch, voicing, glide, then the bands. */
export const pitchCount = 3 + pitchBands;
/** Numbers that a caller keeps between two frames, before the low rate's samples. */
export const pitchStateCount = 8;
/** Those of a caller who was never voiced. */
export const initialPitchState: readonly number[] = [0, 0, -10, -10, 0, 0, 0, 0];
/** Lags that are correlated, samples at {@link pitchRateHz}. */
export const shortestLag = 7;
export const longestLag = 70;
/** Samples that are correlated: 32 ms. */
export const correlatedSamples = 128;
/** Added to the product of energies, so that what is hardly heard is not periodic. */
export const energyProductFloor = 1e-8;
/** New samples of a frame, and those before them that it needs. */
export const lowRateHop = 40;
export const lowRateBefore = correlatedSamples + longestLag - lowRateHop;

const highestHz = 480;
const bandsPerOctave = 8;
const cutoffHz = 900;
const tapCount = 64;
/** Samples at 16 kHz up to the end of a frame that its pitch is made of. */
export const pitchSpanSamples = (16_000 / pitchRateHz) * (correlatedSamples + longestLag) + tapCount - 1;
/** What an octave longer a period must be worth in correlation, lest that of half the pitch be taken. */
const octaveCost = 0.03;

/**
 * The low-pass filter before every fourth sample is taken: a sinc of 900 Hz under a Hamming window, 64 taps that add up to 1.
 */
export function lowPassTaps(sampleRateHz: number): Float64Array {
  const middle = (tapCount - 1) / 2;
  const taps = Float64Array.from({ length: tapCount }, (_, i) => {
    const x = (2 * cutoffHz * (i - middle)) / sampleRateHz;
    const window = 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (tapCount - 1));
    return (window * Math.sin(Math.PI * x)) / (Math.PI * x);
  });
  const sum = taps.reduce((all, tap) => all + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** What each half lag costs as a period, from {@link shortestLag} + 1 on in steps of half a sample. */
export function lagCosts(): number[] {
  const shortest = shortestLag + 1;
  return Array.from({ length: 2 * (longestLag - 2 - shortestLag) }, (_, i) => octaveCost * Math.log2((shortest + i / 2) / shortest));
}

/**
 * Of each band the half lags from `first` to before `end`, counted from {@link shortestLag} + 1 in steps of half a sample: those of 480 Hz
 * times 2 to the power of -band / 8, to those of the next band.
 */
export function lagBands(): { readonly first: number; readonly end: number }[] {
  const halfLagFrom = (hz: number): number => Math.ceil(2 * (pitchRateHz / hz - shortestLag - 1) - 1e-9);
  return Array.from({ length: pitchBands }, (_, band) => {
    const edge = (at: number): number => halfLagFrom(highestHz * 2 ** (-at / bandsPerOctave));
    return { first: edge(band), end: edge(band + 1) };
  });
}
