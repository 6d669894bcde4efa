// The labels of IEMOCAP, which are not in the names of its clips but in text files beside them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { emotionOf } from './names.ts';

/** `Session1/dialog/EmoEvaluation/Ses01F_impro01.txt`; the folders below it hold single raters' opinions. */
const evaluationFile = /(?:^|[\\/])EmoEvaluation[\\/]Ses0[1-5][^\\/]*\.txt$/;
/** `[6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]` */
const verdictLine = /^\[[\d.]+\s*-\s*[\d.]+\]\s+(Ses\w+)\s+([a-z]{3})\s/;

/**
 * The raters' verdicts by utterance (`Ses01F_impro01_F000`), in the words of this project.
 * @param names every path below `folder`, as `readdir` gives them
 * @throws Error if no file holds any, or one names an emotion that IEMOCAP does not have.
 */
export async function readEvaluations(folder: string, names: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const verdicts = new Map<string, string>();
  for (const name of names.filter((path) => evaluationFile.test(path))) {
    for (const line of (await readFile(join(folder, name), 'utf8')).split(/\r?\n/)) {
      const [, utterance, code] = verdictLine.exec(line) ?? [];
      if (utterance === undefined) continue;
      const emotion = emotionOf('iemocap', code);
      if (emotion === null) throw new Error(`Expected ${name} to name one of IEMOCAP's emotions, got \`${code ?? ''}\``);
      verdicts.set(utterance, emotion);
    }
  }
  if (verdicts.size === 0) {
    throw new Error(`Expected IEMOCAP's labels in SessionN/dialog/EmoEvaluation/*.txt of ${folder}, got none`);
  }
  return verdicts;
}
