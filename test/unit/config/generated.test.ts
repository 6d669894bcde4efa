// What follows from the configuration's schema is committed as it would be written now.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generatedFiles } from '../../../tools/config/generate.ts';

describe('files made from the schema', () => {
  it.each(generatedFiles().map((file) => [file.url.pathname.split('/').slice(-2).join('/'), file] as const))(
    '%s is fresh (npm run config:write)',
    (_, { url, text }) => {
      expect(readFileSync(url, 'utf8')).toBe(text);
    },
  );
});
