// A clip over real codecs and a line that loses packets, as the export of features sends it.
import { describe, expect, it } from 'vitest';
import type { PcmChunk } from '../../../src/pipeline/types.ts';
import { createRandom } from '../../../tools/callers/random.ts';
import type { CallCodec } from '../../../tools/features/condition.ts';
import { lineDelaySamples, transmit, type LineCondition } from '../../../tools/features/transmit.ts';
import { lagOf, readClip } from './clips.ts';

const clip = await readClip('1015_IEO_ANG_HI');
const opus = (kbps: number): CallCodec => ({ name: 'opus', kbps });
const codecs: readonly CallCodec[] = [opus(12), opus(16), opus(24), opus(32), { name: 'pcmu' }];

async function send(samples: Float32Array, line: LineCondition, seed = 1): Promise<{ heard: Float32Array; chunks: PcmChunk[] }> {
  const chunks: PcmChunk[] = [];
  await transmit(samples, line, createRandom(seed), (chunk) => chunks.push({ ...chunk, samples: chunk.samples.slice() }));
  return { heard: Float32Array.from(chunks.flatMap((chunk) => [...chunk.samples])), chunks };
}

describe('transmit', () => {
  it.each(codecs)('delays $name $kbps by what lineDelaySamples says', async (codec) => {
    const { heard, chunks } = await send(clip, { codec, loss: null });
    expect(heard.length).toBe(Math.ceil(clip.length / 320) * 320);
    expect(chunks.some(({ concealed }) => concealed)).toBe(false);
    expect(Math.abs(lagOf(heard, clip, 200) - lineDelaySamples(codec))).toBeLessThanOrEqual(2);
  });

  it('hands samples through as they are without a codec', async () => {
    const { heard } = await send(clip, { codec: null, loss: null });
    expect(heard).toEqual(clip);
    expect(lineDelaySamples(null)).toBe(0);
  });

  it.each([opus(16), codecs[4] ?? null])('loses as much as it is told, and marks what was made up', async (codec) => {
    const call = new Float32Array(20 * clip.length);
    for (let i = 0; i < 20; i++) call.set(clip, i * clip.length);
    const { heard, chunks } = await send(call, { codec, loss: { percent: 12, meanBurstPackets: 2.5 } });
    expect(heard.length).toBe(Math.ceil(call.length / 320) * 320);
    const concealed = chunks.filter((chunk) => chunk.concealed).reduce((sum, { samples }) => sum + samples.length, 0);
    expect(concealed / heard.length).toBeGreaterThan(0.08);
    expect(concealed / heard.length).toBeLessThan(0.16);
    expect(chunks[0]?.concealed).toBe(false);
    expect(chunks[chunks.length - 1]?.concealed).toBe(false);
    // Chunks follow one another without hole: nothing has shifted in time.
    let end = 0;
    for (const { startSample, samples } of chunks) {
      expect(startSample).toBe(end);
      end += samples.length;
    }
    expect(Math.abs(lagOf(heard, call, 200) - lineDelaySamples(codec))).toBeLessThanOrEqual(2);
  });
});
