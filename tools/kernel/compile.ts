// Compiles the kernels of the front end and the network from AssemblyScript to WebAssembly.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** The kernels as they are committed; the sources of each lie in `assembly` beside it. */
export const kernelUrls = {
  frontEnd: new URL('../../src/pipeline/kernel/kernel.wasm', import.meta.url),
  network: new URL('../../src/models/kernel/kernel.wasm', import.meta.url),
};

// Not by its interface: that one's types would change those of every array in this project.
const require = createRequire(import.meta.url);
const compiler = require.resolve('assemblyscript/bin/asc.js');
const options = [
  // Plain functions on memory that whoever instantiates them gives: no garbage collector, no data, no start.
  ...['--runtime', 'stub', '--importMemory', '--noExportMemory', '--enable', 'simd', '-O3', '--noAssert'],
  // That vectors cross no boundary to JavaScript: they do not.
  ...['--disableWarning', '112'],
];

/** The bytes of the kernel that lies there. @throws Error with the compiler's messages where the source is at fault. */
export async function compileKernel(kernelUrl: URL): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'undertone-kernel-'));
  try {
    const outFile = join(folder, 'kernel.wasm');
    const cwd = fileURLToPath(new URL('.', kernelUrl));
    await promisify(execFile)(process.execPath, [compiler, 'assembly/index.ts', '--outFile', outFile, ...options], { cwd });
    return await readFile(outFile);
  } finally {
    await rm(folder, { recursive: true });
  }
}
