// Several engines of one kind behind the interface of one.
import { UndertoneError } from '../errors.ts';
import type { Engine, EngineBatch } from './types.ts';

interface Member {
  readonly engine: Engine;
  inFlight: number;
}

/** Gives each batch to the engine with the least to do among those that are ready. */
export class EnginePool implements Engine {
  readonly name: string;
  readonly #members: readonly Member[];
  #closing: Promise<void> | undefined;

  private constructor(name: string, engines: readonly Engine[]) {
    this.name = name;
    this.#members = engines.map((engine) => ({ engine, inFlight: 0 }));
  }

  /** Starts `count` engines, or none: where one fails, the others are closed and its error is thrown. */
  static async start(count: number, create: () => Promise<Engine>): Promise<Engine> {
    const started = await Promise.allSettled(Array.from({ length: count }, create));
    const engines = started.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    const failed = started.find((result) => result.status === 'rejected');
    if (failed !== undefined) {
      await Promise.allSettled(engines.map((engine) => engine.close()));
      throw failed.reason;
    }
    const [first] = engines;
    if (first === undefined) {
      throw new UndertoneError('UT_CONFIG_INVALID', `Expected \`threads\` to be at least 1, got \`${String(count)}\``);
    }
    return engines.length === 1 ? first : new EnginePool(first.name, engines);
  }

  get ready(): boolean {
    return this.#members.some(({ engine }) => engine.ready);
  }

  async run(batch: EngineBatch): Promise<Float32Array> {
    const member = this.#leastBusy();
    member.inFlight += 1;
    try {
      return await member.engine.run(batch);
    } finally {
      member.inFlight -= 1;
    }
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#members.map(({ engine }) => engine.close())).then(() => undefined);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #leastBusy(): Member {
    // A dead engine answers at once, so without this it would draw every batch to itself.
    const ready = this.#members.filter(({ engine }) => engine.ready);
    const [first, ...others] = ready.length > 0 ? ready : this.#members;
    if (first === undefined) throw new UndertoneError('UT_ENGINE_FAILED', 'Expected an engine, got an empty pool');
    return others.reduce((best, member) => (member.inFlight < best.inFlight ? member : best), first);
  }
}
