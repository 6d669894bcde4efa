// An evaluation as text for a person.
import type { Interval } from './bootstrap.ts';
import type { Evaluation, FoldFigures } from './evaluate.ts';
import { curveTables } from './report-curves.ts';
import { ratio, range, table } from './text.ts';

const titles = { uar: 'UAR', accuracy: 'accuracy', macroF1: 'macro-F1', ece: 'ECE', eceOfWindows: 'ECE, windows' } as const;
const titleWidth = 14;

/** Lines of text, without the last line break. */
export function report(evaluation: Evaluation): string {
  const { intervals, speakerSpread, folds, curves } = evaluation;
  const figures = (['uar', 'accuracy', 'macroF1', 'ece', 'eceOfWindows'] as const).map((name) =>
    figure(titles[name], evaluation[name], intervals?.[name]),
  );
  const { mean, deviation, least, most } = speakerSpread;
  return [
    ...heading(evaluation),
    '',
    ...figures,
    '',
    figure('speakers: UAR', mean, intervals?.speakerSpread.mean),
    `${figure('  deviation', deviation, intervals?.speakerSpread.deviation)}, from ${ratio(least)} to ${ratio(most)}`,
    ...sexes(evaluation),
    ...(folds === null ? [] : ['', ...foldTable(folds)]),
    '',
    ...confusionTable(evaluation),
    ...(curves === null ? [] : curveTables(curves)),
  ].join('\n');
}

function heading(evaluation: Evaluation): string[] {
  const { options, leftOut, clips, speakers, unheard, trainSpeakers, windows, model } = evaluation;
  const callers = options.independent ? 'each clip a new caller' : 'each speaker one caller';
  const warm = options.warmUp ? ' whose clips were all heard before' : '';
  const noise = options.noiseDb === null ? 'none' : `${options.noiseDb} dB ${options.noise ?? ''}`;
  const lines = [
    `${model} on ${options.corpus}, split ${options.split}: ${clips} clips of ${speakers.length} speakers, ${callers}${warm}`,
    `codec ${options.codec}${options.fec ? ' with FEC' : ''}${options.dtx ? ' with DTX' : ''}, loss ${options.lossPercent} % in bursts of ${options.burstPackets} (${options.concealment}), noise ${noise}, seed ${options.seed}; ${windows} windows scored`,
  ];
  const omitted = Object.entries(leftOut.corpusLabels).map(([label, count]) => `${label} (${count} clips)`);
  if (omitted.length > 0) lines.push(`left out, for the model has no such label: ${omitted.join(', ')}`);
  if (leftOut.modelLabels.length > 0) lines.push(`left out, for the corpus has no such label: ${leftOut.modelLabels.join(', ')}`);
  if (leftOut.speakers.length > 0) lines.push(`left out, for no fold tests them: ${leftOut.speakers.length} speakers`);
  if (unheard > 0) lines.push(`no speech was heard in ${unheard} clips, which count as errors`);
  if (trainSpeakers > 0) {
    lines.push(`the model was trained on ${trainSpeakers} of the speakers: this is not how it does on strangers`);
  }
  return lines;
}

function figure(title: string, value: number | null, interval: Interval | null | undefined): string {
  return `${title.padEnd(titleWidth)}${ratio(value)}${interval ? `  (95 %: ${range(interval)})` : ''}`;
}

function sexes({ bySex }: Evaluation): string[] {
  return Object.entries(bySex).map(
    ([sex, own]) => `${figure(`${sex}: UAR`, own.uar, own.interval)}, ${own.clips} clips of ${own.speakers} speakers`,
  );
}

function foldTable({ each, meanUar, deviationOfUar }: FoldFigures): string[] {
  const rows = Object.entries(each).map(([name, { speakers, clips, uar, accuracy, macroF1, ece }]) => [
    ...[name, String(speakers), String(clips)],
    ...[uar, accuracy, macroF1, ece].map(ratio),
  ]);
  return [
    ...table(['fold', 'speakers', 'clips', 'UAR', 'accuracy', 'macro-F1', 'ECE'], rows),
    `mean UAR of the folds ${ratio(meanUar)}, deviation ${ratio(deviationOfUar)}`,
  ];
}

function confusionTable({ labels, confusion, perClassRecall, intervals }: Evaluation): string[] {
  const rows = labels.map((label, i) => {
    const interval = intervals?.perClassRecall[label];
    return [label, ...(confusion[i] ?? []).map(String), ratio(perClassRecall[label] ?? null), interval ? range(interval) : ''];
  });
  return table(['intended', ...labels, 'recall', intervals === null ? '' : '95 %'], rows);
}
