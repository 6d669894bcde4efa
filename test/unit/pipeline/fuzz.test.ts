// Rubbish by the tens of thousands through the whole front end; `npm run test:soak` sends a million.
import { describe, expect, it } from 'vitest';
import { anyOpus, anyRtp, fuzz } from '../../support/fuzz.ts';

describe('a caller who sends rubbish', () => {
  it.each([
    ['random and mutated packets', anyRtp, 12_000],
    ['mutated Opus payloads', anyOpus, 8000],
  ])(
    'as %s crashes nothing, makes no number that is none, grows nothing, and changes nothing for a neighbour',
    async (_what, mutate, count) => {
      const { counts, windows, faults, neighbour, alone, memoryMiB } = await fuzz(count, mutate, 1);
      expect(faults).toBe(0);
      expect(neighbour).toBe(alone);
      expect(counts.received).toBe(count);
      const { played, late, duplicate, malformed, ignored, overflow } = counts;
      expect(played + late + duplicate + malformed + ignored + overflow).toBe(count);
      // It is not that everything was thrown away.
      expect(played).toBeGreaterThan(count / 4);
      expect(windows).toBeGreaterThan(10);
      expect(memoryMiB[1] - memoryMiB[0]).toBeLessThan(8);
    },
  );
});
