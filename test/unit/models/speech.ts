// Real speech for tests of the model: the demo clips through the front end that serves.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { FeatureExtractor } from '../../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../../src/pipeline/speech-detector.ts';
import type { FeatureWindow, FrontEndSpec } from '../../../src/pipeline/types.ts';
import { WindowAssembler } from '../../../src/pipeline/window-assembler.ts';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';
import { track } from './support.ts';

const demoDir = new URL('../../../assets/demo/', import.meta.url);

export const shippedModelDir = fileURLToPath(new URL('../../../assets/models/emonet/', import.meta.url));

/** A clip, or a pause in seconds. */
export type Part = string | number;

/** Every window of a caller who says these clips with these pauses. */
export async function windowsOf(parts: readonly Part[], spec: FrontEndSpec, trackId = 'a'): Promise<FeatureWindow[]> {
  const extractor = new FeatureExtractor({ pitch: spec.pitch ?? false });
  const detector = new SpeechDetector();
  const assembler = new WindowAssembler(track(trackId), spec);
  const windows: FeatureWindow[] = [];
  let startSample = 0;
  for (const part of parts) {
    const samples = typeof part === 'number' ? new Float32Array(part * 16_000) : await decodeOggOpus(readFileSync(new URL(part, demoDir)));
    extractor.process({ startSample, samples, concealed: false, arrivalMs: 0 }, (frame) => {
      detector.process(frame, (detected) => {
        assembler.process(detected, (output) => {
          if (output.kind === 'window') windows.push(output.window);
        });
      });
    });
    startSample += samples.length;
  }
  return windows;
}
