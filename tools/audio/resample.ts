// Changes the sample rate of a recording: a polyphase filter with a windowed sinc.

/** Zero crossings of the sinc on each side. */
const crossings = 32;
/** About 80 dB of stop band. */
const kaiserBeta = 8;
/** The pass band ends at this share of the lower of the two Nyquist frequencies; all above that frequency is 80 dB down. */
const passBand = 0.93;

/**
 * Resamples mono audio. The result has `ceil(length * toHz / fromHz)` samples, in time with the input (no delay).
 * The filter (64 zero crossings, Kaiser 8) is computed once for each of the `toHz / gcd` phases.
 * @throws RangeError if a rate is not a positive integer.
 */
export function resample(samples: Float32Array, fromHz: number, toHz: number): Float32Array {
  for (const rateHz of [fromHz, toHz]) {
    if (!Number.isInteger(rateHz) || rateHz <= 0) throw new RangeError(`Expected a sample rate in whole Hz, got \`${rateHz}\``);
  }
  if (fromHz === toHz) return samples.slice();
  const divisor = gcd(fromHz, toHz);
  const up = toHz / divisor;
  const down = fromHz / divisor;
  /** Cut-off, of the input's sample rate: where the sinc is half. */
  const cutoff = (passBand * Math.min(1, toHz / fromHz)) / 2;
  const halfTaps = Math.ceil(crossings / (2 * cutoff));
  const phases = Array.from({ length: up }, (_, phase) => makePhase(phase / up, cutoff, halfTaps));
  const output = new Float32Array(Math.ceil((samples.length * up) / down));
  for (let i = 0; i < output.length; i++) {
    const at = i * down;
    const centre = Math.floor(at / up);
    const taps = phases[at % up];
    if (taps === undefined) break;
    const first = centre - halfTaps + 1;
    let sum = 0;
    for (let tap = Math.max(0, -first); tap < taps.length && first + tap < samples.length; tap++) {
      sum += (taps[tap] ?? 0) * (samples[first + tap] ?? 0);
    }
    output[i] = sum;
  }
  return output;
}

/** The mean of the channels. @throws Error if there is none. */
export function mixDown(channels: readonly Float32Array[]): Float32Array {
  const [first, ...others] = channels;
  if (first === undefined) throw new Error('Expected audio with one channel or more, got none');
  const mixed = first.slice();
  for (const channel of others) for (let i = 0; i < mixed.length; i++) mixed[i] = (mixed[i] ?? 0) + (channel[i] ?? 0);
  if (others.length > 0) for (let i = 0; i < mixed.length; i++) mixed[i] = (mixed[i] ?? 0) / channels.length;
  return mixed;
}

/** Weights of the inputs from `halfTaps - 1` before the one at hand to `halfTaps` after it, for an output `fraction` after it. */
function makePhase(fraction: number, cutoff: number, halfTaps: number): Float64Array {
  const taps = Float64Array.from({ length: 2 * halfTaps }, (_, tap) => {
    const distance = tap - halfTaps + 1 - fraction;
    const ratio = distance / halfTaps;
    if (Math.abs(ratio) >= 1) return 0;
    const x = 2 * Math.PI * cutoff * distance;
    return (x === 0 ? 1 : Math.sin(x) / x) * besselI0(kaiserBeta * Math.sqrt(1 - ratio * ratio));
  });
  // Each phase passes a constant unchanged.
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

function besselI0(x: number): number {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > 1e-12 * sum; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
