// Whether the stream of an ingest still comes, and whether another one does in its place.

/** What of mediasoup's counts is read, of a producer and of its transport. */
export interface IngestMedia {
  readonly producer: { getStats(): Promise<readonly { readonly packetCount: number }[]> } | undefined;
  readonly transport: { getStats(): Promise<readonly { readonly bytesReceived: number }[]> };
}

/** How often an {@link IngestWatch} is to look at most, ms. */
export const longestLookMs = 1000;

/** More than RTCP alone sends in that time, and less than any codec does. */
const anotherStreamBytes = 500;

/**
 * Whose packets the tap hands on is there, and no more is asked: a request costs this thread and the media worker some 0.1 ms together, and
 * with hundreds of callers there would be hundreds a second. Where nothing was heard, because nothing came or because nobody may listen,
 * mediasoup's counts tell.
 */
export class IngestWatch {
  readonly #heard: () => number;
  #heardBefore = 0;
  #packets = 0;
  /** Of anything that came to the port. */
  #bytes = 0;
  #comesMs = performance.now();
  #looking = false;

  /** @param heard how many packets the participant's tap has handed on; 0 without one */
  constructor(heard: () => number) {
    this.#heard = heard;
  }

  /** Since when no packet of the stream has come, as far as looks tell, ms. */
  get idleMs(): number {
    return performance.now() - this.#comesMs;
  }

  /** Whether a look is under way: how long nothing has come is not known yet. */
  get looking(): boolean {
    return this.#looking;
  }

  /** Begins anew, as when the stream is another one. */
  restart(): void {
    this.#packets = 0;
    this.#bytes = 0;
    this.#comesMs = performance.now();
  }

  /** Looks, where no earlier look is still under way. @returns whether the stream is silent and another one comes to its port */
  async look({ producer, transport }: IngestMedia): Promise<boolean> {
    if (this.#looking) return false;
    if (this.#hears()) {
      this.#comesMs = performance.now();
      return false;
    }
    this.#looking = true;
    try {
      const bytes = (await transport.getStats()).reduce((sum, { bytesReceived }) => sum + bytesReceived, 0);
      const more = bytes - this.#bytes;
      if (more === 0) return false;
      this.#bytes = bytes;
      const packets = ((await producer?.getStats()) ?? []).reduce((sum, { packetCount }) => sum + packetCount, 0);
      if (packets === this.#packets) return packets > 0 && more > anotherStreamBytes;
      this.#packets = packets;
      this.#comesMs = performance.now();
      return false;
    } finally {
      this.#looking = false;
    }
  }

  #hears(): boolean {
    const heard = this.#heard();
    const more = heard !== this.#heardBefore && heard > 0;
    this.#heardBefore = heard;
    return more;
  }
}
