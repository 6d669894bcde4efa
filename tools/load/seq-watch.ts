// Watches the seqs of one subscription: what is missing, and what comes twice.

/** Follows one call on one socket. */
export class SeqWatch {
  /** Events that should have come between those that did. */
  gaps = 0;
  /** Events that had come already. */
  duplicates = 0;
  /** Events that the server said it would leave out because the reader was slow. */
  skipped = 0;
  #epoch: string | null = null;
  #next = 0;

  /** The server's answer to the subscription. */
  subscribed(epoch: string, nextSeq: number): void {
    // All that is kept was asked for: what lies before is gone.
    if (this.#epoch === null) this.gaps += nextSeq - 1;
    this.#epoch = epoch;
    this.#next = nextSeq;
  }

  /** An event. Whether it is new. */
  event(epoch: string, seq: number): boolean {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#next = 1;
    }
    if (seq < this.#next) {
      this.duplicates += 1;
      return false;
    }
    this.gaps += seq - this.#next;
    this.#next = seq + 1;
    return true;
  }

  /** A range that will not come. */
  leftOut(fromSeq: number, toSeq: number): void {
    if (toSeq < this.#next) return;
    this.gaps += Math.max(0, fromSeq - this.#next);
    this.skipped += toSeq - Math.max(fromSeq, this.#next) + 1;
    this.#next = toSeq + 1;
  }

  /** Events before this one cannot be had any more. */
  resync(epoch: string, nextSeq: number): void {
    if (epoch === this.#epoch) this.gaps += Math.max(0, nextSeq - this.#next);
    this.#epoch = epoch;
    this.#next = nextSeq;
  }
}
