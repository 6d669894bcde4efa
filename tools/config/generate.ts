// The files that follow from the configuration's schema, as text.
import { z } from 'zod';
import { variableName } from '../../config/load.ts';
import { configSchema, defaultConfig, jsonSchema } from '../../config/schema.ts';

/** A file and what must be in it. */
export interface GeneratedFile {
  readonly url: URL;
  readonly text: string;
}

const root = new URL('../../', import.meta.url);

/** Every generated file; a test holds them against what is committed. */
export function generatedFiles(): GeneratedFile[] {
  return [
    { url: new URL('config/default.json', root), text: `${JSON.stringify(defaultConfig(), null, 2)}\n` },
    { url: new URL('config/schema.json', root), text: `${JSON.stringify(jsonSchema(), null, 2)}\n` },
    { url: new URL('docs/configuration.md', root), text: documentation() },
  ];
}

const introduction = `# Configuration

Made from \`config/schema.ts\` by \`npm run config:write\`; do not edit.

Later sources win: defaults, then the file of \`--config FILE\` or \`UNDERTONE_CONFIG\` (JSON, see \`config/default.json\`), then
environment variables, then flags. Unknown keys, sections and \`UNDERTONE_\` variables are refused with a message that says where
they stand.
`;

function documentation(): string {
  const sections = Object.entries(configSchema.shape).flatMap(([section, schema]) => {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    if (!(inner instanceof z.ZodObject)) return [];
    const defaults = z.record(z.string(), z.unknown()).parse(inner.parse({}));
    const rows = Object.entries(z.record(z.string(), z.instanceof(z.ZodType)).parse(inner.shape)).map(([key, setting]) => {
      const value = defaults[key];
      const shown = value === undefined ? '' : `\`${JSON.stringify(value)}\``;
      return `| \`${key}\` | ${shown} | \`${variableName(section, key)}\` | ${setting.description ?? ''} |`;
    });
    return [`\n## \`${section}\`\n`, '| key | default | variable | meaning |', '|---|---|---|---|', ...rows];
  });
  return `${introduction}${sections.join('\n')}\n`;
}
