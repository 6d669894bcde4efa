// The shape of every pure pipeline stage, and the RxJS operator that lifts one into a stream.
import { NEVER, Observable, type OperatorFunction } from 'rxjs';

/** Takes one output of a {@link Processor}. */
export type Emit<Out> = (output: Out) => void;

/**
 * A synchronous stage: no clock, no RxJS, no I/O. It may keep state and may reuse the buffers of what it
 * emits once `emit` returns, where its own documentation says so.
 */
export interface Processor<In, Out> {
  /** Takes one input and emits what it completes, in order. */
  process(input: In, emit: Emit<Out>): void;
  /** Emits what is held back because the input has stalled; more input may follow. Stages that hold nothing back leave it out. */
  pause?(emit: Emit<Out>): void;
  /** Emits what is still held back, at the end of the input. */
  flush(emit: Emit<Out>): void;
  /** Frees what the stage holds. Safe to call twice; nothing may be processed afterwards. */
  close(): void;
}

/**
 * Lifts a {@link Processor} into RxJS. Each subscription makes its own processor; completion of the source
 * flushes it; completion, error and unsubscription close it exactly once. `stalled$` says when the input has stalled;
 * stages that are piped together are told in the order of the data.
 */
export function stage<In, Out>(create: () => Processor<In, Out>, stalled$: Observable<unknown> = NEVER): OperatorFunction<In, Out> {
  return (source) =>
    new Observable<Out>((subscriber) => {
      const processor = create();
      const emit: Emit<Out> = (output) => {
        subscriber.next(output);
      };
      const attempt = (work: () => void): void => {
        try {
          work();
        } catch (error) {
          subscriber.error(error);
        }
      };
      subscriber.add(() => {
        processor.close();
      });
      subscriber.add(
        source.subscribe({
          next: (input) => {
            attempt(() => {
              processor.process(input, emit);
            });
          },
          error: (error: unknown) => {
            subscriber.error(error);
          },
          complete: () => {
            attempt(() => {
              processor.flush(emit);
              subscriber.complete();
            });
          },
        }),
      );
      // After the source, so that the stages before this one were told first.
      subscriber.add(
        stalled$.subscribe(() => {
          attempt(() => {
            processor.pause?.(emit);
          });
        }),
      );
    });
}
