// Times native C on the same packets, where a compiler, libopus and FFTW are there (Debian: gcc libopus-dev libfftw3-dev).
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { melBands, melFilterBank } from '../../src/pipeline/mel.ts';
import { sampleRateHz } from '../../src/pipeline/types.ts';

const run = promisify(execFile);
const source = join(import.meta.dirname, 'native.c');
const bins = 256;

/** Least CPU time of a 20 ms packet over the rounds, µs. */
export interface NativeTiming {
  /** Decoded alone. */
  readonly decodeUs: number;
  /** Decoded, and its two frames of log-mel and MFCC. */
  readonly wholeUs: number;
}

/** Builds and runs the program on Opus payloads; null where it cannot be built here. */
export async function timeNative(payloads: readonly Uint8Array[], rounds: number): Promise<NativeTiming | null> {
  const folder = await mkdtemp(join(tmpdir(), 'undertone-native-'));
  try {
    const [program, packets, weights] = [join(folder, 'native'), join(folder, 'packets'), join(folder, 'weights')];
    try {
      await run('cc', ['-O3', '-march=native', '-ffast-math', source, '-o', program, '-lopus', '-lfftw3f', '-lm']);
    } catch {
      return null;
    }
    await writeFile(packets, Buffer.concat(payloads.flatMap((payload) => [lengthOf(payload), payload])));
    await writeFile(weights, filterWeights());
    const { stdout } = await run(program, [packets, weights, String(rounds)]);
    return JSON.parse(stdout) as NativeTiming;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function lengthOf(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, payload.length, true);
  return bytes;
}

/** `[bands][bins]`, 32-bit floats. */
function filterWeights(): Uint8Array {
  const weights = new Float32Array(melBands * bins);
  const filters = melFilterBank({ bands: melBands, fftSize: 2 * bins, sampleRateHz, lowHz: 40, highHz: 7800 });
  filters.forEach((filter, band) => {
    filter.weights.forEach((weight, i) => (weights[band * bins + filter.firstBin + i] = weight));
  });
  return new Uint8Array(weights.buffer);
}
