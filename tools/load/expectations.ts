// Works out what all callers must have given, after the run and on all cores.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Cast } from './caller-stream.ts';
import type { Expected, SentCaller } from './expectation.ts';

/** What the thread is started with. */
export interface ExpectationData {
  readonly cast: Cast;
  readonly callers: readonly SentCaller[];
  /** Folder of the manifest, which owns the windows' length and hop. */
  readonly modelDir: string;
}

/** Works out the points that each caller must have given. `onProgress` is told the share of the packets that is done. */
export async function workOutExpected(
  cast: Cast,
  callers: readonly SentCaller[],
  modelDir: string,
  onProgress: (share: number) => void,
): Promise<readonly Expected[]> {
  const packetsOf = new Map(callers.map(({ caller, packets }) => [caller.participantId, packets]));
  const total = callers.reduce((sum, { packets }) => sum + packets, 0);
  const threads = Math.max(1, Math.min(availableParallelism(), callers.length));
  const found: Expected[] = [];
  let done = 0;
  await Promise.all(
    Array.from({ length: threads }, async (_, thread) => {
      const own = callers.filter((_caller, i) => i % threads === thread);
      const data: ExpectationData = { cast, callers: own, modelDir };
      const worker = new Worker(new URL('./expectation-thread.ts', import.meta.url), { workerData: data });
      await new Promise<void>((resolve, reject) => {
        worker.on('message', (expected: Expected) => {
          found.push(expected);
          done += packetsOf.get(expected.participantId) ?? 0;
          onProgress(total === 0 ? 1 : done / total);
        });
        worker.once('error', reject);
        worker.once('exit', () => {
          resolve();
        });
      });
    }),
  );
  return found;
}
