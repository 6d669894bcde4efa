// Command: exports the features of a corpus, through the very pipeline that serves, for training.
import { exportFeatures } from './export.ts';
import { parseOptions } from './options.ts';

try {
  await exportFeatures(parseOptions(process.argv.slice(2)), (line) => process.stderr.write(line));
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
