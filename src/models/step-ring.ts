// The newest steps of one track, in a ring.

/** Holds `count` steps of `size` values; silence, which is zeros, before the first. */
export class StepRing {
  readonly #values: Float32Array;
  /** Where the oldest step begins, and the next one goes. */
  #oldest = 0;

  constructor(count: number, size: number) {
    this.#values = new Float32Array(count * size);
  }

  /** Takes whole steps, oldest first; of more than the ring holds, the newest. */
  append(steps: Float32Array): void {
    const capacity = this.#values.length;
    const kept = steps.length > capacity ? steps.subarray(steps.length - capacity) : steps;
    const untilEnd = Math.min(kept.length, capacity - this.#oldest);
    this.#values.set(kept.subarray(0, untilEnd), this.#oldest);
    this.#values.set(kept.subarray(untilEnd), 0);
    this.#oldest = (this.#oldest + kept.length) % capacity;
  }

  /** Writes all steps, oldest first. `out` is as long as the ring. */
  copyTo(out: Float32Array): void {
    out.set(this.#values.subarray(this.#oldest), 0);
    out.set(this.#values.subarray(0, this.#oldest), this.#values.length - this.#oldest);
  }

  /** Silence, as before the first. */
  clear(): void {
    this.#values.fill(0);
    this.#oldest = 0;
  }
}
