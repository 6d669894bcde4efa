// Command: exports the features of a corpus, through the very pipeline that serves, for training.
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { featureCount } from '../../src/pipeline/mel.ts';
import { labels, readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import { NpyWriter } from './npy.ts';
import { SpeakerStream } from './speaker-stream.ts';

const usage = `Usage: npm run features -- --data DIR --out DIR [--independent] [--limit CLIPS]

  --data DIR    a corpus folder of Ogg Opus clips, with manifest.csv or named as in CREMA-D
  --out DIR     where features.npy, speech.npy and clips.csv are written
  --independent each clip is a new caller (otherwise each speaker is one, clip after clip)
  --limit N     only the first N clips, to try it out`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { data: { type: 'string' }, out: { type: 'string' }, limit: { type: 'string' }, independent: { type: 'boolean' } },
  });
  if (values.data === undefined || values.out === undefined) throw new Error(usage);
  const limit = values.limit === undefined ? Infinity : Number(values.limit);
  const clips = (await readCorpus(values.data)).slice(0, limit);
  await mkdir(values.out, { recursive: true });
  const features = await NpyWriter.create(join(values.out, 'features.npy'), '<f4', featureCount);
  const speech = await NpyWriter.create(join(values.out, 'speech.npy'), '|u1', 1);
  const table = createWriteStream(join(values.out, 'clips.csv'));
  table.write(`path,speaker,sex,emotion,split,first_row,rows,${labels.map((label) => `vote_${label}`).join(',')}\n`);

  let done = 0;
  const callerOf = (clip: CorpusClip): string => (values.independent === true ? clip.path : clip.speaker);
  for (const ofSpeaker of Map.groupBy(clips, callerOf).values()) {
    const stream = new SpeakerStream();
    for (const clip of ofSpeaker) {
      const { frames, flags } = await stream.play(await readFile(join(values.data, clip.path)));
      table.write(row(clip, features.rows, flags.length));
      await features.append(frames);
      await speech.append(flags);
      done += 1;
      if (done % 100 === 0 || done === clips.length) progress(done, clips.length);
    }
  }
  await features.close();
  await speech.close();
  table.end();
  await finished(table);
  process.stderr.write(`\n${done} clips, ${features.rows} frames of ${featureCount} features in ${values.out}\n`);
}

function row(clip: CorpusClip, firstRow: number, rows: number): string {
  return `${[clip.path, clip.speaker, clip.sex, clip.emotion, clip.split, firstRow, rows, ...clip.votes].join(',')}\n`;
}

function progress(done: number, total: number): void {
  process.stderr.write(process.stderr.isTTY ? `\r${done} of ${total} clips` : `${done} of ${total} clips\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
