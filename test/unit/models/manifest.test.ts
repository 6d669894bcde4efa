import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { frontEndSpec, loadManifest, streamShape } from '../../../src/models/manifest.ts';
import { tinyManifest, tinyModelDir } from './support.ts';

let dir: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'undertone-manifest-'));
  await cp(tinyModelDir, dir, { recursive: true });
});

afterEach(async () => {
  await rm(dir, { recursive: true });
});

const { normalization } = tinyManifest;

/** A change to the manifest, and what the error must say of it. */
const faults: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
  ['another format', { format: 'undertone-model/3' }, /`format`: .*undertone-model\/2.*got `undertone-model\/3`/],
  [
    'the former format',
    { format: 'undertone-model/1' },
    /of format undertone-model\/2, got `undertone-model\/1`\. .*Take the model of this/,
  ],
  ['an unknown key', { colour: 'blue' }, /colour/],
  ['a missing key', { temperature: undefined }, /`temperature`: .*expected number/],
  ['a repeated label', { labels: ['anger', 'fear', 'anger'] }, /`labels`: expected each label once/],
  ['a single label', { labels: ['anger'] }, /`labels`: .*2/],
  ['the label uncertain', { labels: ['anger', 'uncertain'] }, /`uncertain` is not a class/],
  ['another sample rate', { sampleRateHz: 8000 }, /`sampleRateHz`: .*16000.*got `8000`/],
  ['a fractional window', { windowFrames: 10.5 }, /`windowFrames`: .*got `10.5`/],
  ['a hop beyond the window', { hopFrames: 101 }, /`hopFrames`: expected at most windowFrames = 100, got `101`/],
  ['more speech than the window holds', { minSpeechFrames: 101 }, /`minSpeechFrames`: expected at most windowFrames = 100/],
  ['a short mean', { normalization: { ...normalization, mean: [0, 0] } }, /`normalization.mean`: .*104/],
  ['a long deviation', { normalization: { ...normalization, std: Array(105).fill(1) } }, /`normalization.std`: .*104/],
  ['a deviation of zero', { normalization: { ...normalization, std: Array(104).fill(0) } }, /`normalization.std\[0\]`: .*got `0`/],
  ['a temperature of zero', { temperature: 0 }, /`temperature`: .*got `0`/],
  ['a confidence of 1', { uncertainBelow: 1 }, /`uncertainBelow`: .*got `1`/],
  [
    'a path out of its folder',
    { files: { ...tinyManifest.files, head: { ...tinyManifest.files.head, path: '../head.onnx' } } },
    /`files.head.path`: expected the name/,
  ],
  [
    'a hash that is none',
    { files: { ...tinyManifest.files, trunk: { path: 'trunk.onnx', sha256: 'abc' } } },
    /`files.trunk.sha256`: expected 64/,
  ],
  ['a network that is not named', { files: { trunk: tinyManifest.files.trunk, head: tinyManifest.files.head } }, /`files.whole`: /],
  ['a window that is no whole number of steps', { windowFrames: 99 }, /`windowFrames`: expected a multiple of strideFrames = 5, got `99`/],
  ['a hop that is no whole number of steps', { hopFrames: 24 }, /`hopFrames`: expected a multiple of strideFrames = 5, got `24`/],
  ['a context that is no whole number of steps', { contextFrames: 14 }, /`contextFrames`: expected a multiple of strideFrames = 5/],
  ['no sizes of the stream', { streaming: undefined }, /`streaming`: /],
];

describe('loadManifest', () => {
  it('gives the manifest, frozen, and the absolute paths of the networks', async () => {
    const { manifest, paths } = await loadManifest(dir);
    expect(manifest).toEqual(tinyManifest);
    expect(paths).toEqual({ trunk: join(dir, 'trunk.onnx'), head: join(dir, 'head.onnx'), whole: join(dir, 'whole.onnx') });
    expect(Object.isFrozen(manifest.normalization.mean)).toBe(true);
    expect(Object.isFrozen(manifest.files.trunk)).toBe(true);
  });

  it.each(faults)('refuses %s', async (_name, change, message) => {
    await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...tinyManifest, ...change }));
    await expect(loadManifest(dir)).rejects.toMatchObject({ code: 'UT_MODEL_INVALID', message: expect.stringMatching(message) });
  });

  it('refuses what is not JSON', async () => {
    await writeFile(join(dir, 'manifest.json'), '{"format":');
    await expect(loadManifest(dir)).rejects.toMatchObject({ code: 'UT_MODEL_INVALID', message: expect.stringContaining('to be JSON') });
  });

  it('names each fault, not the first alone', async () => {
    await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...tinyManifest, temperature: -1, hopFrames: 0 }));
    await expect(loadManifest(dir)).rejects.toThrow(/`hopFrames`.*`temperature`/);
  });

  it('names the manifest that is missing and where one comes from', async () => {
    const missing = join(dir, 'nowhere');
    const error: unknown = await loadManifest(missing).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UT_MODEL_MISSING' });
    expect(String(error)).toContain(join(missing, 'manifest.json'));
    expect(String(error)).toContain('assets/models');
  });

  it.each(['trunk.onnx', 'head.onnx', 'whole.onnx'])('names the network that is missing: %s', async (name) => {
    await rm(join(dir, name));
    const error: unknown = await loadManifest(dir).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'UT_MODEL_MISSING' });
    expect(String(error)).toContain(join(dir, name));
  });

  it.each(['trunk', 'head', 'whole'] as const)('refuses a %s that is not the one of the manifest', async (name) => {
    await writeFile(join(dir, tinyManifest.files[name].path), 'something else');
    await expect(loadManifest(dir)).rejects.toMatchObject({
      code: 'UT_MODEL_INVALID',
      message: expect.stringContaining(tinyManifest.files[name].sha256),
    });
  });
});

describe('the features of a frame', () => {
  it('may be the pitch in place of the last cepstra', async () => {
    await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...tinyManifest, mfccCount: 13, pitchCount: 27 }));
    const { manifest } = await loadManifest(dir);
    expect(frontEndSpec(manifest).pitch).toBe(true);
    expect(frontEndSpec(tinyManifest).pitch).toBe(false);
  });

  it.each([
    { mfccCount: 40, pitchCount: 27 },
    { mfccCount: 13, pitchCount: 0 },
  ])('are 104: not %o', async (counts) => {
    await writeFile(join(dir, 'manifest.json'), JSON.stringify({ ...tinyManifest, ...counts }));
    const left = 40 - counts.mfccCount;
    await expect(loadManifest(dir)).rejects.toThrow(
      `\`pitchCount\`: expected ${String(left)} with mfccCount = ${String(counts.mfccCount)}, got \`${String(counts.pitchCount)}\``,
    );
  });
});

describe('frontEndSpec', () => {
  it('carries what the front end needs', () => {
    const spec = frontEndSpec(tinyManifest);
    expect(spec).toMatchObject({ windowFrames: 100, contextFrames: 15, hopFrames: 25, minSpeechFrames: 20 });
    expect(spec.prior).toMatchObject({ meanWeightFrames: 200, stdWeightFrames: 400, memoryFrames: 3000 });
    expect(spec.prior.mean).toEqual(new Float32Array(104));
    expect(spec.prior.std).toEqual(new Float32Array(104).fill(1));
  });
});

describe('streamShape', () => {
  it('carries the sizes that networks must keep', () => {
    expect(streamShape(tinyManifest)).toEqual({
      featureCount: 104,
      windowFrames: 100,
      contextFrames: 15,
      hopFrames: 25,
      strideFrames: 5,
      stepSize: 9,
      stateSize: 536,
      labelCount: 6,
    });
  });
});
