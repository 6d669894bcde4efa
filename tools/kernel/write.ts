// Command: `npm run build:kernel` writes each kernel.wasm from its sources.
import { writeFileSync } from 'node:fs';
import { compileKernel, kernelUrls } from './compile.ts';

for (const url of Object.values(kernelUrls)) writeFileSync(url, await compileKernel(url));
