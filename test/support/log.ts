// A list that grows, and can be waited on.

/** Keeps everything that came, and waits for what will. */
export class Log<T> {
  readonly items: T[] = [];
  #waiting: { test: (item: T) => boolean; resolve: (item: T) => void }[] = [];

  add(item: T): void {
    this.items.push(item);
    const met = this.#waiting.filter((waiter) => waiter.test(item));
    this.#waiting = this.#waiting.filter((waiter) => !met.includes(waiter));
    for (const waiter of met) waiter.resolve(item);
  }

  /** The first item, past or future, that meets the test. */
  first<S extends T>(test: (item: T) => item is S): Promise<S>;
  first(test: (item: T) => boolean): Promise<T>;
  first(test: (item: T) => boolean): Promise<T> {
    const past = this.items.find(test);
    return past === undefined ? this.next(test) : Promise.resolve(past);
  }

  /** The first item that meets the test from now on. */
  next(test: (item: T) => boolean): Promise<T> {
    return new Promise((resolve) => this.#waiting.push({ test, resolve }));
  }

  /** Resolves once so many items have come in all. */
  async count(total: number): Promise<void> {
    while (this.items.length < total) await this.next(() => true);
  }
}
