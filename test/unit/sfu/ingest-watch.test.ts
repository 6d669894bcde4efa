// When an ingest's watch asks the media worker, and what it makes of the answers.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { IngestWatch } from '../../../src/sfu/ingest-watch.ts';

let heard: number;
let packetCount: number;
let bytesReceived: number;
let asked: string[];

const media = {
  producer: {
    getStats: () => {
      asked.push('producer');
      return Promise.resolve([{ packetCount }]);
    },
  },
  transport: {
    getStats: () => {
      asked.push('transport');
      return Promise.resolve([{ bytesReceived }]);
    },
  },
};

beforeEach(() => {
  vi.useFakeTimers();
  [heard, packetCount, bytesReceived, asked] = [0, 0, 0, []];
});

afterEach(() => {
  vi.useRealTimers();
});

/** So many packets of the stream come. */
function comes(packets: number, hears = true): void {
  packetCount += packets;
  bytesReceived += 172 * packets;
  if (hears) heard += packets;
}

describe('the watch of an ingest', () => {
  it('asks nothing while the tap hears the stream', async () => {
    const watch = new IngestWatch(() => heard);
    for (let second = 0; second < 60; second += 1) {
      comes(3);
      vi.advanceTimersByTime(1000);
      expect(await watch.look(media)).toBe(false);
      expect(watch.idleMs).toBe(0);
    }
    expect(asked).toEqual([]);
  });

  it('asks for the bytes of the port alone while nothing comes, and tells for how long', async () => {
    const watch = new IngestWatch(() => heard);
    comes(50);
    await watch.look(media);
    for (let second = 1; second <= 3; second += 1) {
      vi.advanceTimersByTime(1000);
      expect(await watch.look(media)).toBe(false);
    }
    // The first one learns what had come until then.
    expect(asked).toEqual(['transport', 'producer', 'transport', 'transport']);
    expect(watch.idleMs).toBe(2000);
  });

  it('sees a stream that nobody may listen to', async () => {
    const watch = new IngestWatch(() => heard);
    for (let second = 0; second < 5; second += 1) {
      comes(50, false);
      vi.advanceTimersByTime(1000);
      expect(await watch.look(media)).toBe(false);
      expect(watch.idleMs).toBe(0);
    }
  });

  it('does not take a tap that closes for a stream that comes', async () => {
    const watch = new IngestWatch(() => heard);
    comes(50);
    await watch.look(media);
    vi.advanceTimersByTime(1000);
    await watch.look(media);
    heard = 0;
    vi.advanceTimersByTime(1000);
    await watch.look(media);
    expect(watch.idleMs).toBe(1000);
  });

  it.each([
    ['what another stream sends', 20 * 50, true],
    ['what RTCP sends', 150, false],
  ])('tells %s from what the stream sent', async (_, bytes, expected) => {
    const watch = new IngestWatch(() => heard);
    comes(500);
    await watch.look(media);
    bytesReceived += bytes;
    // Of what came since it was last asked the stream may have sent a part.
    expect(await watch.look(media)).toBe(false);
    bytesReceived += bytes;
    expect(await watch.look(media)).toBe(expected);
    watch.restart();
    [packetCount, bytesReceived] = [0, bytes];
    expect(await watch.look(media)).toBe(false);
  });

  it('has one request under way at most', async () => {
    const watch = new IngestWatch(() => heard);
    comes(1, false);
    const first = watch.look(media);
    expect(watch.looking).toBe(true);
    await Promise.all([first, watch.look(media)]);
    expect(watch.looking).toBe(false);
    expect(asked).toEqual(['transport', 'producer']);
  });

  it('hands on what the worker fails with, and looks again', async () => {
    const watch = new IngestWatch(() => heard);
    const gone = { ...media, transport: { getStats: () => Promise.reject(new Error('gone')) } };
    await expect(watch.look(gone)).rejects.toThrow('gone');
    expect(await watch.look(media)).toBe(false);
    expect(asked).toEqual(['transport']);
  });
});
