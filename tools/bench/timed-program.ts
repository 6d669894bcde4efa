// A program that works beside the product and times itself: a line asks it for a round, a line is its answer.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** A program that stands ready. */
export interface TimedProgram {
  /** What it said first: how much work a round is. */
  readonly units: number;
  /** Does one round and resolves to what it says of it, ms. */
  round(): Promise<number>;
  close(): void;
}

/** Starts `command`, with the path of a file of the samples (float32) in the place of `{}`; null where it ends at once. */
export async function startTimed(
  command: readonly string[],
  samples: Float32Array,
  variables: Readonly<Record<string, string>> = {},
): Promise<TimedProgram | null> {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-bench-'));
  const file = join(folder, 'speech.f32');
  writeFileSync(file, new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength));
  const env = { ...process.env, ...variables, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' };
  const [program = '', ...rest] = command.map((part) => (part === '{}' ? file : part));
  const child = spawn(program, rest, { env, stdio: ['pipe', 'pipe', 'ignore'] });
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
    units: Number(first.value),
    round: async () => {
      child.stdin.write('\n');
      const line = await lines.next();
      if (line.done === true) throw new Error(`Expected a time of ${program}, got its end`);
      return Number(line.value);
    },
    close,
  };
}
