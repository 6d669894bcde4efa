// Simulated callers: real Opus speech as RTP over UDP, all from one worker thread.
import { Worker } from 'node:worker_threads';
import type { CallersThreadData, CallersThreadMessage, CallerSpec, CallerTotals, Said } from './types.ts';

export type { CallerSpec, CallerTotals, Said } from './types.ts';

/** Options of {@link startCallers}. */
export interface CallersOptions {
  readonly callers: readonly CallerSpec[];
  /** Called each time that a caller begins a clip. */
  readonly onSaid?: (said: Said) => void;
  /** Share of time, above 0 and at most 1, that someone of a turn group speaks, one at a time. @default each speaks as it likes */
  readonly talkRatio?: number;
}

/** Callers at work. */
export interface Callers {
  /** Resolves when the callers have stopped; rejects if their thread failed. */
  readonly closed: Promise<readonly CallerTotals[]>;
  /** Stops sending at once and ends the thread. Safe twice. */
  stop(): Promise<readonly CallerTotals[]>;
}

/**
 * Starts the callers. Resolves when they send: a packet each 20 ms (or whatever the clips' packets hold) on a schedule
 * fixed at the start, so that a held-up thread catches up and never drifts.
 * @throws Error if a clip cannot be read or an option is out of range.
 */
export async function startCallers(options: CallersOptions): Promise<Callers> {
  const data: CallersThreadData = {
    callers: options.callers,
    ...(options.talkRatio === undefined ? {} : { talkRatio: options.talkRatio }),
  };
  const worker = new Worker(new URL('./callers-thread.ts', import.meta.url), { workerData: data });
  let totals: readonly CallerTotals[] = [];
  const closed = new Promise<readonly CallerTotals[]>((resolve, reject) => {
    worker.once('error', reject);
    worker.once('exit', () => {
      resolve(totals);
    });
  });
  // Handed out, but nobody need listen to it.
  closed.catch(() => undefined);
  const started = new Promise<void>((resolve) => {
    worker.on('message', (message: CallersThreadMessage) => {
      if (message.type === 'started') resolve();
      else if (message.type === 'said') options.onSaid?.(message.said);
      else totals = message.totals;
    });
  });
  await Promise.race([started, closed]);
  return {
    closed,
    stop: () => {
      worker.postMessage('stop');
      return closed;
    },
  };
}
