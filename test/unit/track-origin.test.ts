import { describe, expect, it } from 'vitest';
import { TrackOrigin } from '../../src/track-origin.ts';
import { writeRtp } from '../../tools/audio/rtp-writer.ts';

const clockRateHz = 48_000;
const packetTicks = 960;

/** The `index`-th 20 ms packet of a track that begins at 1000 ms, read `delayMs` after it was due. */
function packet(index: number, delayMs: number, firstTimestamp = 0) {
  const payload = Uint8Array.of(0xf8);
  const timestamp = firstTimestamp + index * packetTicks;
  return {
    data: writeRtp({ sequenceNumber: index, timestamp, ssrc: 1, payloadType: 100, payload }),
    arrivalMs: 1000 + 20 * index + delayMs,
  };
}

describe('TrackOrigin', () => {
  it('goes by the packet that was delayed least', () => {
    const origin = new TrackOrigin(clockRateHz);
    for (const [index, delayMs] of [70, 50, 30, 12, 2, 9, 3].entries()) origin.arrived(packet(index, delayMs));
    expect(origin.fix()).toBe(1002);
  });

  it('stays where it is once an event was placed by it', () => {
    const origin = new TrackOrigin(clockRateHz);
    origin.arrived(packet(0, 40));
    expect(origin.fix()).toBe(1040);
    origin.arrived(packet(1, 0));
    expect(origin.fix()).toBe(1040);
  });

  it('counts from the first packet, across the wrap of timestamps and for packets that overtook it', () => {
    const first = 2 ** 32 - packetTicks;
    const origin = new TrackOrigin(clockRateHz);
    origin.arrived(packet(1, 30, first));
    origin.arrived(packet(0, 55, first));
    origin.arrived(packet(2, 10, first));
    // Sample 0 is the first that came: 20 ms into the sender's own time.
    expect(origin.fix()).toBe(1030);
  });

  it('passes over another clock and what is no RTP', () => {
    const origin = new TrackOrigin(clockRateHz);
    origin.arrived({ data: new Uint8Array(4), arrivalMs: 1 });
    origin.arrived(packet(0, 5));
    origin.arrived(packet(1, 0, 2 ** 31 - 1));
    origin.arrived(packet(2, 0, 48_000 * 60));
    expect(origin.fix()).toBe(1005);
  });

  it('looks at the first packets alone: a sender whose clock runs fast must not pull it along', () => {
    const origin = new TrackOrigin(clockRateHz);
    for (let index = 0; index < 200; index++) origin.arrived(packet(index, 100 - index / 2));
    expect(origin.fix()).toBe(1100 - 99 / 2);
  });

  it('is 0 before any packet, and open still', () => {
    const origin = new TrackOrigin(clockRateHz);
    expect(origin.fix()).toBe(0);
    origin.arrived(packet(0, 5));
    expect(origin.fix()).toBe(1005);
  });
});
