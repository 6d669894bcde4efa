// Writes the features of a corpus, and of copies of it under other conditions, for training.
import { createWriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { finished } from 'node:stream/promises';
import { join } from 'node:path';
import { featureCount } from '../../src/pipeline/mel.ts';
import { labels, readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import type { CallerContext } from './caller.ts';
import { dealCallers } from './jobs.ts';
import { readNoises } from './noise.ts';
import { NpyWriter } from './npy.ts';
import type { FeaturesOptions } from './options.ts';
import { playCallers } from './pool.ts';
import { readRooms } from './rooms.ts';

const columns = ['path', 'speaker', 'sex', 'emotion', 'split', 'first_row', 'rows', ...labels.map((label) => `vote_${label}`)];

/**
 * Writes `features.npy` (`[rows][104]`, not normalised), `speech.npy` (one flag a row) and `clips.csv` into the folder `out`.
 * @param say takes what is to be told on the way, lines and parts of them
 * @throws Error where the corpus, the noise or the rooms are not as expected
 */
export async function exportFeatures(options: FeaturesOptions, say: (text: string) => void): Promise<void> {
  const clips = (await chooseClips(options)).slice(0, options.limit);
  const context = await readContext(options, say);
  const callers = dealCallers(clips, options);
  const total = callers.reduce((sum, caller) => sum + caller.clips.length, 0);
  await mkdir(options.out, { recursive: true });
  const features = await NpyWriter.create(join(options.out, 'features.npy'), '<f4', featureCount);
  const speech = await NpyWriter.create(join(options.out, 'speech.npy'), '|u1', 1);
  const table = createWriteStream(join(options.out, 'clips.csv'));
  table.write(`${[...columns, 'copy', 'caller', 'condition'].join(',')}\n`);

  let done = 0;
  const progress = createProgress(total, say);
  const ofJob = new Map(callers.map((caller) => [caller.job, caller.clips]));
  const jobs = callers.map(({ job }) => job);
  for await (const { job, features: played } of playCallers(jobs, context, options.workers)) {
    for (const [i, clip] of (ofJob.get(job) ?? []).entries()) {
      const own = played.clips[i];
      if (own === undefined) throw new Error(`Expected frames of ${clip.path} from ${job.caller}, got none`);
      table.write(`${[row(clip, features.rows, own.flags.length), job.copy, job.caller, played.condition].join(',')}\n`);
      await features.append(own.frames);
      await speech.append(own.flags);
    }
    done += job.paths.length;
    progress(done);
  }
  await features.close();
  await speech.close();
  table.end();
  await finished(table);
  say(`${done.toString()} clips, ${features.rows.toString()} frames of ${featureCount.toString()} features in ${options.out}\n`);
}

async function chooseClips({ corpus, data }: FeaturesOptions): Promise<CorpusClip[]> {
  const all = await readCorpus(data);
  if (corpus === null) return all;
  const chosen = all.filter((clip) => clip.corpus === corpus);
  if (chosen.length === 0) {
    const held = [...new Set(all.map((clip) => clip.corpus ?? 'unknown names'))].join(', ');
    throw new Error(`Expected clips of ${corpus} in ${data}, got ${all.length.toString()} of ${held}`);
  }
  return chosen;
}

async function readContext({ data, seed, noise, rooms, augment }: FeaturesOptions, say: (text: string) => void): Promise<CallerContext> {
  if (augment > 0 && noise === null) say('No --noise: copies have white, pink and brown noise and babble, but no recorded noise\n');
  if (augment > 0 && rooms === null) say('No --rooms: copies are in no rooms\n');
  return {
    data,
    seed,
    noises: augment > 0 && noise !== null ? await readNoises(noise) : [],
    rooms: augment > 0 && rooms !== null ? await readRooms(rooms) : [],
  };
}

function row(clip: CorpusClip, firstRow: number, rows: number): string {
  return [clip.path, clip.speaker, clip.sex, clip.emotion, clip.split, firstRow, rows, ...clip.votes].join(',');
}

function createProgress(total: number, say: (text: string) => void): (done: number) => void {
  const startedMs = performance.now();
  return (done) => {
    const leftS = ((performance.now() - startedMs) / 1000 / done) * (total - done);
    const left = `${Math.floor(leftS / 60).toString()}:${Math.floor(leftS % 60)
      .toString()
      .padStart(2, '0')}`;
    say(`${done.toString()} of ${total.toString()} clips, ${left} left\n`);
  };
}
