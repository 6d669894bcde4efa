// The main thread's sleep between bursts of packets: where many come, and never for longer than it may.
import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { describe, expect, it, onTestFinished } from 'vitest';
import { PacketPause } from '../../../src/pipeline/pool/packet-pause.ts';

/** Lets packets come, `each` a ms, for a while, and tells how many are to be handed on at the end of a burst and how many are not. */
async function run(pause: Pick<PacketPause, 'arrived'>, each: number, forMs: number): Promise<{ gathered: number; alone: number }> {
  const told = { gathered: 0, alone: 0 };
  const beganMs = performance.now();
  for (let sent = 0; performance.now() - beganMs < forMs;) {
    const due = Math.floor((performance.now() - beganMs) * each);
    for (; sent < due; sent++) {
      if (pause.arrived()) told.gathered += 1;
      else told.alone += 1;
    }
    await turn();
  }
  return told;
}

describe('the pause for packets', () => {
  it('lets them gather where many come, hands each on at the end of its burst, and stops when few do', async () => {
    let taken = 0;
    let waiting = 0;
    const pause = new PacketPause({ everyMs: 4, onTaken: () => ((taken += waiting), (waiting = 0)) });
    const counted = { arrived: () => (pause.arrived() ? ((waiting += 1), true) : false) };
    const count = (each: number, forMs: number) => run(counted, each, forMs);
    await count(2.5, 300);
    const before = pause.pausedMs;
    const { gathered, alone } = await count(2.5, 400);
    expect(alone).toBe(0);
    expect(gathered).toBeGreaterThan(500);
    // Most of the time, for there was little to do.
    expect(pause.pausedMs - before).toBeGreaterThan(150);
    await delay(20);
    expect(taken).toBeGreaterThanOrEqual(gathered);
    expect(waiting).toBe(0);
    await count(0.2, 600);
    const quiet = pause.pausedMs;
    const few = await count(0.2, 300);
    expect(few.gathered).toBe(0);
    expect(pause.pausedMs).toBe(quiet);
  });

  it('never keeps what is due waiting for longer than from one burst to the next', async () => {
    const pause = new PacketPause({ everyMs: 5, onTaken: () => undefined });
    const running = run(pause, 3, 700);
    await delay(350);
    const waits: number[] = [];
    for (let n = 0; n < 20; n++) {
      const beganMs = performance.now();
      await turn();
      waits.push(performance.now() - beganMs);
    }
    await running;
    expect(pause.pausedMs).toBeGreaterThan(0);
    // The middle one: the machine may be busy.
    expect(waits.toSorted((a, b) => a - b)[10]).toBeLessThan(8);
  });

  it('ends when a thread has something to say, and the burst goes on to its time', async () => {
    const bursts: number[] = [];
    const pause = new PacketPause({ everyMs: 20, onTaken: () => bursts.push(performance.now()) });
    await run(pause, 2, 300);
    const ring = `const bell = new Int32Array(require('node:worker_threads').workerData);
      setInterval(() => (Atomics.store(bell, 0, 1), Atomics.notify(bell, 0)), 2);`;
    const worker = new Worker(ring, { eval: true, workerData: pause.bell });
    onTestFinished(async () => {
      await worker.terminate();
    });
    const turns: number[] = [];
    const counted = { arrived: () => (turns.push(performance.now()), pause.arrived()) };
    await run(counted, 2, 200);
    bursts.length = 0;
    turns.length = 0;
    await run(counted, 2, 600);
    const median = (times: readonly number[]) =>
      times.map((time, n) => time - (times[n - 1] ?? time)).toSorted((a, b) => a - b)[times.length >> 1] ?? NaN;
    const woken = turns.filter((time, n) => time - (turns[n - 1] ?? 0) > 0.5);
    // Woken several times a burst; each burst still takes its time.
    expect(median(woken)).toBeLessThan(10);
    expect(median(bursts)).toBeGreaterThan(17);
    expect(pause.pausedMs).toBeGreaterThan(200);
  });

  it('is none for a thread that is busy, nor where it is not wanted', async () => {
    const [busy, unwanted] = [
      new PacketPause({ everyMs: 4, onTaken: () => undefined }),
      new PacketPause({ everyMs: 0, onTaken: () => undefined }),
    ];
    await run(busy, 3, 300);
    const before = busy.pausedMs;
    for (let n = 0; n < 30; n++) {
      busy.arrived();
      const untilMs = performance.now() + 5;
      while (performance.now() < untilMs);
      await turn();
    }
    expect(busy.pausedMs - before).toBeLessThan(5);
    const { gathered } = await run(unwanted, 3, 300);
    expect([gathered, unwanted.pausedMs]).toEqual([0, 0]);
  });
});
