// The live path (decoder, features, speech, normalisation, windows, ONNX) against PyTorch on the training's path.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLogger } from '../../../src/log.ts';
import { loadEngine } from '../../../src/models/load-engine.ts';
import { frontEndSpec, loadManifest } from '../../../src/models/manifest.ts';
import type { Engine } from '../../../src/models/types.ts';
import { FeatureExtractor, frameSamples, hopSamples } from '../../../src/pipeline/feature-extractor.ts';
import { SpeechDetector } from '../../../src/pipeline/speech-detector.ts';
import type { FeatureWindow, FrontEndSpec } from '../../../src/pipeline/types.ts';
import { WindowAssembler } from '../../../src/pipeline/window-assembler.ts';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';

interface Parity {
  readonly file: string;
  /** Frames (exclusive) at which windows end. */
  readonly ends: readonly number[];
  readonly logits: readonly (readonly number[])[];
}

const assets = new URL('../../../assets/', import.meta.url);
const modelDir = new URL('models/emonet/', assets).pathname;
const live = JSON.parse(readFileSync(new URL('../../golden/live/live.json', import.meta.url), 'utf8')) as Parity[];
const codec = { mimeType: 'audio/opus', clockRateHz: 48_000, channels: 2, payloadType: 100 };
const track = { callId: 'c', participantId: 'p', trackId: 't', codec };

let engine: Engine;
let spec: FrontEndSpec;
let labelCount: number;

beforeAll(async () => {
  const model = await loadManifest(modelDir);
  spec = frontEndSpec(model.manifest);
  labelCount = model.manifest.labels.length;
  engine = await loadEngine({ model, logger: createLogger('silent') });
});

afterAll(async () => {
  await engine.close();
});

/** The windows of a caller who speaks one clip, by the frame at which each ends. */
async function windowsOf(file: string): Promise<Map<number, FeatureWindow>> {
  const samples = await decodeOggOpus(readFileSync(new URL(`demo/${file}`, assets)));
  const padded = new Float32Array(samples.length + 9_600);
  padded.set(samples);
  const extractor = new FeatureExtractor();
  const detector = new SpeechDetector();
  const assembler = new WindowAssembler(track, spec);
  const windows = new Map<number, FeatureWindow>();
  extractor.process({ startSample: 0, samples: padded, concealed: false, arrivalMs: 0 }, (frame) => {
    detector.process(frame, (detected) => {
      assembler.process(detected, (output) => {
        if (output.kind === 'window') windows.set((output.window.endSample - frameSamples) / hopSamples + 1, output.window);
      });
    });
  });
  return windows;
}

describe('the live path', () => {
  it.each(live.map((parity) => [parity.file, parity] as const))('scores %s as PyTorch does', async (file, { ends, logits }) => {
    const windows = await windowsOf(file);
    expect(ends.length).toBeGreaterThan(0);
    for (const [i, end] of ends.entries()) {
      const window = windows.get(end);
      expect(window, `a window that ends at frame ${end}`).toBeDefined();
      const { features, mask, frameCount, featureCount } = window!;
      const scored = await engine.run({ batch: 1, frameCount, featureCount, features, mask });
      expect(scored).toHaveLength(labelCount);
      const worst = Math.max(...logits[i]!.map((expected, c) => Math.abs(expected - scored[c]!)));
      expect(worst).toBeLessThan(2e-3);
    }
  });

  it('agrees with PyTorch on the features of its fixture to 1e-4, alone and in a batch', async () => {
    const parity = JSON.parse(readFileSync(`${modelDir}/parity.json`, 'utf8')) as {
      readonly batch: number;
      readonly frameCount: number;
      readonly featureCount: number;
      readonly stepsPerUnit: number;
      readonly mask: readonly string[];
      readonly logits: readonly (readonly number[])[];
    };
    const { batch, frameCount, featureCount, stepsPerUnit } = parity;
    const steps = new Int16Array(new Uint8Array(readFileSync(`${modelDir}/parity-features.i16`)).buffer);
    const features = Float32Array.from(steps, (step) => step / stepsPerUnit);
    const mask = Float32Array.from(parity.mask.join(''), Number);
    const expected = parity.logits.flat();
    const size = frameCount * featureCount;
    const together = await engine.run({ batch, frameCount, featureCount, features: features.slice(), mask: mask.slice() });
    const alone = [];
    for (let b = 0; b < batch; b += 1) {
      const one = { features: features.slice(b * size, (b + 1) * size), mask: mask.slice(b * frameCount, (b + 1) * frameCount) };
      alone.push(...(await engine.run({ batch: 1, frameCount, featureCount, ...one })));
    }
    for (const logits of [together, alone]) {
      expect(logits).toHaveLength(expected.length);
      expect(Math.max(...expected.map((value, i) => Math.abs(value - logits[i]!)))).toBeLessThan(1e-4);
    }
  });
});
