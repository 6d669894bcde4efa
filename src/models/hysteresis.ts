// Holds on to a class until another one clearly leads, so that a label does not flicker.

/** Options of a {@link Hysteresis}; see SmoothingOptions in smoother.ts. */
export interface HysteresisOptions {
  readonly switchMargin: number;
  readonly leadMargin: number;
  readonly switchPoints: number;
}

/**
 * The first leader is held; another takes over at once by `switchMargin`, or by `leadMargin` for `switchPoints` in a row. Points
 * that lie further apart count for as many as would have been between them.
 */
export class Hysteresis {
  readonly #options: HysteresisOptions;
  #held: number | null = null;
  #challenger: number | null = null;
  #leads = 0;

  constructor(options: HysteresisOptions) {
    this.#options = options;
  }

  /** Takes the next class probabilities, so many hops after the last; the index of the class that is held now. */
  next(values: ArrayLike<number>, hops = 1): number {
    const { switchMargin, leadMargin, switchPoints } = this.#options;
    const first = leader(values);
    if (this.#held === null || first === this.#held) return this.#hold(first);
    const lead = (values[first] ?? 0) - (values[this.#held] ?? 0);
    if (lead >= switchMargin) return this.#hold(first);
    if (lead < leadMargin) {
      this.#challenger = null;
      this.#leads = 0;
      return this.#held;
    }
    this.#leads = first === this.#challenger ? this.#leads + hops : 1;
    this.#challenger = first;
    return this.#leads >= switchPoints ? this.#hold(first) : this.#held;
  }

  reset(): void {
    this.#held = null;
    this.#challenger = null;
    this.#leads = 0;
  }

  #hold(index: number): number {
    this.reset();
    this.#held = index;
    return index;
  }
}

/** Index of the greatest value; the first of equals. */
export function leader(values: ArrayLike<number>): number {
  let best = 0;
  for (let index = 1; index < values.length; index += 1) if ((values[index] ?? 0) > (values[best] ?? 0)) best = index;
  return best;
}
