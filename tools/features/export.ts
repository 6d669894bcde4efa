// Writes the features of a corpus, and of copies of it under other conditions, for training.
import { mkdir, open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { featureCount, melBands, mfccCount } from '../../src/pipeline/mel.ts';
import { pitchCount } from '../../src/pipeline/pitch.ts';
import { labels, readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import type { CallerContext, CallerJob } from './caller.ts';
import { dealCallers } from './jobs.ts';
import { readNoises } from './noise.ts';
import { NpyWriter } from './npy.ts';
import type { FeaturesOptions } from './options.ts';
import { playCallers } from './pool.ts';
import { readRooms } from './rooms.ts';

const clipColumns = [
  'path',
  'speaker',
  'sex',
  'emotion',
  'split',
  'sentence',
  'first_row',
  'rows',
  ...labels.map((label) => `vote_${label}`),
];

/** How often it is said how far it is. */
const sayEveryMs = 5000;
/** Work of a copied clip, in plain clips. */
const copyWork = 4;

/**
 * Writes `features.npy` (`[rows][104]`, not normalised), `features.json` (what these are), `speech.npy` (one flag a row) and `clips.csv` into the folder `out`.
 * @param say takes what is to be told on the way, lines and parts of them
 * @throws Error where the corpus, the noise or the rooms are not as expected
 */
export async function exportFeatures(options: FeaturesOptions, say: (text: string) => void): Promise<void> {
  const clips = (await chooseClips(options)).slice(0, options.limit);
  const context = await readContext(options, say);
  const callers = dealCallers(clips, options);
  await mkdir(options.out, { recursive: true });
  const columns = options.pitch ? { melBands, mfccCount: mfccCount - pitchCount, pitchCount } : { melBands, mfccCount, pitchCount: 0 };
  await writeFile(join(options.out, 'features.json'), `${JSON.stringify(columns)}\n`);
  await using features = await NpyWriter.create(join(options.out, 'features.npy'), '<f4', featureCount);
  await using speech = await NpyWriter.create(join(options.out, 'speech.npy'), '|u1', 1);
  await using table = await open(join(options.out, 'clips.csv'), 'w');
  await table.write(`${[...clipColumns, 'copy', 'caller', 'condition'].join(',')}\n`);

  const progress = createProgress(
    callers.map(({ job }) => job),
    say,
  );
  const ofJob = new Map(callers.map((caller) => [caller.job, caller.clips]));
  for await (const { job, features: played } of playCallers([...ofJob.keys()], context, options.workers)) {
    const rows: string[] = [];
    for (const [i, clip] of (ofJob.get(job) ?? []).entries()) {
      const own = played.clips[i];
      if (own === undefined) throw new Error(`Expected frames of ${clip.path} from ${job.caller}, got none`);
      rows.push(`${[row(clip, features.rows, own.flags.length), job.copy, job.caller, played.condition].join(',')}\n`);
      await features.append(own.frames);
      await speech.append(own.flags);
    }
    await table.write(rows.join(''));
    progress(job);
  }
  const count = callers.reduce((sum, caller) => sum + caller.clips.length, 0);
  say(`${count.toString()} clips, ${features.rows.toString()} frames of ${featureCount.toString()} features in ${options.out}\n`);
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

async function readContext(
  { data, seed, pitch, noise, rooms, augment }: FeaturesOptions,
  say: (text: string) => void,
): Promise<CallerContext> {
  if (augment > 0 && noise === null) say('No --noise: copies have white, pink and brown noise and babble, but no recorded noise\n');
  if (augment > 0 && rooms === null) say('No --rooms: copies are in no rooms\n');
  return {
    data,
    seed,
    pitch,
    noises: augment > 0 && noise !== null ? await readNoises(noise) : [],
    rooms: augment > 0 && rooms !== null ? await readRooms(rooms) : [],
  };
}

function row(clip: CorpusClip, firstRow: number, rows: number): string {
  return [clip.path, clip.speaker, clip.sex, clip.emotion, clip.split, clip.sentence, firstRow, rows, ...clip.votes].join(',');
}

/** Says every few seconds how much is done, and how long the rest will take: a copy takes as long as several plain clips. */
function createProgress(jobs: readonly CallerJob[], say: (text: string) => void): (job: CallerJob) => void {
  const workOf = ({ copy, paths }: CallerJob): number => paths.length * (copy === 0 ? 1 : copyWork);
  const totalWork = jobs.reduce((sum, job) => sum + workOf(job), 0);
  const total = jobs.reduce((sum, { paths }) => sum + paths.length, 0);
  const startedMs = performance.now();
  let [done, doneWork, saidMs] = [0, 0, startedMs];
  return (job) => {
    done += job.paths.length;
    doneWork += workOf(job);
    const nowMs = performance.now();
    if (nowMs - saidMs < sayEveryMs && done < total) return;
    saidMs = nowMs;
    const leftS = Math.round(((nowMs - startedMs) / 1000 / doneWork) * (totalWork - doneWork));
    const left = `${Math.floor(leftS / 60).toString()}:${(leftS % 60).toString().padStart(2, '0')}`;
    say(`${done.toString()} of ${total.toString()} clips, ${left} left\n`);
  };
}
