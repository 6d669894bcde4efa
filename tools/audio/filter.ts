// Linear filters on whole signals: fast convolution, and filters made from a curve of gains.
import FFT from 'fft.js';

/** Points of the curve's spectrum; the filter has half as many taps. */
const designSize = 1024;
const leastFftSize = 2048;
const leastGain = 1e-4;

/**
 * Convolves a signal with an impulse response; as long as the signal, the response's sample 0 at no delay.
 * Overlap-add, two blocks at a time as the two parts of complex numbers.
 */
export function convolve(samples: Float32Array, response: Float32Array): Float32Array {
  let size = leastFftSize;
  while (size < 4 * response.length) size *= 2;
  const block = size - response.length + 1;
  const fft = new FFT(size);
  const input = new Float64Array(2 * size);
  const filter = new Float64Array(2 * size);
  response.forEach((value, i) => (input[2 * i] = value));
  fft.transform(filter, input);
  const spectrum = new Float64Array(2 * size);
  const output = new Float32Array(samples.length);
  for (let at = 0; at < samples.length; at += 2 * block) {
    input.fill(0);
    for (let i = 0; i < block; i++) {
      input[2 * i] = samples[at + i] ?? 0;
      input[2 * i + 1] = samples[at + block + i] ?? 0;
    }
    fft.transform(spectrum, input);
    for (let i = 0; i < 2 * size; i += 2) {
      const re = spectrum[i] ?? 0;
      const im = spectrum[i + 1] ?? 0;
      const filterRe = filter[i] ?? 0;
      const filterIm = filter[i + 1] ?? 0;
      spectrum[i] = re * filterRe - im * filterIm;
      spectrum[i + 1] = re * filterIm + im * filterRe;
    }
    fft.inverseTransform(input, spectrum);
    add(output, input, at, size, 0);
    add(output, input, at + block, size, 1);
  }
  return output;
}

/**
 * A filter of minimum phase, which delays as little as can be, with the gain that `gainAt` gives for each frequency.
 * Made by folding the cepstrum (Oppenheim and Schafer, Discrete-Time Signal Processing, 13.5).
 */
export function minimumPhaseFilter(gainAt: (hz: number) => number, sampleRateHz: number): Float32Array {
  const fft = new FFT(designSize);
  const half = designSize / 2;
  const logGain = new Float64Array(2 * designSize);
  for (let bin = 0; bin < designSize; bin++) {
    const hz = (Math.min(bin, designSize - bin) * sampleRateHz) / designSize;
    logGain[2 * bin] = Math.log(Math.max(leastGain, gainAt(hz)));
  }
  const cepstrum = new Float64Array(2 * designSize);
  fft.inverseTransform(cepstrum, logGain);
  const folded = new Float64Array(2 * designSize);
  for (let i = 0; i <= half; i++) folded[2 * i] = (i === 0 || i === half ? 1 : 2) * (cepstrum[2 * i] ?? 0);
  const spectrum = new Float64Array(2 * designSize);
  fft.transform(spectrum, folded);
  for (let i = 0; i < 2 * designSize; i += 2) {
    const gain = Math.exp(spectrum[i] ?? 0);
    const phase = spectrum[i + 1] ?? 0;
    spectrum[i] = gain * Math.cos(phase);
    spectrum[i + 1] = gain * Math.sin(phase);
  }
  const response = new Float64Array(2 * designSize);
  fft.inverseTransform(response, spectrum);
  // The end fades out, so that cutting the response there makes no ripple.
  return Float32Array.from({ length: half }, (_, i) => (response[2 * i] ?? 0) * Math.min(1, (4 * (half - i)) / half));
}

function add(output: Float32Array, complex: Float64Array, at: number, size: number, part: 0 | 1): void {
  const end = Math.min(size, output.length - at);
  for (let i = 0; i < end; i++) output[at + i] = (output[at + i] ?? 0) + (complex[2 * i + part] ?? 0);
}
