// Type-checks every TypeScript project of the repository; each has its own libraries (Node, DOM).
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc');

const projects = ['.', 'client-sdk', 'apps'].filter((folder) => existsSync(`${root}${folder}/tsconfig.json`));
const failed = projects.filter(
  (folder) => spawnSync(process.execPath, [compiler, '-p', folder], { cwd: root, stdio: 'inherit' }).status !== 0,
);
if (failed.length > 0) {
  console.error(`Type errors in: ${failed.join(', ')}`);
  process.exitCode = 1;
}
