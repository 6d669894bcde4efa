// When an intake reads, on timers that the test turns: a real worker's packets are read in test/integration/sfu/rtp-intake.test.ts.
import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLogger } from '../../../src/log.ts';
import type { HostPlainTransport, HostRouter } from '../../../src/sfu/host.ts';
import { RtpIntake } from '../../../src/sfu/rtp-intake.ts';
import type { RtpReader, TakePacket } from '../../../src/sfu/rtp-reader.ts';

const port = 62_001;
const ssrc = 0x11223344;
const packet = Buffer.alloc(20);
packet[0] = 0x80;
packet.writeUInt32BE(ssrc, 8);

describe('the readings of an intake', () => {
  let intake: RtpIntake;
  /** Packets of the one who is listened to that a second brings, evenly. */
  let packetsPerSecond: number;
  let taken: number;
  let readAtMs: number[];

  beforeEach(async () => {
    vi.useFakeTimers();
    const beganMs = Date.now();
    [packetsPerSecond, taken, readAtMs] = [0, 0, []];
    let sent = 0;
    const reader: Pick<RtpReader, 'port' | 'bufferBytes' | 'drops' | 'read' | 'close'> = {
      ...{ port: 4000, bufferBytes: 1e6, drops: 0, close: () => undefined },
      read: (take: TakePacket) => {
        const atMs = Date.now() - beganMs;
        const before = readAtMs.at(-1) ?? 0;
        readAtMs.push(atMs);
        for (sent += ((atMs - before) * packetsPerSecond) / 1000; sent >= 1; sent -= 1) take(port, packet, 0);
      },
    };
    const opened = RtpIntake.open({ everyMs: 6, logger: createLogger('silent'), openReader: () => reader as RtpReader });
    if (!(opened instanceof RtpIntake)) throw new Error(opened.reason);
    intake = opened;
    const transport = {
      tuple: { localPort: port },
      observer: new EventEmitter(),
      connect: () => Promise.resolve(),
      close: () => undefined,
    };
    const router = { createPlainTransport: () => Promise.resolve(transport as unknown as HostPlainTransport) };
    await intake.transportOf(router as unknown as HostRouter);
  });

  afterEach(() => {
    intake.close();
    vi.useRealTimers();
  });

  const pauses = (): number[] =>
    readAtMs
      .slice(-5)
      .map((atMs, i, all) => (i === 0 ? NaN : atMs - (all[i - 1] ?? NaN)))
      .slice(1);

  it('are 6 ms apart where they bring many packets, twice that where few, and follow the load', () => {
    intake.listen(port, ssrc, () => (taken += 1));
    packetsPerSecond = 20_000;
    vi.advanceTimersByTime(300);
    expect(pauses()).toEqual([6, 6, 6, 6]);
    packetsPerSecond = 5000;
    vi.advanceTimersByTime(300);
    expect(pauses()).toEqual([12, 12, 12, 12]);
    // 96 in 12 ms are many for 12 and few for 6.
    packetsPerSecond = 8000;
    vi.advanceTimersByTime(300);
    expect(pauses()).toEqual([12, 12, 12, 12]);
    packetsPerSecond = 12_000;
    vi.advanceTimersByTime(300);
    expect(pauses()).toEqual([6, 6, 6, 6]);
    expect(taken).toBeGreaterThan(13_000);
  });

  it('are not, where nobody is listened to', () => {
    vi.advanceTimersByTime(300);
    expect(readAtMs).toEqual([]);
    const stop = intake.listen(port, ssrc, () => undefined);
    vi.advanceTimersByTime(60);
    expect(readAtMs.length).toBeGreaterThan(3);
    stop();
    vi.advanceTimersByTime(60);
    const before = readAtMs.length;
    vi.advanceTimersByTime(300);
    expect(readAtMs).toHaveLength(before);
  });
});
