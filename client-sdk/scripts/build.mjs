// Builds the package into dist/: ES modules, their declarations, and one script for pages without a bundler.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync } from 'node:zlib';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = `${root}dist`;
/** Most that the client may weigh on the wire. */
const maxClientBrotliBytes = 8 * 1024;

rmSync(dist, { recursive: true, force: true });

const shared = { bundle: true, minify: true, sourcemap: true, target: 'es2020', legalComments: 'none', logLevel: 'warning' };
await build({ ...shared, entryPoints: [`${root}src/index.ts`, `${root}src/overlay.ts`], outdir: dist, format: 'esm' });
await build({
  ...shared,
  entryPoints: [`${root}src/global.ts`],
  outfile: `${dist}/undertone.global.js`,
  format: 'iife',
  globalName: 'Undertone',
});

const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');
const emit = ['-p', root, '--noEmit', 'false', '--emitDeclarationOnly', '--declarationMap', 'false'];
const { status } = spawnSync(process.execPath, [compiler, ...emit], { stdio: 'inherit' });
if (status !== 0) process.exit(status ?? 1);

// Declarations stand beside one another: they name each other as the JavaScript that a resolver expects.
for (const name of readdirSync(dist).filter((file) => file.endsWith('.d.ts'))) {
  const text = readFileSync(`${dist}/${name}`, 'utf8');
  writeFileSync(`${dist}/${name}`, text.replace(/(from '\.\/[^']+|import\("\.\/[^"]+)\.ts(['"])/g, '$1.js$2'));
}

for (const name of ['index.js', 'overlay.js', 'undertone.global.js']) {
  const bytes = brotliCompressSync(readFileSync(`${dist}/${name}`)).length;
  console.log(`${name}: ${bytes} bytes with brotli`);
  if (name === 'index.js' && bytes > maxClientBrotliBytes) {
    console.error(`Expected index.js to be at most ${maxClientBrotliBytes} bytes with brotli, got ${bytes}`);
    process.exitCode = 1;
  }
}
