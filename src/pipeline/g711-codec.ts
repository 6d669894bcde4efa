// G.711 (PCMU, PCMA) at 8 kHz to 16 kHz mono.
import { UndertoneError } from '../errors.ts';
import type { AudioDecoder, DecodedChunk } from './audio-decoder.ts';

/**
 * Half-band interpolator: a windowed sinc (Kaiser) of `2 * tapsPerSide` taps a phase. One phase is the input itself
 * (delayed), the other lies half an input sample later. Up to 3.6 kHz it is flat to 0.001 dB, and the image of anything
 * below that is more than 80 dB down.
 */
const tapsPerSide = 24;
const kaiserBeta = 7.5;

/** Delay of the interpolator, samples at 16 kHz (3 ms). */
const historySamples8k = 2 * tapsPerSide;

/** How far back concealment looks for a pitch period, and the range of periods, samples at 16 kHz. */
const pitch = { minSamples: 80, maxSamples: 240, matchSamples: 320 };

/** Over how many samples at 16 kHz concealment fades to silence (60 ms). */
const fadeSamples = 960;

const tables = { pcmu: makeTable(expandMu), pcma: makeTable(expandA) };
const halfPhase = makeHalfPhase();

/** Makes a decoder of mu-law (`pcmu`) or A-law (`pcma`) payloads of any length. Ready at once. */
export function createG711Decoder(law: 'pcmu' | 'pcma'): AudioDecoder {
  const table = tables[law];
  let closed = false;
  let past = new Float32Array(historySamples8k);
  let recent = new Float32Array(pitch.maxSamples + pitch.matchSamples);
  let concealedSamples = 0;
  let periodSamples = 0;

  const remember = (samples: Float32Array): void => {
    if (samples.length >= recent.length) {
      recent.set(samples.subarray(samples.length - recent.length));
      return;
    }
    recent.copyWithin(0, samples.length);
    recent.set(samples, recent.length - samples.length);
  };

  const mustBeOpen = (): void => {
    if (closed) throw new UndertoneError('UT_REQUEST_INVALID', 'Expected an open G.711 decoder, got one that is closed');
  };

  const decode = (payload: Uint8Array): DecodedChunk => {
    mustBeOpen();
    const input = new Float32Array(historySamples8k + payload.length);
    input.set(past);
    for (let i = 0; i < payload.length; i++) input[historySamples8k + i] = table[payload[i] ?? 0] ?? 0;
    const samples = interpolate(input, payload.length);
    past = input.slice(payload.length);
    remember(samples);
    concealedSamples = 0;
    return { samples, concealed: false };
  };

  const conceal = (sampleCount: number): Float32Array => {
    mustBeOpen();
    const samples = new Float32Array(sampleCount);
    if (concealedSamples === 0) periodSamples = findPeriod(recent);
    const from = recent.length - periodSamples;
    for (let i = 0; i < sampleCount; i++) {
      const at = concealedSamples + i;
      samples[i] = (recent[from + (at % periodSamples)] ?? 0) * Math.max(0, 1 - at / fadeSamples);
    }
    concealedSamples += sampleCount;
    // The filter's past is the lost media too: what was made up, at 8 kHz, keeps the next packet's first samples smooth.
    const tail = new Float32Array(historySamples8k);
    for (let i = 0; i < historySamples8k; i++) {
      const at = sampleCount - 2 * (historySamples8k - i);
      tail[i] = at >= 0 ? (samples[at] ?? 0) : (past[historySamples8k + at / 2] ?? 0);
    }
    past = tail;
    return samples;
  };

  return {
    ready: Promise.resolve(),
    decode,
    conceal,
    fecSamples: () => 0,
    recover: () => ({ samples: new Float32Array(0), concealed: true }),
    reset: () => {
      past = new Float32Array(historySamples8k);
      recent = new Float32Array(recent.length);
      concealedSamples = 0;
      return Promise.resolve();
    },
    close: () => {
      closed = true;
    },
  };
}

/** Level of a payload, dBov: 0 for a square wave at full scale (RFC 6464), -127 for digital silence. */
export function g711LevelDbov(law: 'pcmu' | 'pcma', payload: Uint8Array): number {
  const table = tables[law];
  let energy = 0;
  for (const code of payload) {
    const sample = table[code] ?? 0;
    energy += sample * sample;
  }
  return Math.max(-127, 10 * Math.log10(energy / Math.max(1, payload.length) + 1e-13));
}

/** Two samples out for each one in; `input` begins with the history. */
function interpolate(input: Float32Array, count: number): Float32Array {
  const output = new Float32Array(2 * count);
  for (let i = 0; i < count; i++) {
    // Centre of the filter: `tapsPerSide` inputs have come after it.
    const centre = historySamples8k + i - tapsPerSide;
    output[2 * i] = input[centre] ?? 0;
    let sum = 0;
    for (let tap = 0; tap < tapsPerSide; tap++) {
      sum += (halfPhase[tap] ?? 0) * ((input[centre - tap] ?? 0) + (input[centre + 1 + tap] ?? 0));
    }
    output[2 * i + 1] = Math.max(-1, Math.min(1, sum));
  }
  return output;
}

/** Weights of the inputs at distance 0.5, 1.5, 2.5 … from the sample between two inputs; they sum to one half. */
function makeHalfPhase(): Float64Array {
  const taps = Float64Array.from({ length: tapsPerSide }, (_, tap) => {
    const distance = tap + 0.5;
    const ratio = distance / tapsPerSide;
    const window = besselI0(kaiserBeta * Math.sqrt(1 - ratio * ratio)) / besselI0(kaiserBeta);
    return (Math.sin(Math.PI * distance) / (Math.PI * distance)) * window;
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / (2 * sum));
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

/** The lag at which the recent past is most like itself: the peak of the normalised correlation. */
function findPeriod(recent: Float32Array): number {
  const end = recent.length;
  let best = pitch.maxSamples;
  let bestScore = 0;
  for (let lag = pitch.minSamples; lag <= pitch.maxSamples; lag++) {
    let product = 0;
    let energy = 1e-9;
    for (let i = end - pitch.matchSamples; i < end; i += 2) {
      const past = recent[i - lag] ?? 0;
      product += (recent[i] ?? 0) * past;
      energy += past * past;
    }
    const score = product / Math.sqrt(energy);
    if (score > bestScore) {
      bestScore = score;
      best = lag;
    }
  }
  return best;
}

function makeTable(expand: (code: number) => number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => expand(code) / 32768);
}

/** Mu-law to 16-bit linear (ITU-T G.711). */
function expandMu(code: number): number {
  const bits = ~code & 0xff;
  const magnitude = ((((bits & 15) << 3) + 132) << ((bits >> 4) & 7)) - 132;
  return (bits & 128) === 0 ? magnitude : -magnitude;
}

/** A-law to 16-bit linear (ITU-T G.711). */
function expandA(code: number): number {
  const bits = code ^ 0x55;
  const segment = (bits >> 4) & 7;
  const mantissa = (bits & 15) << 4;
  const magnitude = segment === 0 ? mantissa + 8 : (mantissa + 264) << (segment - 1);
  return (bits & 128) === 0 ? -magnitude : magnitude;
}
