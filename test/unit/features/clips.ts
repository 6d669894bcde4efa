// Committed clips for the tests of the export: their samples, and a small corpus made of them.
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeOggOpus } from '../../../tools/audio/decode-ogg.ts';

const demo = new URL('../../../assets/demo/', import.meta.url).pathname;

/** A clip of the demo by its stem, 16 kHz mono. */
export function readClip(stem: string): Promise<Float32Array> {
  return decodeOggOpus(readFileSync(join(demo, `${stem}.opus`)));
}

/** A corpus folder with a manifest that gives each stem the split. */
export function writeCorpus(folder: string, stems: Readonly<Record<string, string>>): string {
  mkdirSync(folder, { recursive: true });
  const rows = Object.entries(stems).map(([stem, split]) => {
    copyFileSync(join(demo, `${stem}.opus`), join(folder, `${stem}.opus`));
    return `${stem}.opus,${stem.slice(0, 4)},female,anger,${split}`;
  });
  writeFileSync(join(folder, 'manifest.csv'), `path,speaker,sex,emotion,split\n${rows.join('\n')}\n`);
  return folder;
}

/** By how many samples `later` is behind `earlier`, -`most` to `most`: where they are most alike. */
export function lagOf(later: Float32Array, earlier: Float32Array, most: number): number {
  const scores = Array.from({ length: 2 * most + 1 }, (_, i) => {
    let product = 0;
    for (let at = most; at < earlier.length - most; at++) product += (earlier[at] ?? 0) * (later[at + i - most] ?? 0);
    return product;
  });
  return scores.indexOf(Math.max(...scores)) - most;
}

/** Level in dB of full scale. */
export function levelDb(samples: Float32Array): number {
  return 10 * Math.log10(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
}
