// Has SciPy compute the features beside the product, where Debian's python3-scipy is installed.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A SciPy that stands ready. */
export interface Scipy {
  /** Frames in one round. */
  readonly frames: number;
  /** Does one round and resolves to its time, ms. */
  round(): Promise<number>;
  close(): void;
}

/** Starts SciPy on the samples, at 16 kHz; null where it is not installed. */
export async function startScipy(samples: Float32Array): Promise<Scipy | null> {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-bench-'));
  const file = join(folder, 'speech.f32');
  writeFileSync(file, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
  const env = { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  const child = spawn('python3', [join(import.meta.dirname, 'scipy_features.py'), file], { env, stdio: ['pipe', 'pipe', 'ignore'] });
  child.on('error', () => undefined);
  child.stdin.on('error', () => undefined);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const close = (): void => {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  };
  const first = await lines.next();
  if (first.done === true) {
    close();
    return null;
  }
  return {
    frames: Number(first.value),
    round: async () => {
      child.stdin.write('\n');
      const line = await lines.next();
      if (line.done === true) throw new Error('Expected a time of SciPy, got its end');
      return Number(line.value);
    },
    close,
  };
}
