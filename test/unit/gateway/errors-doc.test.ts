// docs/errors.md and the table of error codes say the same.
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { errorCodes } from '../../../src/errors.ts';

it('docs/errors.md lists every code with its meaning, and no other', () => {
  const text = readFileSync(new URL('../../../docs/errors.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(UT_[A-Z_]+)` \| (.*?) \| (.+?) \|$/gm)];
  const documented = rows.map(([, code = '', meaning = '']) => [code, meaning]);
  expect(Object.fromEntries(documented)).toEqual(errorCodes);
  expect(documented).toHaveLength(Object.keys(errorCodes).length);
});
