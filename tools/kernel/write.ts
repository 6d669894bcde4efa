// Command: `npm run build:kernel` writes src/pipeline/kernel/kernel.wasm from its sources.
import { writeFileSync } from 'node:fs';
import { compileKernel, kernelUrl } from './compile.ts';

writeFileSync(kernelUrl, await compileKernel());
