// Command: writes config/default.json and config/schema.json from the schema.
import { writeFileSync } from 'node:fs';
import { defaultConfig, jsonSchema } from '../../config/schema.ts';

const folder = new URL('../../config/', import.meta.url);
writeFileSync(new URL('default.json', folder), `${JSON.stringify(defaultConfig(), null, 2)}\n`);
writeFileSync(new URL('schema.json', folder), `${JSON.stringify(jsonSchema(), null, 2)}\n`);
