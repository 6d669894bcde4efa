// Command: writes what the voice-activity network hears of a corpus under many conditions, with labels, for training.
import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { voiceInputCount } from '../../src/pipeline/voice-inputs.ts';
import { pairFrames } from '../../src/pipeline/voice-sequence.ts';
import { readCorpus } from '../corpus/corpus.ts';
import { randomOf, shuffled } from '../features/draw.ts';
import { readNoises } from '../features/noise.ts';
import { NpyWriter } from '../features/npy.ts';
import { readRooms } from '../features/rooms.ts';
import { playTrack, type TrackContext, type TrackJob } from './track.ts';

const usage = `Usage: npm run features:vad -- --data CORPUS --noise ESC-10 --rooms DIR --out DIR [--copies N] [--clips N] [--sudden SHARE] [--seed S]

  --data DIR     a corpus with splits; only train and validation are heard
  --noise DIR    recordings of ESC-10, of which folds 1 to 4 are used
  --rooms DIR    impulse responses, WAV or FLAC
  --copies N     callers of each speaker (default 3)
  --clips N      clips of each caller (default 22)
  --sudden SHARE of the noisy calls another noise sets in with each clip, far louder or softer (default 0.3)
  --seed S       the same seed and data give the same files (default 1)`;

const babbleOf = 24;
/** Calls in which nobody speaks, for each in which somebody does. */
const emptyShare = 0.25;

try {
  await exportTracks();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}

async function exportTracks(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      data: text,
      noise: text,
      rooms: text,
      out: text,
      copies: { ...text, default: '3' },
      clips: { ...text, default: '22' },
      sudden: { ...text, default: '0.3' },
      seed: { ...text, default: '1' },
    },
  });
  const { data, noise, rooms, out } = values;
  const [copies, clips, seed] = [Number(values.copies), Number(values.clips), Number(values.seed)];
  if (data === undefined || noise === undefined || rooms === undefined || out === undefined) throw new Error(usage);
  if (![copies, clips, seed].every((value) => Number.isSafeInteger(value) && value >= 0)) throw new Error(usage);
  const suddenShare = Number(values.sudden);
  if (!(suddenShare >= 0 && suddenShare <= 1)) throw new Error(`Expected --sudden to be a share from 0 to 1, got \`${values.sudden}\``);
  const context: TrackContext = { data, seed, suddenShare, noises: await readNoises(noise), rooms: await readRooms(rooms) };
  const jobs = await deal(data, copies, clips, seed);
  await mkdir(out, { recursive: true });
  await using inputs = await NpyWriter.create(join(out, 'inputs.npy'), '<f4', pairFrames * voiceInputCount);
  await using targets = await NpyWriter.create(join(out, 'targets.npy'), '|u1', pairFrames);
  await using table = await open(join(out, 'tracks.csv'), 'w');
  await table.write('name,split,first_row,rows,condition\n');
  for (const [i, { split, ...job }] of jobs.entries()) {
    const track = await playTrack(job, context);
    await table.write(`${[job.name, split, targets.rows, track.targets.length / pairFrames, track.condition].join(',')}\n`);
    await inputs.append(track.inputs);
    await targets.append(track.targets);
    if (i % 10 === 9 || i === jobs.length - 1) process.stderr.write(`${String(i + 1)} of ${String(jobs.length)} callers\n`);
  }
}

/** The callers, each of one speaker. Babble is of the speaker's own split, so that none is heard in training that validates. */
async function deal(data: string, copies: number, clips: number, seed: number): Promise<(TrackJob & { readonly split: string })[]> {
  const all = (await readCorpus(data)).filter(({ split }) => split === 'train' || split === 'validation');
  if (all.length === 0) throw new Error(`Expected a corpus with a train and a validation split in ${data}, got one without`);
  const callers = [...Map.groupBy(all, ({ speaker }) => speaker)].flatMap(([speaker, own]) =>
    Array.from({ length: copies }, (_, copy) => {
      const name = `${speaker}#${String(copy + 1)}`;
      const split = own[0]?.split ?? '';
      const random = randomOf(seed, `deal ${name}`);
      const others = shuffled(
        all.filter((clip) => clip.speaker !== speaker && clip.split === split),
        random,
      ).slice(0, babbleOf);
      const paths = shuffled(own, random).slice(0, clips);
      return { name, split, paths: paths.map(({ path }) => path), others: others.map(({ path }) => path) };
    }),
  );
  // In some calls nobody speaks.
  const empty = Math.round(callers.length * emptyShare);
  return [
    ...callers,
    ...Array.from({ length: empty }, (_, i) => ({ name: `nobody#${String(i + 1)}`, split: 'train', paths: [], others: [] })),
  ];
}
