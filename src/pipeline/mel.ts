// Mel filter bank and cosine transform: the two fixed matrices of the front end.

/** Number of log-mel bands. */
export const melBands = 64;
/** Number of cepstral coefficients. */
export const mfccCount = 40;
/** Features of a frame: the log-mel bands, then the cepstral coefficients. */
export const featureCount = melBands + mfccCount;

/** A triangular filter as the run of FFT bins where it is not zero. */
export interface MelFilter {
  readonly firstBin: number;
  readonly weights: Float64Array;
}

/** Options of {@link melFilterBank}. */
export interface MelFilterBankOptions {
  readonly bands: number;
  readonly fftSize: number;
  readonly sampleRateHz: number;
  readonly lowHz: number;
  readonly highHz: number;
}

/**
 * Triangular filters with peaks of 1, evenly spaced on Slaney's mel scale: linear below 1 kHz, logarithmic above
 * (M. Slaney, Auditory Toolbox, 1998). Throws RangeError if a filter would cover no bin.
 */
export function melFilterBank({ bands, fftSize, sampleRateHz, lowHz, highHz }: MelFilterBankOptions): MelFilter[] {
  const low = hzToMel(lowHz);
  const step = (hzToMel(highHz) - low) / (bands + 1);
  const binHz = sampleRateHz / fftSize;
  return Array.from({ length: bands }, (_, band) => {
    const left = melToHz(low + band * step);
    const centre = melToHz(low + (band + 1) * step);
    const right = melToHz(low + (band + 2) * step);
    const firstBin = Math.floor(left / binHz) + 1;
    const weights: number[] = [];
    for (let bin = firstBin; bin * binHz < right; bin += 1) {
      const hz = bin * binHz;
      weights.push(hz <= centre ? (hz - left) / (centre - left) : (right - hz) / (right - centre));
    }
    if (weights.length === 0) throw new RangeError(`Expected every mel filter to cover a bin, but filter ${band} covers none`);
    return { firstBin, weights: Float64Array.from(weights) };
  });
}

/** Rows of the orthonormal DCT-II, `[count][size]` row-major: the cepstrum of `size` log energies. */
export function dctMatrix(size: number, count: number): Float64Array {
  const matrix = new Float64Array(size * count);
  for (let k = 0; k < count; k += 1) {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / size);
    for (let n = 0; n < size; n += 1) matrix[k * size + n] = scale * Math.cos((Math.PI * k * (n + 0.5)) / size);
  }
  return matrix;
}

const linearHzPerMel = 200 / 3;
const breakHz = 1000;
const breakMel = breakHz / linearHzPerMel;
const logStep = Math.log(6.4) / 27;

function hzToMel(hz: number): number {
  return hz < breakHz ? hz / linearHzPerMel : breakMel + Math.log(hz / breakHz) / logStep;
}

function melToHz(mel: number): number {
  return mel < breakMel ? mel * linearHzPerMel : breakHz * Math.exp(logStep * (mel - breakMel));
}
