// Node's compile cache: that a thread takes what an earlier process made of its sources, and who has their own is left alone.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { withCompileCache } from '../../../scripts/setup/compile-cache.mjs';

it('a thread of the next process takes what this one made of its source', () => {
  const root = mkdtempSync(join(tmpdir(), 'undertone-cache-'));
  onTestFinished(() => {
    rmSync(root, { recursive: true });
  });
  writeFileSync(join(root, 'package.json'), '{ "type": "module" }');
  writeFileSync(
    join(root, 'thread.ts'),
    "import { parentPort } from 'node:worker_threads';\nconst said: string = 'here';\nparentPort!.postMessage(said);",
  );
  const main = `import { Worker } from 'node:worker_threads';
    const thread = new Worker(new URL('./thread.ts', import.meta.url));
    thread.once('message', (said) => { console.log(said); void thread.terminate(); });`;
  writeFileSync(join(root, 'main.js'), main);
  const { NODE_COMPILE_CACHE: _own, ...env } = process.env;
  const run = () => {
    const options = { env: { ...withCompileCache(root, env), NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }, encoding: 'utf8' } as const;
    const { stdout, stderr, status } = spawnSync(process.execPath, [join(root, 'main.js')], options);
    expect(status).toBe(0);
    expect(stdout + stderr).toContain('here');
    return stdout + stderr;
  };
  // Node 22 keeps V8's code alone.
  const stripped = /retrieving transpile cache for StrippedTypeScript \S*thread\.ts\.*success/;
  const hit = Number(process.versions.node.split('.')[0]) < 24 ? /cache for \S*thread\.ts was accepted/ : stripped;
  expect(run()).not.toMatch(hit);
  expect(readdirSync(join(root, 'dist', 'compile-cache'))).not.toEqual([]);
  expect(run()).toMatch(hit);
});

it('is where the environment says, or nowhere', () => {
  expect(withCompileCache('/root', { NODE_COMPILE_CACHE: '/other' })).toEqual({ NODE_COMPILE_CACHE: '/other' });
  expect(withCompileCache('/root', { NODE_DISABLE_COMPILE_CACHE: '1' })).toEqual({ NODE_DISABLE_COMPILE_CACHE: '1' });
  expect(withCompileCache('/root', { HOME: '/home' })).toEqual({ HOME: '/home', NODE_COMPILE_CACHE: '/root/dist/compile-cache' });
});
