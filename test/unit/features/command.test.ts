// The features command as it is run: its files, its seed, and what it says of wrong input.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { writeWav } from '../../../tools/audio/wav.ts';
import { readClip, writeCorpus } from './clips.ts';

vi.setConfig({ testTimeout: 120_000 });

const main = new URL('../../../tools/features/main.ts', import.meta.url).pathname;

let folder: string;
let data: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-features-'));
  const splits = { '1015_DFA_DIS_XX': 'train', '1015_IEO_ANG_HI': 'train', '1020_DFA_NEU_XX': 'train', '1030_DFA_SAD_XX': 'validation' };
  data = writeCorpus(join(folder, 'corpus'), splits);
});
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function run(...args: string[]): Promise<{ code: number; said: string }> {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  const [said, [code]] = await Promise.all([text(child.stderr), once(child, 'exit') as Promise<[number]>]);
  return { code, said };
}

interface Exported {
  readonly features: Float32Array;
  readonly speech: Uint8Array;
  readonly rows: Record<string, string>[];
}

function readExport(out: string): Exported {
  const [header = '', ...lines] = readFileSync(join(out, 'clips.csv'), 'utf8').trim().split('\n');
  const columns = header.split(',');
  const rows = lines.map((line) => {
    const cells = line.split(',');
    expect(cells).toHaveLength(columns.length);
    return Object.fromEntries(cells.map((cell, i) => [columns[i] ?? '', cell]));
  });
  const features = readNpy(join(out, 'features.npy'), /'<f4'.*\((\d+), 104\)/);
  const speech = readNpy(join(out, 'speech.npy'), /'\|u1'.*\((\d+),\)/);
  expect(features.bytes.length).toBe(features.rows * 104 * 4);
  expect(speech.bytes.length).toBe(features.rows);
  return { features: new Float32Array(Uint8Array.from(features.bytes).buffer), speech: speech.bytes, rows };
}

function readNpy(file: string, shape: RegExp): { rows: number; bytes: Uint8Array } {
  const bytes = readFileSync(file);
  return { rows: Number(shape.exec(bytes.subarray(0, 128).toString('latin1'))?.[1]), bytes: bytes.subarray(128) };
}

describe('features', () => {
  it('writes plain clips and copies, the same whatever the number of threads', async () => {
    const outs = [join(folder, 'one'), join(folder, 'two')];
    for (const [i, out] of outs.entries()) {
      const { code, said } = await run('--corpus', 'crema-d', '--data', data, '--out', out, '--augment', '2', '--workers', `${i + 1}`);
      expect(code, said).toBe(0);
      expect(said).toContain('No --noise');
      expect(said).toContain('No --rooms');
      expect(said).toMatch(/10 of 10 clips, 0:00 left/);
    }
    const [one, two] = outs.map(readExport);
    expect(two).toEqual(one);
    if (one === undefined) return;
    expect(one.rows.map(({ copy }) => copy)).toEqual(['0', '0', '0', '0', '1', '1', '1', '2', '2', '2']);
    // A copy keeps its speaker, so that a split by speaker never tears copies apart.
    expect(one.rows.filter(({ caller, speaker, copy }) => caller !== (copy === '0' ? speaker : `${speaker}#${copy}`))).toEqual([]);
    expect(one.rows.filter(({ split, copy }) => split === 'validation' && copy !== '0')).toEqual([]);
    let end = 0;
    for (const { first_row: first, rows } of one.rows) {
      expect(Number(first)).toBe(end);
      end += Number(rows);
    }
    expect(end).toBe(one.speech.length);
    expect(one.features.every(Number.isFinite)).toBe(true);
    expect(one.speech.every((flag) => flag <= 2)).toBe(true);

    const plain = join(folder, 'plain');
    expect((await run('--data', data, '--out', plain)).code).toBe(0);
    const { features, speech } = readExport(plain);
    expect(one.features.subarray(0, features.length)).toEqual(features);
    expect(one.speech.subarray(0, speech.length)).toEqual(speech);
  });

  it('makes each clip a caller of its own, and copies all, where asked to', async () => {
    const out = join(folder, 'independent');
    const { code, said } = await run('--data', data, '--out', out, '--augment', '1', '--augment-all', '--independent');
    expect(code, said).toBe(0);
    const { rows } = readExport(out);
    expect(rows).toHaveLength(8);
    expect(new Set(rows.map(({ caller }) => caller)).size).toBe(8);
    expect(new Set(rows.slice(4).map(({ condition }) => condition)).size).toBe(4);
  });

  it('reads WAV files in an official layout', async () => {
    const wavs = join(folder, 'wavs', 'AudioWAV');
    mkdirSync(wavs, { recursive: true });
    const channels = [await readClip('1015_IEO_ANG_HI')];
    writeFileSync(join(wavs, '1001_IEO_ANG_HI.wav'), writeWav({ sampleRateHz: 16_000, channels }));
    const out = join(folder, 'from-wav');
    const { code, said } = await run('--corpus', 'crema-d', '--data', join(folder, 'wavs'), '--out', out);
    expect(code, said).toBe(0);
    expect(readExport(out).rows).toMatchObject([
      { path: 'AudioWAV/1001_IEO_ANG_HI.wav', speaker: '1001', emotion: 'anger', split: 'train', sentence: 'IEO' },
    ]);
  });

  it('says what is wrong, and exits with 1', async () => {
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    const out = join(folder, 'never');
    const damaged = writeCorpus(join(folder, 'damaged'), { '1015_DFA_DIS_XX': 'train' });
    writeFileSync(join(damaged, '1015_DFA_DIS_XX.opus'), 'no audio');
    const wrong: [string[], RegExp][] = [
      [[], /Usage: npm run features/],
      [['--data', empty, '--out', out], /Expected .* in .*empty/],
      [['--data', join(folder, 'absent'), '--out', out], /Expected a corpus folder at .*absent/],
      [['--corpus', 'ravdess', '--data', data, '--out', out], /Expected clips of ravdess in .*got 4 of crema-d/],
      [['--corpus', 'moon', '--data', data, '--out', out], /Expected --corpus to be one of crema-d, .*got `moon`/],
      [['--data', data, '--out', out, '--augment', '1.5'], /Expected --augment to be a whole number of at least 0, got `1.5`/],
      [['--data', data, '--out', out, '--limit', '0'], /Expected --limit to be a whole number of at least 1, got `0`/],
      [['--data', data, '--out', out, '--augment', '1', '--noise', empty], /Expected recordings of ESC-10's folds 1 to 4/],
      [['--data', data, '--out', out, '--augment', '1', '--rooms', empty], /Expected impulse responses/],
      [['--data', damaged, '--out', out], /1015_DFA_DIS_XX\.opus: Expected a WAV, FLAC or Ogg Opus file/],
      [['--data', data, '--out', out, '--bogus'], /bogus/],
    ];
    for (const [args, message] of wrong) {
      const { code, said } = await run(...args);
      expect(said).toMatch(message);
      expect(code, said).toBe(1);
      expect(said).not.toMatch(/\n\s+at /);
    }
  });
});
