// A built folder as a table of what is served under which path.
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gzip as gzipCallback } from 'node:zlib';

/** One file, ready to be sent. */
export interface Asset {
  readonly body: Buffer;
  /** The same compressed; null where that does not pay. */
  readonly gzip: Buffer | null;
  readonly contentType: string;
  /** Quoted, as HTTP has it. */
  readonly etag: string;
  /** Whether its name changes with its content. */
  readonly immutable: boolean;
}

const gzip = promisify(gzipCallback);

const contentTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

/** Folder of files whose names carry a hash of their content. */
export const hashedFolder = 'assets';

/** Loads a build. `index.html` is served under its folder's path. */
export async function loadAssets(dir: string): Promise<ReadonlyMap<string, Asset>> {
  const assets = new Map<string, Asset>();
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  await Promise.all(
    entries.map(async (entry) => {
      const contentType = contentTypes[extname(entry.name)];
      if (!entry.isFile() || contentType === undefined) return;
      const file = join(entry.parentPath, entry.name);
      const path = `/${file.slice(dir.length).split('\\').join('/').replace(/^\/+/, '')}`;
      const body = await readFile(file);
      const compressed = contentType.startsWith('font/') ? null : await gzip(body, { level: 9 });
      assets.set(path.replace(/\/index\.html$/, '/'), {
        body,
        gzip: compressed !== null && compressed.length < body.length ? compressed : null,
        contentType,
        etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`,
        immutable: path.startsWith(`/${hashedFolder}/`),
      });
    }),
  );
  return assets;
}
