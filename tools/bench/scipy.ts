// Has SciPy compute the features beside the product, where Debian's python3-scipy is installed.
import { join } from 'node:path';
import { startTimed, type TimedProgram } from './timed-program.ts';

/** Starts SciPy on the samples, at 16 kHz; its units are frames. Null where it is not installed. */
export function startScipy(samples: Float32Array): Promise<TimedProgram | null> {
  return startTimed(['python3', join(import.meta.dirname, 'scipy_features.py'), '{}'], samples);
}
