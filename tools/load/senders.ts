// Sends the packets of a load test's callers, all from one worker thread.
import { Worker } from 'node:worker_threads';
import type { CallerId, Cast } from './caller-stream.ts';
import type { HistogramData } from './latency-histogram.ts';

/** A caller, and where its packets go. */
export interface Sender {
  readonly caller: CallerId;
  /** Wall time of its first packet. */
  readonly startUnixMs: number;
  readonly remote: { readonly ip: string; readonly port: number };
}

/** What a caller sent. */
export interface SentTotals {
  readonly participantId: string;
  /** Packets that went out. */
  readonly packets: number;
  /** Of these, comfort noise of a payload type of its own, which the server passes over. */
  readonly comfortNoise: number;
  /** Packets that were lost on purpose. */
  readonly lost: number;
  /** Packets, counted from 0, that went out so much later than due that the server may have taken the caller for silent. */
  readonly heldUp: readonly number[];
}

/** What the thread is started with. */
export interface SendersData {
  readonly cast: Cast;
  readonly ipv6: boolean;
}

/** What the thread is told. */
export type SendersCommand =
  | { readonly type: 'start'; readonly sender: Sender }
  | { readonly type: 'stop'; readonly request: number; readonly participantIds: readonly string[] }
  | { readonly type: 'end' };

/** What the thread tells; `sent` once a second, of that second. */
export type SendersReport =
  { readonly type: 'ready' } | SentReport | { readonly type: 'stopped'; readonly request: number; readonly totals: readonly SentTotals[] };

/** A second of sending. */
export interface SentReport {
  readonly type: 'sent';
  readonly packets: number;
  /** How much later than due packets went out. */
  readonly late: HistogramData;
  /** CPU time of the thread. */
  readonly cpuMs: number;
}

/** Callers at work. */
export class Senders {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  readonly #answers = new Map<number, (totals: readonly SentTotals[]) => void>();
  #requests = 0;

  private constructor(worker: Worker, onSent: (report: SentReport) => void, onReady: () => void) {
    this.#worker = worker;
    this.#exited = new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', () => {
        resolve();
      });
    });
    this.#exited.catch(() => undefined);
    worker.on('message', (report: SendersReport) => {
      if (report.type === 'ready') onReady();
      else if (report.type === 'sent') onSent(report);
      else {
        this.#answers.get(report.request)?.(report.totals);
        this.#answers.delete(report.request);
      }
    });
  }

  /** Starts the thread. Rejects if it fails. */
  static async open(data: SendersData, onSent: (report: SentReport) => void): Promise<Senders> {
    const worker = new Worker(new URL('./senders-thread.ts', import.meta.url), { workerData: data, name: 'load-senders' });
    let senders: Senders | undefined;
    const ready = new Promise<void>((resolve) => {
      senders = new Senders(worker, onSent, resolve);
    });
    if (senders === undefined) throw new Error('Expected a thread for the callers, got none');
    await Promise.race([ready, senders.#exited]);
    return senders;
  }

  start(sender: Sender): void {
    this.#command({ type: 'start', sender });
  }

  /** Ends callers; resolves to what they sent. */
  async stop(participantIds: readonly string[]): Promise<readonly SentTotals[]> {
    const request = (this.#requests += 1);
    const answer = new Promise<readonly SentTotals[]>((resolve) => {
      this.#answers.set(request, resolve);
    });
    this.#command({ type: 'stop', request, participantIds });
    return await Promise.race([answer, this.#exited.then(() => [])]);
  }

  /** Ends the thread. */
  async close(): Promise<void> {
    this.#command({ type: 'end' });
    await this.#exited;
  }

  #command(command: SendersCommand): void {
    this.#worker.postMessage(command);
  }
}
