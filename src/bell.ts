// A bell in shared memory: wakes the main thread where it sleeps so that packets gather (pipeline/pool/packet-pause.ts).

/** Ends the sleep of the thread whose bell it is, for a message that was posted before; where it does not sleep, its next one. */
export function ringBell(bell: Int32Array): void {
  Atomics.store(bell, 0, 1);
  Atomics.notify(bell, 0);
}
