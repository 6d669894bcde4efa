// Whether node_modules holds what package-lock.json asks for.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holds, packagesAreInstalled } from '../../../scripts/setup/packages.mjs';

const wanted = {
  '': { version: '0.1.0' },
  'client-sdk': { version: '0.1.0' },
  'node_modules/@undertone/client': { link: true },
  'node_modules/ws': { version: '8.23.0', integrity: 'sha512-a' },
  'node_modules/@esbuild/win32-x64': { version: '0.28.2', optional: true },
};
const installed = {
  'client-sdk': { version: '0.1.0' },
  'node_modules/@undertone/client': { link: true },
  'node_modules/ws': { version: '8.23.0', integrity: 'sha512-a' },
};

describe('holds', () => {
  it('accepts an install without the packages of other platforms', () => {
    expect(holds(installed, wanted)).toBe(true);
  });

  it.each([
    ['a missing package', { 'node_modules/@undertone/client': { link: true } }],
    ['another version', { ...installed, 'node_modules/ws': { version: '8.22.0', integrity: 'sha512-a' } }],
    ['other contents', { ...installed, 'node_modules/ws': { version: '8.23.0', integrity: 'sha512-b' } }],
    ['an optional package of another version', { ...installed, 'node_modules/@esbuild/win32-x64': { version: '0.28.1' } }],
    ['a package in the place of a workspace', { ...installed, 'node_modules/@undertone/client': { version: '0.1.0' } }],
  ])('refuses %s', (_, have) => {
    expect(holds(have, wanted)).toBe(false);
  });
});

describe('packagesAreInstalled', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'undertone-packages-'));
    mkdirSync(join(root, 'node_modules'));
    writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: wanted }));
  });
  afterEach(() => {
    rmSync(root, { recursive: true, force: true });
  });

  it('compares with what npm wrote last', () => {
    expect(packagesAreInstalled(root)).toBe(false);
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: installed }));
    expect(packagesAreInstalled(root)).toBe(true);
  });

  it('takes a record that was cut short for none', () => {
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), '{"packages": {');
    expect(packagesAreInstalled(root)).toBe(false);
  });
});

describe('package-lock.json', () => {
  interface Entry {
    resolved?: string;
    dependencies?: object;
    optionalDependencies?: object;
  }
  const text = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, Entry> };

  it('names no place to download from, so that any registry serves', () => {
    expect(Object.values(packages).flatMap(({ resolved }) => resolved ?? [])).toEqual(['client-sdk']);
  });

  it('is complete, so that `npm ci` accepts it on every platform', () => {
    const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)));
    const wantedNames = Object.values(packages).flatMap((entry) => Object.keys({ ...entry.dependencies, ...entry.optionalDependencies }));
    expect(wantedNames.length).toBeGreaterThan(100);
    expect(wantedNames.filter((name) => !names.has(name))).toEqual([]);
  });
});
