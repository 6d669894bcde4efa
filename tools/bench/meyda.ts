// The same kind of features by meyda, the audio feature library that a JavaScript project would take.
import Meyda from 'meyda';
import { mfccCount, melBands } from '../../src/pipeline/mel.ts';
import { hopSamples } from '../../src/pipeline/feature-extractor.ts';
import type { Variant } from './rounds.ts';

/** Its types say nothing of it. */
interface Extractor {
  extract(features: readonly string[], samples: Float32Array): { readonly mfcc: readonly number[] } | null;
}

/** It takes powers of two alone: 32 ms a frame, not 25. */
const bufferSize = 512;

/** Mel bands and MFCC of every frame of the samples, 16 kHz. */
export function meydaVariant(samples: Float32Array): Variant {
  const meyda = Meyda as unknown as Extractor;
  Object.assign(meyda, { bufferSize, sampleRate: 16_000, melBands, numberOfMFCCCoefficients: mfccCount, windowingFunction: 'hanning' });
  const frames = Math.floor((samples.length - bufferSize) / hopSamples) + 1;
  return {
    name: 'log-mel + MFCC, meyda',
    units: frames,
    run: () => {
      let sink = 0;
      for (let frame = 0; frame < frames; frame += 1) {
        const at = frame * hopSamples;
        const features = meyda.extract(['melBands', 'mfcc'], samples.subarray(at, at + bufferSize));
        sink += features?.mfcc.length ?? 0;
      }
      // Else a compiler could leave out what nobody reads; a number would be taken for a time.
      return String(sink);
    },
  };
}
