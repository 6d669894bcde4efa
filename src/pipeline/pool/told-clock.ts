// A track's media clock as another thread tells it, through front ends that were begun anew.
import { sampleRateHz } from '../types.ts';

const samplesPerMs = sampleRateHz / 1000;

/** Front ends that are remembered. What is still to be placed lies in the last two or three. */
const maxStretches = 8;

interface Stretch {
  readonly fromSample: number;
  originMs: number;
}

/**
 * Each front end has a stretch of the track's positions, and an origin of its own on the wall clock: what the arrival of
 * its first packet says, until the thread tells better.
 */
export class ToldClock {
  readonly #stretches: Stretch[] = [];

  /** Whether a position can be placed. */
  get begun(): boolean {
    return this.#stretches.length > 0;
  }

  /** A front end begins at a position, with a packet that arrived just then. */
  begin(fromSample: number, arrivalMs: number): void {
    this.#stretches.push({ fromSample, originMs: arrivalMs - fromSample / samplesPerMs });
    if (this.#stretches.length > maxStretches) this.#stretches.shift();
  }

  /** The thread says at which wall time its front end's own sample 0 lies. */
  told(originMs: number): void {
    const last = this.#stretches.at(-1);
    if (last !== undefined) last.originMs = originMs - last.fromSample / samplesPerMs;
  }

  /** Wall time of a position, ms; 0 before any packet. */
  wallMsOf(sample: number): number {
    const stretch = this.#stretches.findLast(({ fromSample }) => fromSample <= sample) ?? this.#stretches[0];
    return stretch === undefined ? 0 : stretch.originMs + sample / samplesPerMs;
  }

  /** The position of the newest front end's media that arrives at a wall time; 0 before any packet. */
  sampleAt(arrivalMs: number): number {
    const last = this.#stretches.at(-1);
    return last === undefined ? 0 : Math.round((arrivalMs - last.originMs) * samplesPerMs);
  }
}
