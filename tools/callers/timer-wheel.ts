// One timer for many callers: what is due is kept in slots of a millisecond, and whoever sends asks once for all that is due.

interface Entry<T> {
  readonly item: T;
  readonly tick: number;
}

/** Twice the longest time that is put off as a rule; later items wait in their slot for another turn. */
const slotCount = 2048;

/** A hashed timer wheel. Times are of any clock that does not fall back, ms. */
export class TimerWheel<T> {
  readonly #slots: Entry<T>[][] = Array.from({ length: slotCount }, () => []);
  /** Slots before this tick have been looked at. */
  #tick: number;
  #size = 0;

  constructor(nowMs: number) {
    this.#tick = Math.floor(nowMs);
  }

  get size(): number {
    return this.#size;
  }

  /** Puts an item in for a time: it comes out at the first turn at that millisecond's end or later, never before its time. */
  put(item: T, atMs: number): void {
    const tick = Math.max(this.#tick, Math.ceil(atMs));
    this.#slotOf(tick).push({ item, tick });
    this.#size += 1;
  }

  /** Takes out all that is due, the earliest first; what `due` puts in for a time that has come too. */
  turn(nowMs: number, due: (item: T) => void): void {
    const last = Math.floor(nowMs);
    while (this.#tick <= last && this.#size > 0) {
      const slot = this.#slotOf(this.#tick);
      for (let i = 0; i < slot.length; i += 1) {
        const entry = slot[i];
        if (entry === undefined || entry.tick > this.#tick) continue;
        slot.splice(i, 1);
        i -= 1;
        this.#size -= 1;
        due(entry.item);
      }
      this.#tick += 1;
    }
    this.#tick = Math.max(this.#tick, last + 1);
  }

  /** When the next turn is worth it, ms; Infinity of an empty wheel. */
  get nextMs(): number {
    if (this.#size === 0) return Infinity;
    for (let tick = this.#tick; tick < this.#tick + slotCount; tick += 1) {
      if (this.#slotOf(tick).some((entry) => entry.tick === tick)) return tick;
    }
    return this.#tick + slotCount;
  }

  #slotOf(tick: number): Entry<T>[] {
    return this.#slots[tick % slotCount] ?? [];
  }
}
