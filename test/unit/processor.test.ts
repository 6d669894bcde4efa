// The operator that lifts stages into streams: values, times, teardown, faults, and stalls in the order of the data.
import { Subject } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { describe, expect, it } from 'vitest';
import { stage, type Emit, type Processor } from '../../src/processor.ts';

/** Emits each input twice, what it counted when flushed, and its mark when it stalls; keeps what happened to it. */
class Doubler implements Processor<string, string> {
  readonly log: string[] = [];
  readonly #mark: string;
  #count = 0;

  constructor(mark = '!') {
    this.#mark = mark;
  }

  process(input: string, emit: Emit<string>): void {
    if (input === 'x') throw new Error('cannot take x');
    this.#count += 1;
    emit(input);
    emit(input);
  }

  pause(emit: Emit<string>): void {
    emit(this.#mark);
  }

  flush(emit: Emit<string>): void {
    this.log.push('flush');
    emit(String(this.#count));
  }

  close(): void {
    this.log.push('close');
  }
}

function marbles(run: Parameters<TestScheduler['run']>[0]): void {
  new TestScheduler((actual, expected) => {
    expect(actual).toEqual(expected);
  }).run(run);
}

describe('stage', () => {
  it('passes on what the processor emits, when it does, and flushes it at the end', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  -a---b----|');
      expectObservable(source.pipe(stage(() => new Doubler()))).toBe('                -(aa)(bb)-(2|)');
      expectSubscriptions(source.subscriptions).toBe('^---------!');
    });
  });

  it('turns a throw into an error and unsubscribes from the source', () => {
    marbles(({ cold, expectObservable, expectSubscriptions }) => {
      const source = cold('  -a---x--b|');
      expectObservable(source.pipe(stage(() => new Doubler()))).toBe('-(aa)#', undefined, new Error('cannot take x'));
      expectSubscriptions(source.subscriptions).toBe('^----!');
    });
  });

  it('makes a processor for each subscription and closes it once, however it ends', () => {
    for (const end of ['complete', 'error', 'unsubscribe'] as const) {
      const made: Doubler[] = [];
      const source = new Subject<string>();
      const lifted = source.pipe(
        stage(() => {
          const doubler = new Doubler();
          made.push(doubler);
          return doubler;
        }),
      );
      const subscriptions = [1, 2].map(() => lifted.subscribe({ error: () => undefined }));
      if (end === 'complete') source.complete();
      else if (end === 'error') source.error(new Error('the source failed'));
      else for (const subscription of subscriptions) subscription.unsubscribe();
      expect(made).toHaveLength(2);
      for (const { log } of made) expect(log).toEqual(end === 'complete' ? ['flush', 'close'] : ['close']);
      expect(source.observed).toBe(false);
    }
  });

  it('tells stages of a stall in the order of the data', () => {
    const stalled$ = new Subject<void>();
    const source = new Subject<string>();
    const seen: string[] = [];
    const piped = source.pipe(
      stage(() => new Doubler('first'), stalled$),
      stage(() => new Doubler('second'), stalled$),
    );
    const subscription = piped.subscribe((value) => seen.push(value));
    stalled$.next();
    // The first stage's mark goes through the second before that one is told.
    expect(seen).toEqual(['first', 'first', 'second']);
    subscription.unsubscribe();
    stalled$.next();
    expect(seen).toHaveLength(3);
    expect(stalled$.observed).toBe(false);
  });
});
