// Encodes G.711 mu-law.

const bias = 132;
const clip = 32_635;

/** Samples in [-1, 1] to one byte each (ITU-T G.711); values beyond are clipped. */
export function encodeMuLaw(samples: Float32Array): Uint8Array {
  return Uint8Array.from(samples, (sample) => {
    const linear = Math.max(-clip, Math.min(clip, Math.round(sample * 32_768)));
    const magnitude = Math.abs(linear) + bias;
    const segment = Math.floor(Math.log2(magnitude)) - 7;
    const mantissa = (magnitude >> (segment + 3)) & 15;
    return ~((linear < 0 ? 128 : 0) | (segment << 4) | mantissa) & 0xff;
  });
}
