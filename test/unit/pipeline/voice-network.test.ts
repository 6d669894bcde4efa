// The voice-activity network in TypeScript against PyTorch, and what its weights' file must be.
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { readVoiceNetwork, shippedVoiceNetwork } from '../../../src/pipeline/voice-model.ts';
import { VoiceNetwork } from '../../../src/pipeline/voice-network.ts';
import { voiceInputCount } from '../../../src/pipeline/voice-inputs.ts';

const shipped = new URL('../../../assets/models/vad/', import.meta.url);
const folder = mkdtempSync(join(tmpdir(), 'undertone-vad-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** The input that training/vad/exporting.py makes up. */
function madeUp(steps: number, width: number): Float32Array {
  return Float32Array.from({ length: steps * width }, (_, i) => 1.5 * Math.sin(0.37 * i + 0.011 * (i % 97) ** 2));
}

function changed(edit: (copy: string) => void): URL {
  const copy = mkdtempSync(join(folder, 'copy-'));
  cpSync(shipped, copy, { recursive: true });
  edit(copy);
  return pathToFileURL(`${copy}/`);
}

describe('the network that ships', () => {
  it("gives PyTorch's probabilities, step by step", () => {
    const { logits } = JSON.parse(readFileSync(new URL('parity.json', shipped), 'utf8')) as { logits: [number, number][] };
    const network = shippedVoiceNetwork();
    const state = network.createState();
    const inputs = madeUp(logits.length, 2 * voiceInputCount);
    const said = new Float32Array(2);
    expect(logits.length).toBeGreaterThan(10);
    logits.forEach((expected, step) => {
      network.step(inputs.subarray(step * 2 * voiceInputCount, (step + 1) * 2 * voiceInputCount), state, said);
      expected.forEach((logit, i) => {
        expect(Math.abs(said[i]! - 1 / (1 + Math.exp(-logit)))).toBeLessThan(1e-4);
      });
    });
    // Inputs that make it say one thing alone would prove little.
    expect(Math.max(...logits.flat()) - Math.min(...logits.flat())).toBeGreaterThan(1);
  });

  it('is refused when its weights were changed, are missing or of another size', () => {
    const flipped = changed((copy) => {
      const bytes = readFileSync(join(copy, 'weights.f32'));
      bytes[100]! ^= 1;
      writeFileSync(join(copy, 'weights.f32'), bytes);
    });
    expect(() => readVoiceNetwork(flipped)).toThrow(/SHA-256/);
    const missing = changed((copy) => {
      rmSync(join(copy, 'weights.f32'));
    });
    expect(() => readVoiceNetwork(missing)).toThrow(/Expected a voice-activity network/);
    const other = changed((copy) => {
      const manifest = JSON.parse(readFileSync(join(copy, 'manifest.json'), 'utf8')) as { hidden: number };
      writeFileSync(join(copy, 'manifest.json'), JSON.stringify({ ...manifest, hidden: manifest.hidden + 8 }));
    });
    expect(() => readVoiceNetwork(other)).toThrow(/Expected \d+ weights/);
  });
});

describe('VoiceNetwork', () => {
  it('takes no shape that its weights do not fill', () => {
    expect(() => new VoiceNetwork({ inputs: 3, dense: 8, hidden: 8 }, new Float32Array(5))).toThrow(RangeError);
    expect(() => new VoiceNetwork({ inputs: 3, dense: 7, hidden: 8 }, new Float32Array(5))).toThrow(/multiples of 8/);
  });

  it('keeps callers apart', () => {
    const network = shippedVoiceNetwork();
    const inputs = madeUp(6, 2 * voiceInputCount);
    const hear = (state: Float32Array, steps: readonly number[]): number[] =>
      steps.map((step) => {
        const said = new Float32Array(2);
        network.step(inputs.subarray(step * 2 * voiceInputCount, (step + 1) * 2 * voiceInputCount), state, said);
        return said[1]!;
      });
    const alone = hear(network.createState(), [0, 1, 2]);
    const [one, two] = [network.createState(), network.createState()];
    const turns = [0, 1, 2].map((step) => {
      const [said] = hear(one, [step]);
      hear(two, [5 - step]);
      return said;
    });
    expect(turns).toEqual(alone);
  });
});
