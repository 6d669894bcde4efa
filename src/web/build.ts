// Bundles the pages with esbuild, once for each state of their sources.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { hashedFolder } from './assets.ts';

/** A build that is on disk. */
export interface PagesBuild {
  readonly dir: string;
  /** False if an earlier build of the same sources was found. */
  readonly built: boolean;
  readonly durationMs: number;
}

/** Pages: the folder of their sources under apps/, and where they are served. */
const pages: Readonly<Record<string, string>> = { home: '', call: 'call', console: 'console' };

/** Files that are served as they are, by where they lie. */
const publicFiles: Readonly<Record<string, string>> = {
  'shared/favicon.svg': 'favicon.svg',
  'shared/fonts/LICENSE-inter.txt': 'licenses/inter.txt',
};

const sdkSourceDir = fileURLToPath(new URL('../../client-sdk/src/', import.meta.url));
/** Packages whose version is part of a build's identity. */
const bundledPackages = ['esbuild', 'mediasoup-client'];
const require = createRequire(import.meta.url);

/**
 * Builds the pages of `sourceDir` into a folder of `outDir` that is named by a hash of all inputs, unless it is there
 * already. Safe to run from several processes at once. Rejects with esbuild's report if a source does not build.
 */
export async function buildPages(sourceDir: string, outDir: string): Promise<PagesBuild> {
  const startedMs = performance.now();
  const hash = await hashInputs(sourceDir);
  const dir = join(outDir, hash);
  if (existsSync(join(dir, 'index.html'))) return { dir, built: false, durationMs: performance.now() - startedMs };

  const workDir = join(outDir, `.${hash}-${randomBytes(6).toString('hex')}`);
  await mkdir(workDir, { recursive: true });
  try {
    // One at a time within a process: the bundler is stopped after each.
    const mine = bundling.then(() => bundle(sourceDir, workDir));
    bundling = mine.catch(() => undefined);
    await mine;
    await publish(workDir, dir);
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
  await prune(outDir, hash);
  return { dir, built: true, durationMs: performance.now() - startedMs };
}

let bundling: Promise<void> = Promise.resolve();

async function bundle(sourceDir: string, workDir: string): Promise<void> {
  // Loaded here, for a start that finds its build needs no bundler.
  const esbuild = await import('esbuild');
  const sources = Object.entries(pages).filter(([folder]) => existsSync(join(sourceDir, folder, 'index.html')));
  const html = await Promise.all(sources.map(([folder]) => readFile(join(sourceDir, folder, 'index.html'), 'utf8')));
  const entries = sources.flatMap(([folder], index) => referencesOf(html[index] ?? '').map((name) => join(sourceDir, folder, name)));
  const { metafile } = await esbuild
    .build({
      entryPoints: [...new Set(entries)],
      outdir: join(workDir, hashedFolder),
      outbase: sourceDir,
      entryNames: '[dir]-[hash]',
      chunkNames: 'shared-[hash]',
      assetNames: '[name]-[hash]',
      bundle: true,
      splitting: true,
      format: 'esm',
      minify: true,
      target: ['es2022', 'chrome111', 'firefox113', 'safari16.4'],
      conditions: ['source'],
      loader: { '.woff2': 'file', '.svg': 'file' },
      legalComments: 'linked',
      metafile: true,
      logLevel: 'silent',
      absWorkingDir: sourceDir,
    })
    .finally(() => esbuild.stop());

  const outputs = new Map(
    Object.entries(metafile.outputs).flatMap(([output, { entryPoint }]) =>
      entryPoint === undefined ? [] : [[resolve(sourceDir, entryPoint), relative(workDir, resolve(sourceDir, output))] as const],
    ),
  );
  for (const [index, [folder, path]] of sources.entries()) {
    const target = join(workDir, path, 'index.html');
    await mkdir(dirname(target), { recursive: true });
    const text = (html[index] ?? '').replace(reference, (whole, attribute: string, name: string) => {
      const output = outputs.get(join(sourceDir, folder, name));
      return output === undefined ? whole : `${attribute}="/${output.split('\\').join('/')}"`;
    });
    await writeFile(target, text);
  }
  for (const [source, target] of Object.entries(publicFiles)) {
    if (!existsSync(join(sourceDir, source))) continue;
    await mkdir(dirname(join(workDir, target)), { recursive: true });
    await copyFile(join(sourceDir, source), join(workDir, target));
  }
}

/** Scripts and style sheets that a page names by a path beside it. */
const reference = /\b(src|href)="(\.[^"]+\.(?:ts|css))"/g;

function referencesOf(html: string): string[] {
  return [...html.matchAll(reference)].flatMap(([, , name]) => (name === undefined ? [] : [name]));
}

/** Moves a finished build into its place; where another process was first, its build is as good. */
async function publish(workDir: string, dir: string): Promise<void> {
  try {
    await rename(workDir, dir);
  } catch (error) {
    if (!existsSync(join(dir, 'index.html'))) throw error;
  }
}

/** Longest time for which builds of other states of the sources are kept, ms: their servers have loaded them long since. */
const keepOtherBuildsMs = 60_000;

async function prune(outDir: string, current: string): Promise<void> {
  for (const name of await readdir(outDir)) {
    if (name === current || !/^\.?[0-9a-f]{16}(-[0-9a-f]+)?$/.test(name)) continue;
    const dir = join(outDir, name);
    const found = await stat(dir).catch(() => null);
    if (found !== null && Date.now() - found.mtimeMs > keepOtherBuildsMs) await rm(dir, { recursive: true, force: true });
  }
}

async function hashInputs(sourceDir: string): Promise<string> {
  const hash = createHash('sha256');
  for (const root of [sourceDir, sdkSourceDir]) {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
    for (const file of files.sort()) {
      const content = await readFile(file);
      hash.update(`${basename(root)}/${relative(root, file)} ${String(content.length)}\n`).update(content);
    }
  }
  hash.update(await readFile(fileURLToPath(import.meta.url)));
  for (const name of bundledPackages) hash.update(`${name} ${await versionOf(name)}\n`);
  return hash.digest('hex').slice(0, 16);
}

async function versionOf(name: string): Promise<string> {
  // Not by name: a package need not export its own package.json.
  for (const root of require.resolve.paths(name) ?? []) {
    const file = join(root, name, 'package.json');
    if (existsSync(file)) return (JSON.parse(await readFile(file, 'utf8')) as { version: string }).version;
  }
  return 'absent';
}
