// Command: one or more recordings through the live pipeline to a timeline.
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { messageOf } from '../../src/errors.ts';
import { analyse } from './analyse.ts';
import { formats } from './formats.ts';

const usage = `Usage: npm run analyse -- FILE... [--format json|csv|vtt] [--out FILE]

  FILE      WAV or FLAC of any sample rate, or Ogg Opus; each file is a caller
  --format  json (all events), csv (the same, a row each) or vtt (segments as subtitles); by default json
  --out     where to write; by default standard output`;

async function main(): Promise<void> {
  const options = { format: { type: 'string', default: 'json' }, out: { type: 'string' }, help: { type: 'boolean' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const format = Object.hasOwn(formats, values.format) ? formats[values.format] : undefined;
  if (format === undefined) throw new Error(`Expected --format to be json, csv or vtt, got \`${values.format}\``);
  if (positionals.length === 0) throw new Error(`Expected one recording or more, got none\n\n${usage}`);
  const text = format(await analyse(positionals));
  if (values.out === undefined) process.stdout.write(text);
  else await writeFile(values.out, text);
}

await main().catch((error: unknown) => {
  process.stderr.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
});
