// A million packets of rubbish, and a hundred thousand damaged Opus payloads, beside a neighbour; some minutes.
import { describe, expect, it } from 'vitest';
import { anyOpus, anyRtp, fuzz } from '../support/fuzz.ts';

describe('a caller who sends rubbish for hours', () => {
  it.each([
    ['a million random and mutated packets', anyRtp, 1_000_000],
    ['a hundred thousand mutated Opus payloads', anyOpus, 100_000],
  ])(
    'as %s crashes nothing, makes no number that is none, grows nothing, and changes nothing for a neighbour',
    async (what, mutate, count) => {
      const { counts, windows, faults, neighbour, alone, memoryMiB } = await fuzz(count, mutate, 7);
      process.stdout.write(`${what}: ${JSON.stringify({ ...counts, windows, memoryMiB })}\n`);
      expect(faults).toBe(0);
      expect(neighbour).toBe(alone);
      const { played, late, duplicate, malformed, ignored, overflow } = counts;
      expect(played + late + duplicate + malformed + ignored + overflow).toBe(count);
      expect(memoryMiB[1] - memoryMiB[0]).toBeLessThan(8);
    },
  );
});
