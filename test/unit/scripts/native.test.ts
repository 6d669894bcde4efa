// What compiles the native parts: where it puts it, when it does nothing, and that what fails stops nobody.
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildNative, nativeIsBuilt, nativeSources } from '../../../scripts/setup/native.mjs';
import { loadNativeModule } from '../../../src/native-module.ts';

const repository = join(import.meta.dirname, '../../..');

describe.skipIf(nativeSources.length === 0)('the native parts', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'undertone-native-'));
    for (const source of nativeSources) {
      // With the headers beside it.
      cpSync(join(repository, dirname(source)), join(root, dirname(source)), { recursive: true });
    }
    symlinkSync(join(repository, 'node_modules'), join(root, 'node_modules'));
  });
  afterEach(() => {
    rmSync(root, { recursive: true });
  });

  const built = (): string[] => readdirSync(join(root, 'dist', 'native'));

  it('are compiled where they are looked for, once, and replace those of older sources', async () => {
    expect(nativeIsBuilt(root)).toBe(false);
    mkdirSync(join(root, 'dist', 'native'), { recursive: true });
    writeFileSync(join(root, 'dist', 'native', 'kernel-linux-x64-0123456789abcdef.node'), '');
    expect(await buildNative(root)).toBe(true);
    expect(nativeIsBuilt(root)).toBe(true);
    const names = built();
    expect(names).toHaveLength(nativeSources.length);
    for (const name of names) {
      // By the same name the server finds it in its own checkout.
      expect(existsSync(join(repository, 'dist', 'native', name))).toBe(true);
    }
    const loaded = names.map((name) => loadNativeModule(new URL('file:///none'), join(root, 'dist', 'native', name)));
    for (const one of loaded) expect(one).toHaveProperty('exports');
  });

  const headers = nativeSources.flatMap((source) => {
    const folder = dirname(source);
    return readdirSync(join(repository, folder)).flatMap((name) => (name.endsWith('.h') ? [join(folder, name)] : []));
  });
  it.skipIf(headers.length === 0)('are those of their headers, too', async () => {
    expect(await buildNative(root)).toBe(true);
    const before = built();
    appendFileSync(join(root, headers[0]!), '/* Changed. */\n');
    expect(nativeIsBuilt(root)).toBe(false);
    expect(await buildNative(root)).toBe(true);
    expect(built().filter((name) => !before.includes(name))).toHaveLength(1);
    expect(built()).toHaveLength(nativeSources.length);
  });

  it.each(nativeSources)('compile without a warning: %s', (source) => {
    const include = join(repository, 'node_modules', 'node-api-headers', 'include');
    const { status, stderr } = spawnSync('cc', [
      '-std=c11',
      '-fsyntax-only',
      '-Wall',
      '-Wextra',
      '-Werror',
      '-isystem',
      include,
      join(root, source),
    ]);
    expect(String(stderr)).toBe('');
    expect(status).toBe(0);
  });

  it('stop nothing where one does not compile, and leave nothing of it behind', async () => {
    const [broken = ''] = nativeSources;
    writeFileSync(join(root, broken), '#error not today\n');
    expect(await buildNative(root)).toBe(false);
    expect(nativeIsBuilt(root)).toBe(false);
    expect(built()).toHaveLength(nativeSources.length - 1);
  });
});
