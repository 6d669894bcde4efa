// What a thread's callers said in a turn, as numbers in one array: objects would cost both threads more than what they say.
import type { SentChange, SentOutput, SentWindow } from './messages.ts';

/** The first numbers of a row: how many it has, its kind, the caller's ref, `originMs`. */
const headLength = 4;
const windowKind = 0;
const startKind = 1;
const endKind = 2;
/** The numbers of a window before those of its blocks, in this order. */
const windowFields = [
  'startSample',
  'endSample',
  'endFrame',
  'hopFrames',
  'frameCount',
  'contextFrames',
  'featureCount',
  'speechRatio',
  'concealedRatio',
  'arrivalMs',
] as const satisfies readonly (keyof SentWindow)[];
const startLength = 1024;

/** Collects rows until they are taken. */
export class OutputRows {
  #rows = new Float64Array(startLength);
  #length = 0;

  /** A caller's window; `blocks` are the numbers of its blocks, 0 where nothing was heard. */
  window(ref: number, originMs: number, window: SentWindow, blocks: readonly number[]): void {
    let at = this.#begin(windowKind, ref, originMs, windowFields.length + blocks.length);
    for (const field of windowFields) this.#rows[at++] = window[field];
    for (const number of blocks) this.#rows[at++] = number;
  }

  /** A caller's change of speech. */
  speech(ref: number, originMs: number, { state, atSample, arrivalMs }: SentChange): void {
    const at = this.#begin(state === 'start' ? startKind : endKind, ref, originMs, 2);
    this.#rows[at] = atSample;
    this.#rows[at + 1] = arrivalMs;
  }

  /** Hands out what was collected, in a buffer of its own, and begins anew; null where nothing was. */
  take(): Float64Array<ArrayBuffer> | null {
    if (this.#length === 0) return null;
    const taken = this.#rows.slice(0, this.#length);
    this.#length = 0;
    return taken;
  }

  #begin(kind: number, ref: number, originMs: number, length: number): number {
    const start = this.#length;
    this.#length += headLength + length;
    if (this.#length > this.#rows.length) {
      const before = this.#rows;
      this.#rows = new Float64Array(2 * this.#length);
      this.#rows.set(before.subarray(0, start));
    }
    this.#rows[start] = headLength + length;
    this.#rows[start + 1] = kind;
    this.#rows[start + 2] = ref;
    this.#rows[start + 3] = originMs;
    return start + headLength;
  }
}

/** Reads rows, in their order. */
export function readOutputs(rows: Float64Array, take: (ref: number, output: SentOutput) => void): void {
  const at = (index: number): number => rows[index] ?? 0;
  for (let start = 0; start < rows.length; start += at(start)) {
    const [kind, ref, originMs, body] = [at(start + 1), at(start + 2), at(start + 3), start + headLength];
    if (kind !== windowKind) {
      const state = kind === startKind ? 'start' : 'end';
      take(ref, { kind: 'speech', originMs, change: { state, atSample: at(body), arrivalMs: at(body + 1) } });
      continue;
    }
    const window: SentWindow = {
      startSample: at(body),
      endSample: at(body + 1),
      endFrame: at(body + 2),
      hopFrames: at(body + 3),
      frameCount: at(body + 4),
      contextFrames: at(body + 5),
      featureCount: at(body + 6),
      speechRatio: at(body + 7),
      concealedRatio: at(body + 8),
      arrivalMs: at(body + 9),
    };
    const blocks: number[] = [];
    for (let from = body + windowFields.length; from < start + at(start); from += 1) blocks.push(at(from));
    take(ref, { kind: 'window', originMs, window, blocks });
  }
}
