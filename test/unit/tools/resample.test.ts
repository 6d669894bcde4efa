import { describe, expect, it } from 'vitest';
import { createG711Decoder } from '../../../src/pipeline/g711-codec.ts';
import { encodeMuLaw } from '../../../tools/audio/mu-law.ts';
import { mixDown, resample } from '../../../tools/audio/resample.ts';

function tone(hz: number, rateHz: number, seconds = 0.5): Float32Array {
  return Float32Array.from({ length: Math.round(rateHz * seconds) }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rateHz));
}

/** Level of the middle part, dB below the 0.5 of {@link tone}. */
function levelDb(samples: Float32Array): number {
  const middle = samples.subarray(samples.length / 4, (3 * samples.length) / 4);
  return 10 * Math.log10(middle.reduce((sum, x) => sum + x * x, 0) / middle.length / 0.125);
}

describe('resample', () => {
  it.each([
    [44_100, 16_000],
    [48_000, 16_000],
    [8000, 16_000],
    [22_050, 16_000],
    [16_000, 8000],
  ])('carries a tone from %i to %i Hz, in time and at its level', (fromHz, toHz) => {
    const resampled = resample(tone(1000, fromHz), fromHz, toHz);
    const expected = tone(1000, toHz);
    expect(resampled.length).toBe(expected.length);
    for (let i = 200; i < expected.length - 200; i++) expect(Math.abs((resampled[i] ?? 0) - (expected[i] ?? 0))).toBeLessThan(1e-3);
  });

  it('keeps what is below the new Nyquist frequency and lets nothing above it fold down', () => {
    expect(Math.abs(levelDb(resample(tone(7000, 48_000), 48_000, 16_000)))).toBeLessThan(0.1);
    for (const hz of [8100, 9000, 12_000, 15_000]) expect(levelDb(resample(tone(hz, 48_000), 48_000, 16_000))).toBeLessThan(-70);
    for (const hz of [4100, 6000]) expect(levelDb(resample(tone(hz, 16_000), 16_000, 8000))).toBeLessThan(-70);
  });

  it('leaves a recording of the right rate as it is, and refuses rates that are none', () => {
    expect(resample(Float32Array.of(0.1, 0.2), 16_000, 16_000)).toEqual(Float32Array.of(0.1, 0.2));
    expect(() => resample(new Float32Array(1), 0, 16_000)).toThrow('got `0`');
    expect(resample(new Float32Array(), 44_100, 16_000).length).toBe(0);
  });
});

describe('mixDown', () => {
  it('takes the mean of the channels', () => {
    expect(mixDown([Float32Array.of(1, 0.5), Float32Array.of(0, -0.5)])).toEqual(Float32Array.of(0.5, 0));
    expect(() => mixDown([])).toThrow('got none');
  });
});

describe('encodeMuLaw', () => {
  it('gives the codes of G.711', () => {
    expect([...encodeMuLaw(Float32Array.of(0, 1, -1, 2, 8 / 32_768, -8 / 32_768))]).toEqual([0xff, 0x80, 0x00, 0x80, 0xfe, 0x7e]);
  });

  it('is undone by the decoder to half a step', () => {
    const samples = tone(440, 8000);
    const decoded = createG711Decoder('pcmu').decode(encodeMuLaw(samples)).samples;
    // The decoder interpolates to 16 kHz with a delay of 48 samples; its even samples are the input's.
    for (let i = 0; 2 * i + 48 < decoded.length; i++) {
      const sample = samples[i] ?? 0;
      expect(Math.abs((decoded[2 * i + 48] ?? 0) - sample)).toBeLessThanOrEqual(Math.abs(sample) / 32 + 8 / 32_768);
    }
  });
});
