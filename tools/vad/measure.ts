// Command: measures voice activity, ours against what served before, the level alone and Silero, and prints tables.
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { readCorpus, type CorpusClip } from '../corpus/corpus.ts';
import { recordedNoise, whiteNoise } from '../evaluate/noise.ts';
import { describeMachine, format, type BenchmarkResult } from '../bench/report.ts';
import { makeCall, quiet, shiftDb, type Call, type Condition } from './conditions.ts';
import { measureCost } from './cost.ts';
import { endFrames, framesOf, hearLevel, hearOurs, hearSilero, hearSnr, type Heard } from './listeners.ts';
import { measureNobody } from './nobody.ts';
import { areaUnderRoc, pooled, recallAt, type Judged } from './roc.ts';
import { Silero } from './silero.ts';
import { compareUtterances, utterancesOf, type Utterance, type UtteranceErrors } from './utterances.ts';

const usage = `Usage: npm run measure:vad -- --data CREMA-D [--unseen RAVDESS] [--noise ESC-10] [--clips N] [--only CONDITION]

  --data DIR     a corpus; of one with splits, the validation speakers are heard
  --unseen DIR   a corpus that nothing was trained on, all of it
  --noise DIR    ESC-10, of which fold 5 is used
  --clips N      clips of each speaker (default 24)
  --only NAME    conditions whose name holds this; may be given several times
  --cost         the cost alone`;

/** Silero's probability from which a frame of the clean call is speech to it. */
const sileroSpeech = 0.5;
const nearFrames = 6;

interface Plan {
  readonly corpus: string;
  readonly folder: string;
  readonly speakers: readonly (readonly CorpusClip[])[];
  readonly condition: Condition;
}

try {
  await measure();
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}

async function measure(): Promise<void> {
  const { values } = parseArgs({
    options: {
      data: { type: 'string' },
      unseen: { type: 'string' },
      noise: { type: 'string' },
      clips: { type: 'string', default: '24' },
      only: { type: 'string', multiple: true },
      cost: { type: 'boolean', default: false },
    },
  });
  const { cpu, cores, node, loadBefore } = describeMachine();
  console.log(`${cpu}, ${String(cores)} cores, Node ${node}, load ${loadBefore.toFixed(1)}`);
  const silero = await Silero.create();
  try {
    if (values.data === undefined && !values.cost) throw new Error(usage);
    if (values.data !== undefined && !values.cost) {
      const { only } = values;
      const plans = (await makePlans(values.data, values)).filter(
        ({ corpus, condition }) => only === undefined || only.some((name) => `${corpus} ${condition.name}`.includes(name)),
      );
      const results: Tables[] = [];
      for (const plan of plans) {
        process.stderr.write(`${plan.corpus}, ${plan.condition.name}\n`);
        results.push(await measurePlan(plan, silero));
      }
      for (const result of tablesOf(results)) console.log(format(result));
      console.log(format(await measureNobody(silero, values.noise)));
    }
    console.log(format(await measureCost(silero)));
  } finally {
    await silero.close();
  }
}

async function makePlans(
  data: string,
  { unseen, noise, clips }: { readonly unseen?: string; readonly noise?: string; readonly clips: string },
): Promise<Plan[]> {
  const recorded = noise === undefined ? null : (await recordedNoise(noise)).source;
  const inRecorded = (ratioDb: number): Condition[] =>
    recorded === null ? [] : [{ name: `ESC-10 ${String(ratioDb)} dB`, noise: recorded, ratioDb, codec: null }];
  const seen: Condition[] = [
    quiet,
    { name: 'white 10 dB', noise: whiteNoise, ratioDb: 10, codec: null },
    ...inRecorded(10),
    ...inRecorded(5),
    { ...quiet, name: 'G.711', codec: { name: 'pcmu' } },
    { ...quiet, name: 'Opus 16 kbit/s', codec: { name: 'opus', kbps: 16 } },
  ];
  const all = await readCorpus(data);
  const own = all.some(({ split }) => split === 'validation') ? all.filter(({ split }) => split === 'validation') : all;
  const speakersOf = (chosen: readonly CorpusClip[]): CorpusClip[][] => {
    return [...Map.groupBy(chosen, ({ speaker }) => speaker).values()].map((each) => {
      const step = Math.max(1, Math.floor(each.length / Number(clips)));
      return each.filter((_, i) => i % step === 0).slice(0, Number(clips));
    });
  };
  const plans = seen.map((condition): Plan => ({ corpus: 'CREMA-D', folder: data, speakers: speakersOf(own), condition }));
  if (unseen === undefined) return plans;
  const speakers = speakersOf(await readCorpus(unseen));
  return [...plans, ...[quiet, ...inRecorded(10)].map((condition) => ({ corpus: 'RAVDESS', folder: unseen, speakers, condition }))];
}

/** What came of one condition, by detector. */
interface Tables {
  readonly name: string;
  readonly agreement: number;
  readonly detectors: readonly {
    readonly name: string;
    readonly byEnergy: Judged;
    readonly bySilero: Judged;
    readonly errors: readonly UtteranceErrors[];
    /** Of the utterances alone whose start both labellings put at one place. */
    readonly agreed: readonly UtteranceErrors[];
    /** Of those whose start, and of those whose end, stays where it is when the label's threshold is shifted. */
    readonly sharpStart: readonly UtteranceErrors[];
    readonly sharpEnd: readonly UtteranceErrors[];
  }[];
}

async function measurePlan({ corpus, folder, speakers, condition }: Plan, silero: Silero): Promise<Tables> {
  const calls: Call[] = [];
  for (const clips of speakers) calls.push(await makeCall(folder, clips, condition));
  const frames = calls.map(({ heard }) => framesOf(heard));
  const counts = frames.map(({ length }) => length);
  const cleanSaid = await hearSilero(
    silero,
    calls.map(({ clean }) => clean),
    counts,
  );
  const clean = cleanSaid.map(({ scores }) => Uint8Array.from(scores, (score) => (score >= sileroSpeech ? 1 : 0)));
  const energy = calls.map(({ labels }, i) => labels.subarray(0, counts[i]));
  const detectors: (readonly [string, readonly Heard[]])[] = [
    ['network (ours)', frames.map(hearOurs)],
    ['SNR (before)', frames.map(hearSnr)],
    ['level', frames.map(hearLevel)],
    [
      'Silero v6',
      await hearSilero(
        silero,
        calls.map(({ heard }) => heard),
        counts,
      ),
    ],
  ];
  const judged = (heard: readonly Heard[], labels: readonly Uint8Array[]): Judged =>
    pooled(heard.map(({ scores }, i) => ({ scores, labels: delayed(labels[i] ?? new Uint8Array(), calls[i]?.delayFrames ?? 0) })));
  const labelled = energy.map((labels, i) => utterancesOf(delayed(labels, calls[i]?.delayFrames ?? 0), endFrames));
  const agreed = labelled.map((own, i) => {
    const delay = calls[i]?.delayFrames ?? 0;
    const starts = cleanSaid[i]?.utterances?.map(({ start }) => start + delay) ?? [];
    return own.filter(({ start }) => starts.some((other) => Math.abs(other - start) <= nearFrames));
  });
  const shifted = calls.map(({ shifted: own, delayFrames }, i) =>
    own.map((labels) => utterancesOf(delayed(labels.subarray(0, counts[i]), delayFrames), endFrames)),
  );
  const sharp = (edge: 'start' | 'end'): Utterance[][] =>
    labelled.map((own, i) => own.filter((utterance) => (shifted[i] ?? []).every((others) => isNear(utterance, others, edge))));
  const [sharpStarts, sharpEnds] = [sharp('start'), sharp('end')];
  const compared = (heard: readonly Heard[], chosen: readonly (readonly Utterance[])[]): UtteranceErrors[] =>
    heard.flatMap(({ utterances }, i) => (utterances === null ? [] : [compareUtterances(chosen[i] ?? [], utterances)]));
  let agreeing = 0;
  energy.forEach((labels, i) => labels.forEach((label, at) => (agreeing += label === clean[i]?.[at] ? 1 : 0)));
  return {
    name: `${corpus}, ${condition.name}`,
    agreement: agreeing / counts.reduce((sum, count) => sum + count, 0),
    detectors: detectors.map(([name, heard]) => ({
      name,
      byEnergy: judged(heard, energy),
      bySilero: judged(heard, clean),
      errors: compared(heard, labelled),
      agreed: compared(heard, agreed),
      sharpStart: compared(heard, sharpStarts),
      sharpEnd: compared(heard, sharpEnds),
    })),
  };
}

function isNear(utterance: Utterance, others: readonly Utterance[], edge: 'start' | 'end'): boolean {
  return others.some((other) => Math.abs(other[edge] - utterance[edge]) <= nearFrames);
}

function delayed(labels: Uint8Array, frames: number): Uint8Array {
  const late = new Uint8Array(labels.length);
  late.set(labels.subarray(0, labels.length - frames), frames);
  return late;
}

function tablesOf(results: readonly Tables[]): BenchmarkResult[] {
  const frames = results.flatMap(({ name, agreement, detectors }) =>
    detectors.map(({ name: detector, byEnergy, bySilero }) => ({
      call: name,
      detector,
      'AUC, energy': areaUnderRoc(byEnergy).toFixed(3),
      'found at 5 %': recallAt(byEnergy, 0.05).toFixed(3),
      'AUC, Silero': areaUnderRoc(bySilero).toFixed(3),
      'found at 5 % ': recallAt(bySilero, 0.05).toFixed(3),
      'labels agree': agreement.toFixed(3),
    })),
  );
  const utterances = results.flatMap(({ name, detectors }) =>
    detectors
      .filter(({ errors }) => errors.length > 0)
      .map((detected) => ({ call: name, detector: detected.name, ...utteranceRow(detected) })),
  );
  return [
    {
      name: 'frames',
      about: 'Each frame of 10 ms, against labels by the energy of the clean clip and by Silero on the clean call.',
      rows: frames,
      failures: [],
    },
    {
      name: 'utterances',
      about:
        `Start and end against the labels by energy, gaps under ${String(10 * endFrames)} ms closed; ms, late is positive. ` +
        'Labels agree where Silero, on the clean call, begins within 60 ms of the same place. ' +
        `An edge is sharp where the label's moves by no more than 60 ms if its threshold is ${String(shiftDb)} dB lower or higher.`,
      rows: utterances,
      failures: [],
    },
  ];
}

function utteranceRow(detected: Tables['detectors'][number]): Record<string, string> {
  const [all, sure] = [summed(detected.errors), summed(detected.agreed)];
  const [sharpStart, sharpEnd] = [summed(detected.sharpStart), summed(detected.sharpEnd)];
  const ofAll = (found: readonly number[], { missed }: UtteranceErrors): string => `of ${String(found.length + missed)}`;
  const at = (sorted: readonly number[], share: number): string => String(10 * (sorted[Math.floor(share * (sorted.length - 1))] ?? NaN));
  const near = (found: readonly number[], { missed }: UtteranceErrors): string =>
    (found.filter((error) => Math.abs(error) <= nearFrames).length / (found.length + missed)).toFixed(2);
  const spread = (found: readonly number[]): string => [0.1, 0.5, 0.9].map((share) => at(found, share)).join(', ');
  return {
    'start 10, 50, 90 %': spread(all.starts),
    'within 60 ms': near(all.starts, all),
    'if labels agree': near(sure.starts, sure),
    'if sharp': `${near(sharpStart.starts, sharpStart)} ${ofAll(sharpStart.starts, sharpStart)}`,
    'end 10, 50, 90 %': spread(all.ends),
    'within 60 ms ': near(all.ends, all),
    'if labels agree ': near(sure.ends, sure),
    'if sharp ': `${near(sharpEnd.ends, sharpEnd)} ${ofAll(sharpEnd.ends, sharpEnd)}`,
    missed: `${String(all.missed)} of ${String(all.starts.length + all.missed)}`,
    'missed if labels agree': `${String(sure.missed)} of ${String(sure.starts.length + sure.missed)}`,
    invented: String(all.invented),
  };
}

/** All of them as one, sorted. */
function summed(errors: readonly UtteranceErrors[]): UtteranceErrors {
  return {
    starts: errors.flatMap((each) => each.starts).toSorted((a, b) => a - b),
    ends: errors.flatMap((each) => each.ends).toSorted((a, b) => a - b),
    missed: errors.reduce((sum, each) => sum + each.missed, 0),
    invented: errors.reduce((sum, each) => sum + each.invented, 0),
  };
}
