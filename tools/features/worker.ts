// Thread that plays callers, one after another, for the pool.
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../src/errors.ts';
import { playCaller, type CallerContext, type CallerFeatures, type CallerJob } from './caller.ts';

/** What a thread answers to a job. */
export type WorkerAnswer = { readonly features: CallerFeatures } | { readonly fault: string };

const context = workerData as CallerContext;

parentPort?.on('message', (job: CallerJob) => {
  void playCaller(job, context).then(
    (features) => {
      const buffers = features.clips.flatMap(({ frames, flags }) => [frames.buffer, flags.buffer]) as ArrayBuffer[];
      answer({ features }, buffers);
    },
    (error: unknown) => {
      answer({ fault: messageOf(error) }, []);
    },
  );
});

function answer(message: WorkerAnswer, transfer: ArrayBuffer[]): void {
  parentPort?.postMessage(message, transfer);
}
