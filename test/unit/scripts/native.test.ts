// What compiles the network's kernel: where it puts it, when it does nothing, and that what fails stops nobody.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildNative, nativeIsBuilt, nativeIsForHere } from '../../../scripts/setup/native.mjs';
import { loadNative } from '../../../src/models/kernel/native.ts';

const repository = join(import.meta.dirname, '../../..');
const within = join('src', 'models', 'kernel', 'native', 'kernel.c');

describe.skipIf(!nativeIsForHere)('the native kernel', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'undertone-native-'));
    mkdirSync(join(root, 'src', 'models', 'kernel', 'native'), { recursive: true });
    cpSync(join(repository, within), join(root, within));
    symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const built = (): string[] => readdirSync(join(root, 'dist', 'native'));

  it('is compiled where it is looked for, once, and replaces the one of an older source', async () => {
    expect(nativeIsBuilt(root)).toBe(false);
    mkdirSync(join(root, 'dist', 'native'), { recursive: true });
    writeFileSync(join(root, 'dist', 'native', 'linux-x64-0123456789abcdef.node'), '');
    expect(await buildNative(root)).toBe(true);
    expect(nativeIsBuilt(root)).toBe(true);
    const [name, ...others] = built();
    expect(others).toEqual([]);
    // By the same name the server finds it in its own checkout.
    expect(existsSync(join(repository, 'dist', 'native', name!))).toBe(true);
    expect(loadNative(join(root, 'dist', 'native', name!))).not.toHaveProperty(
      'reason',
      'nothing was compiled here (npm run build:native)',
    );
  });

  it('compiles without a warning', () => {
    const include = join(repository, 'node_modules', 'node-api-headers', 'include');
    const { status, stderr } = spawnSync('cc', [
      '-std=c11',
      '-fsyntax-only',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-isystem',
      include,
      join(root, within),
    ]);
    expect(String(stderr)).toBe('');
    expect(status).toBe(0);
  });

  it('stops nothing where it does not compile, and leaves nothing behind', async () => {
    writeFileSync(join(root, within), '#error not today\n');
    expect(await buildNative(root)).toBe(false);
    expect(nativeIsBuilt(root)).toBe(false);
    expect(built()).toEqual([]);
  });
});
