// Plays callers on several threads, and hands their features on in the order of the jobs.
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { CallerContext, CallerFeatures, CallerJob } from './caller.ts';
import type { WorkerAnswer } from './worker.ts';

/**
 * Plays all jobs, in order on `workers` threads, at most two jobs each ahead of what was taken.
 * @throws Error of the first job, in their order, that fails
 */
export async function* playCallers(
  jobs: readonly CallerJob[],
  context: CallerContext,
  workers: number,
): AsyncGenerator<{ readonly job: CallerJob; readonly features: CallerFeatures }> {
  const threads = Array.from(
    { length: Math.min(workers, jobs.length) },
    () => new Worker(new URL('./worker.ts', import.meta.url), { workerData: context }),
  );
  const idle = [...threads];
  const waiting: ((thread: Worker) => void)[] = [];
  const release = (thread: Worker): void => {
    const next = waiting.shift();
    if (next === undefined) idle.push(thread);
    else next(thread);
  };
  const nextIdle = (): Promise<Worker> => {
    const { promise, resolve } = Promise.withResolvers<Worker>();
    waiting.push(resolve);
    return promise;
  };
  const play = async (job: CallerJob): Promise<WorkerAnswer> => {
    const thread = idle.pop() ?? (await nextIdle());
    thread.postMessage(job);
    const [answer] = (await once(thread, 'message')) as [WorkerAnswer];
    release(thread);
    return answer;
  };
  const ahead: { job: CallerJob; answer: Promise<WorkerAnswer> }[] = [];
  let next = 0;
  try {
    while (next < jobs.length || ahead.length > 0) {
      while (next < jobs.length && ahead.length < 2 * threads.length) {
        const job = jobs[next++];
        if (job === undefined) break;
        const answer = play(job);
        // Seen once its turn comes.
        answer.catch(() => undefined);
        ahead.push({ job, answer });
      }
      const first = ahead.shift();
      if (first === undefined) break;
      const answer = await first.answer;
      if ('fault' in answer) throw new Error(answer.fault);
      yield { job: first.job, features: answer.features };
    }
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}
