// Command: how well a model does on a corpus, through the live pipeline.
import { writeFile } from 'node:fs/promises';
import { messageOf } from '../../src/errors.ts';
import { evaluate } from './evaluate.ts';
import { readOptions, usage } from './options.ts';
import { report } from './report.ts';

async function main(): Promise<void> {
  const read = readOptions(process.argv.slice(2));
  if (read === null) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const { json, ...options } = read;
  const evaluation = await evaluate(options, progress);
  process.stdout.write(`${report(evaluation)}\n`);
  if (json !== null) await writeFile(json, `${JSON.stringify(evaluation, null, 1)}\n`);
}

/** Once for each tenth of the callers. */
function progress(done: number, all: number, run: string): void {
  const step = Math.ceil(all / 10);
  if (done % step === 0 || done === all) process.stderr.write(`${run}: ${done} of ${all} callers\n`);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
