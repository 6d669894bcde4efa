// Fails any test during which something writes to the console: a library that prints would spoil `--json` and the logs.
import { afterEach, beforeEach } from 'vitest';

const methods = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const;

let calls: string[] = [];

for (const method of methods) {
  // eslint-disable-next-line no-console -- this is the guard itself
  console[method] = (...values: unknown[]) => {
    calls.push(`console.${method}(${values.map(String).join(', ')})\n${new Error().stack?.split('\n').slice(2).join('\n') ?? ''}`);
  };
}

beforeEach(() => {
  calls = [];
});

afterEach(() => {
  if (calls.length > 0) throw new Error(`Expected nothing on the console, got:\n${calls.join('\n')}`);
});
