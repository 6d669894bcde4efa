// An evaluation as text for a person.
import type { Evaluation } from './evaluate.ts';

/** Lines of text, without the last line break. */
export function report(evaluation: Evaluation): string {
  const { options, labels, confusion, perClassRecall, perSpeakerUar, bySex, leftOut } = evaluation;
  const callers = options.independent ? 'each clip a new caller' : 'each speaker one caller';
  const noise = options.noiseDb === null ? 'none' : `${options.noiseDb} dB ${options.noiseFrom === null ? 'white' : 'recorded'}`;
  const heading = [
    `${evaluation.model} on ${options.corpus}, split ${options.split}: ${evaluation.clips} clips of ${evaluation.speakers.length} speakers, ${callers}`,
    `codec ${options.codec}, loss ${options.lossPercent} %, noise ${noise}, seed ${options.seed}; ${evaluation.windows} windows scored`,
  ];
  const omitted = Object.entries(leftOut.corpusLabels).map(([label, clips]) => `${label} (${clips} clips)`);
  if (omitted.length > 0) heading.push(`left out, for the model has no such label: ${omitted.join(', ')}`);
  if (leftOut.modelLabels.length > 0) heading.push(`left out, for the corpus has no such label: ${leftOut.modelLabels.join(', ')}`);
  if (evaluation.unheard > 0) heading.push(`no speech was heard in ${evaluation.unheard} clips, which count as errors`);
  if (evaluation.trainSpeakers > 0) {
    heading.push(`${evaluation.trainSpeakers} of the speakers are of the train split: this is not how the model does on strangers`);
  }
  const headline = (['uar', 'accuracy', 'macroF1', 'ece'] as const).map((name) => {
    const interval = evaluation.intervals?.[name];
    const range = interval === undefined ? '' : `  (95 %: ${ratio(interval[0])} to ${ratio(interval[1])})`;
    return `${titles[name].padEnd(14)}${ratio(evaluation[name])}${range}`;
  });
  const uars = Object.values(perSpeakerUar).filter((uar) => uar !== null);
  const width = Math.max(...labels.map((label) => label.length)) + 1;
  const rows = labels.map((label, i) => {
    const cells = (confusion[i] ?? []).map((count) => String(count).padStart(width)).join('');
    return `${label.padEnd(width)}${cells}${ratio(perClassRecall[label] ?? null).padStart(8)}`;
  });
  return [
    ...heading,
    '',
    ...headline,
    `${'ECE, windows'.padEnd(14)}${ratio(evaluation.eceOfWindows)}`,
    `${'speakers'.padEnd(14)}UAR ${ratio(Math.min(...uars))} to ${ratio(Math.max(...uars))}`,
    ...Object.entries(bySex).map(([sex, own]) => `${sex.padEnd(14)}UAR ${ratio(own.uar)}, ${own.clips} clips of ${own.speakers} speakers`),
    '',
    `${''.padEnd(width)}${labels.map((label) => label.padStart(width)).join('')}  recall   (rows: intended, columns: answered)`,
    ...rows,
  ].join('\n');
}

const titles = { uar: 'UAR', accuracy: 'accuracy', macroF1: 'macro-F1', ece: 'ECE' };

function ratio(value: number | null): string {
  return value === null ? '-' : value.toFixed(3).replace(/^0/, '');
}
