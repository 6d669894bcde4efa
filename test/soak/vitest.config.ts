// Vitest for the soak tests: minutes long, one after the other, run by `npm run test:soak`.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const minuteMs = 60_000;

export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/soak/**/*.test.ts'],
    setupFiles: ['test/setup.ts'],
    pool: 'forks',
    maxWorkers: 1,
    testTimeout: 30 * minuteMs,
    hookTimeout: 2 * minuteMs,
  },
});
