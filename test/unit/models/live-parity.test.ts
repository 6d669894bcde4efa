// The live path (decoder, features, speech, normalisation, windows, streaming ONNX) against PyTorch on the training's path.
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadEngines } from '../../../src/models/load-engine.ts';
import { frontEndSpec, loadManifest, type LoadedModel } from '../../../src/models/manifest.ts';
import type { Engine, EngineWindow } from '../../../src/models/types.ts';
import type { FeatureBlock } from '../../../src/pipeline/types.ts';
import { WholeNetwork } from '../../../tools/models/whole-network.ts';
import { shippedModelDir, windowsOf } from './speech.ts';
import { silentLogger } from './support.ts';

interface Parity {
  readonly file: string;
  /** Frames (exclusive) at which windows end. */
  readonly ends: readonly number[];
  readonly logits: readonly (readonly number[])[];
}

const live = JSON.parse(readFileSync(new URL('../../golden/live/live.json', import.meta.url), 'utf8')) as Parity[];
/** Silence after a clip, s. */
const pauseSeconds = 0.6;

let engine: Engine;
let model: LoadedModel;

beforeAll(async () => {
  model = await loadManifest(shippedModelDir);
  [engine] = (await loadEngines({ model, precision: 'fp32', logger: silentLogger })) as [Engine];
});

afterAll(async () => {
  await engine.close();
});

describe('the live path', () => {
  it.each(live.map((parity) => [parity.file, parity] as const))('scores %s as PyTorch does', async (file, { ends, logits }) => {
    const windows = await windowsOf([file, pauseSeconds], frontEndSpec(model.manifest), file);
    expect(ends.length).toBeGreaterThan(0);
    for (const [i, end] of ends.entries()) {
      const window = windows.find(({ endFrame }) => endFrame === end);
      expect(window, `a window that ends at frame ${String(end)}`).toBeDefined();
      const scored = await engine.run([{ trackId: file, endFrame: end, blocks: window!.blocks }]);
      expect(scored).toHaveLength(model.manifest.labels.length);
      const worst = Math.max(...logits[i]!.map((expected, c) => Math.abs(expected - scored[c]!)));
      expect(worst).toBeLessThan(2e-4);
    }
  });
});

/** Features of real speech, as 16-bit steps, and the logits that PyTorch gave of them when the model was exported. */
interface ParityFixture {
  readonly batch: number;
  readonly contextFrames: number;
  readonly featureCount: number;
  readonly stepsPerUnit: number;
  /** A digit for each frame of context and window. */
  readonly mask: readonly string[];
  readonly logits: readonly (readonly number[])[];
}

describe('the exported networks', () => {
  const fixture = JSON.parse(readFileSync(`${shippedModelDir}parity.json`, 'utf8')) as ParityFixture;
  const { batch, contextFrames, featureCount, stepsPerUnit } = fixture;
  const frameCount = fixture.mask[0]?.length ?? 0;
  const steps = new Int16Array(new Uint8Array(readFileSync(`${shippedModelDir}parity-features.i16`)).buffer);
  const features = Float32Array.from(steps, (step) => step / stepsPerUnit);
  const mask = Float32Array.from(fixture.mask.join(''), Number);
  const expected = fixture.logits.flat();

  /** The windows of the fixture as the last of callers, in blocks of a hop. */
  function windowsOfFixture(): EngineWindow[] {
    const { hopFrames } = model.manifest;
    const count = Math.ceil(frameCount / hopFrames);
    const lead = count * hopFrames - frameCount;
    return Array.from({ length: batch }, (_, row): EngineWindow => {
      const blocks = Array.from({ length: count }, (__, at): FeatureBlock => {
        const block = { features: new Int16Array(hopFrames * featureCount), mask: new Float32Array(hopFrames) };
        const first = Math.max(0, at * hopFrames - lead);
        const from = row * frameCount + first;
        const to = row * frameCount + (at + 1) * hopFrames - lead;
        const offset = hopFrames - (to - from);
        block.features.set(steps.subarray(from * featureCount, to * featureCount), offset * featureCount);
        block.mask.set(mask.subarray(from, to), offset);
        return block;
      });
      return { trackId: `parity-${String(row)}`, endFrame: count * hopFrames, blocks };
    });
  }

  function expectParity(logits: ArrayLike<number>): void {
    expect(logits).toHaveLength(expected.length);
    expect(Math.max(...expected.map((value, i) => Math.abs(value - (logits[i] ?? NaN))))).toBeLessThan(1e-4);
  }

  it('agree with PyTorch to 1e-4: the whole network', async () => {
    expect({ contextFrames, frameCount }).toEqual({
      contextFrames: model.manifest.contextFrames,
      frameCount: model.manifest.contextFrames + model.manifest.windowFrames,
    });
    const whole = await WholeNetwork.open(model);
    expectParity(await whole.run({ batch, features, mask }));
    await whole.close();
  });

  it('agree with PyTorch to 1e-4: trunk and head, alone and in a batch', async () => {
    const windows = windowsOfFixture();
    expectParity(await engine.run(windows));
    const alone: number[] = [];
    for (const window of windows) alone.push(...(await engine.run([{ ...window, trackId: `${window.trackId}-alone` }])));
    expectParity(alone);
  });

  /** By how much the probabilities of the fixture's windows, which come first, differ from PyTorch's. */
  function worstOf(logits: ArrayLike<number>): number {
    const { labels, temperature } = model.manifest;
    const probabilities = (values: ArrayLike<number>): number[] =>
      Array.from({ length: expected.length / labels.length }, (_, row) =>
        softmax(Array.from({ length: labels.length }, (__, c) => (values[row * labels.length + c] ?? NaN) / temperature)),
      ).flat();
    const exact = probabilities(expected);
    return Math.max(...probabilities(logits).map((value, i) => Math.abs(value - (exact[i] ?? NaN))));
  }

  it('differ on our kernel by less than five ten-thousandths of a probability, and in nothing by what is in the batch', async () => {
    const [kernel] = (await loadEngines({ model, precision: 'int16', logger: silentLogger })) as [Engine];
    const windows = windowsOfFixture();
    const loud = loudOnes(windows);
    const alone: number[] = [];
    for (const window of windows) alone.push(...(await kernel.run([{ ...window, trackId: `${window.trackId}-alone` }])));
    const together = await kernel.run([...windows, ...loud]);
    await kernel.close();
    expect([...together.subarray(0, alone.length)]).toEqual(alone);
    const worst = worstOf(together);
    expect(worst).toBeLessThan(5e-4);
    // Another network than that of 32-bit floats has run.
    expect(worst).toBeGreaterThan(1e-7);
  });

  it('differ in 8-bit integers by less than a hundredth of a probability, whatever is in the batch', async () => {
    expect(model.paths.headInt8).toMatch(/emonet-head-int8\.onnx$/);
    const [int8] = (await loadEngines({ model, precision: 'int8', logger: silentLogger })) as [Engine];
    const windows = windowsOfFixture();
    const together = await int8.run([...windows, ...loudOnes(windows)]);
    await int8.close();
    const worst = worstOf(together);
    expect(worst).toBeLessThan(0.01);
    // Another head than that of 32-bit floats has run.
    expect(worst).toBeGreaterThan(1e-6);
  });
});

/** The same windows, twenty times too loud. */
function loudOnes(windows: readonly EngineWindow[]): EngineWindow[] {
  return windows.map((window, row) => {
    const blocks = window.blocks.map((block) => block && { ...block, features: block.features.map((value) => 20 * value) });
    return { trackId: `loud-${String(row)}`, endFrame: window.endFrame, blocks };
  });
}

function softmax(logits: readonly number[]): number[] {
  const most = Math.max(...logits);
  const powers = logits.map((value) => Math.exp(value - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((value) => value / sum);
}
