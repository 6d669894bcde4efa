// Command: writes config/default.json, config/schema.json and docs/configuration.md from the schema.
import { writeFileSync } from 'node:fs';
import { generatedFiles } from './generate.ts';

for (const { url, text } of generatedFiles()) writeFileSync(url, text);
