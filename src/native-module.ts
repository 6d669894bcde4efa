// Compiled parts of this project: finds and loads the one that set-up made of a source, where it did.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from './errors.ts';

/** What a compiled module exports, or why there is none. */
export type Loaded<Exports> = { readonly exports: Exports } | { readonly reason: string };

/** Where scripts/setup/native.mjs puts what it compiles: the name tells of which source, and of which headers beside it. */
function builtFile(source: URL): string {
  const path = fileURLToPath(source);
  const headers = readdirSync(dirname(path)).filter((name) => name.endsWith('.h'));
  const hash = createHash('sha256');
  for (const file of [path, ...headers.sort().map((name) => join(dirname(path), name))]) hash.update(readFileSync(file));
  const name = `${basename(path, '.c')}-${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 16)}.node`;
  return fileURLToPath(new URL(`../dist/native/${name}`, import.meta.url));
}

/**
 * Loads the compiled code of this very source. Never throws.
 *
 * @param source Of the C file.
 * @param file @default where set-up puts what it makes of it
 */
export function loadNativeModule<Exports>(source: URL, file = builtFile(source)): Loaded<Exports> {
  if (!existsSync(file)) return { reason: 'nothing was compiled here (npm run build:native)' };
  try {
    return { exports: createRequire(import.meta.url)(file) as Exports };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}
