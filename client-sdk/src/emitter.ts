// A small typed emitter whose `on` returns the function that takes the listener off again.

/** Takes one kind of message. */
export type Listener<T> = (value: T) => void;

/** A typed emitter of the messages in `Events`. */
export interface Emitter<Events> {
  on<K extends keyof Events>(type: K, listener: Listener<Events[K]>): () => void;
  emit<K extends keyof Events>(type: K, value: Events[K]): void;
  clear(): void;
}

/** Makes an emitter. A listener that throws is reported as an uncaught error and does not keep others from hearing. */
export function createEmitter<Events>(): Emitter<Events> {
  const byType = new Map<keyof Events, Set<Listener<never>>>();
  return {
    on(type, listener) {
      // A wrapper of its own, so that the same function may be added twice and taken off once.
      const entry: Listener<never> = (value) => {
        listener(value);
      };
      const listeners = byType.get(type) ?? new Set();
      byType.set(type, listeners.add(entry));
      return () => {
        listeners.delete(entry);
      };
    },
    emit(type, value) {
      for (const listener of [...(byType.get(type) ?? [])]) {
        try {
          (listener as Listener<typeof value>)(value);
        } catch (error) {
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
    clear() {
      byType.clear();
    },
  };
}
