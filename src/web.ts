// The pages: built when their sources changed, then served from memory.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import type { Logger } from './log.ts';
import { buildPages } from './web/build.ts';
import { loadAssets, type Asset } from './web/assets.ts';

/** Where pages come from and go to. */
export interface WebOptions {
  readonly logger?: Logger;
  /** Folder of the page sources. @default apps/ of this package */
  readonly sourceDir?: string;
  /** Folder that builds are kept in. @default dist/web of this package */
  readonly outDir?: string;
}

/** The pages, ready to be served. */
export interface Web {
  /** Whether this start had to build. */
  readonly built: boolean;
  /** Paths that are served, for logs and tests. */
  readonly paths: readonly string[];
  /** Answers a request for a page or an asset and resolves to true; leaves any other alone and resolves to false. */
  handler(request: IncomingMessage, response: ServerResponse): Promise<boolean>;
}

const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "media-src 'self' blob:",
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'permissions-policy': 'microphone=(self), camera=(self), geolocation=()',
  'cross-origin-opener-policy': 'same-origin',
};

const redirects: Readonly<Record<string, string>> = { '/call': '/call/', '/console': '/console/' };

/** Builds the pages if their sources changed since the last build, and loads them. Rejects if a source does not build. */
export async function createWeb(options: WebOptions = {}): Promise<Web> {
  const { logger } = options;
  const sourceDir = options.sourceDir ?? fileURLToPath(new URL('../apps/', import.meta.url));
  const outDir = options.outDir ?? fileURLToPath(new URL('../dist/web/', import.meta.url));
  const build = await buildPages(sourceDir, outDir);
  if (build.built) logger?.info({ durationMs: Math.round(build.durationMs) }, 'Built the pages');
  const assets = await loadAssets(build.dir);

  return {
    built: build.built,
    paths: [...assets.keys()],
    async handler(request, response) {
      // Only a path: whatever else stands in a request line is no business of the pages.
      const [path, query] = splitOnce(request.url ?? '', '?');
      const target = redirects[path];
      if (target !== undefined) {
        response.writeHead(308, { ...securityHeaders, location: query === undefined ? target : `${target}?${query}` }).end();
        return true;
      }
      // Files are looked up among those loaded, never on disk: no path leads out of them.
      const asset = assets.get(path);
      if (asset === undefined) return false;
      if (request.method !== 'GET' && request.method !== 'HEAD') {
        response.writeHead(405, { ...securityHeaders, allow: 'GET, HEAD' }).end();
        return true;
      }
      await send(asset, request, response);
      return true;
    },
  };
}

function send(asset: Asset, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const headers: Record<string, string | number> = {
    ...securityHeaders,
    'content-type': asset.contentType,
    'cache-control': asset.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
    etag: asset.etag,
    vary: 'accept-encoding',
  };
  return new Promise((resolve) => {
    // Resolves too when the client goes away before it has read all.
    response.once('close', resolve);
    if (matches(request.headers['if-none-match'], asset.etag)) {
      response.writeHead(304, headers).end();
      return;
    }
    const accepted = request.headers['accept-encoding'] ?? '';
    const gzip = /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/.test(accepted) ? asset.gzip : null;
    const body = gzip ?? asset.body;
    if (gzip !== null) headers['content-encoding'] = 'gzip';
    response.writeHead(200, { ...headers, 'content-length': body.length });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
}

function matches(header: string | undefined, etag: string): boolean {
  return header?.split(',').some((candidate) => candidate.trim().replace(/^W\//, '') === etag) ?? false;
}

function splitOnce(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + separator.length)];
}
