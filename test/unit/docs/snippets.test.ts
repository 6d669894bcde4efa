// The TypeScript that the documents show compiles against what is here.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const documents = ['README.md', 'client-sdk/README.md', 'docs/embedding.md'];

/** What a reader has at hand where a snippet begins. */
const preamble = `
import type { Server } from 'node:http';
import type { types } from 'mediasoup';
declare global {
  const token: string;
  const server: Server;
  const router: types.Router;
  const producer: types.Producer;
  function fetchToken(): Promise<string>;
  function forgetEverything(): void;
  function record(startSample: number, startedAtUnixMs: number, samples: Float32Array, concealed: boolean): void;
  function show(...values: (string | number)[]): void;
}
`;

const snippets = documents.flatMap((document) =>
  [...readFileSync(root + document, 'utf8').matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match, i) => ({
    name: `${document} ${i + 1}`,
    path: `${root}snippet-${document.replace(/\W/g, '-')}-${i + 1}.ts`,
    code: match[1] ?? '',
  })),
);

/** Messages of the compiler on all snippets at once, by the path of the snippet. */
function compile(): Map<string, string[]> {
  const { config } = ts.readConfigFile(`${root}tsconfig.json`, (path) => ts.sys.readFile(path)) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const preamblePath = `${root}snippet-preamble.d.ts`;
  const virtual = new Map([[preamblePath, preamble], ...snippets.map(({ path, code }) => [path, code] as const)]);
  const host = ts.createCompilerHost(options);
  const readFile = host.readFile.bind(host);
  const fileExists = host.fileExists.bind(host);
  host.readFile = (path) => virtual.get(path) ?? readFile(path);
  host.fileExists = (path) => virtual.has(path) || fileExists(path);
  const getSourceFile = host.getSourceFile.bind(host);
  host.getSourceFile = (path, language, ...rest) => {
    const text = virtual.get(path);
    return text === undefined ? getSourceFile(path, language, ...rest) : ts.createSourceFile(path, text, language);
  };
  const program = ts.createProgram([...virtual.keys()], { ...options, lib: ['lib.es2024.d.ts', 'lib.dom.d.ts'] }, host);
  const messages = new Map<string, string[]>();
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const path = diagnostic.file?.fileName ?? '';
    if (!virtual.has(path)) continue;
    messages.set(path, [...(messages.get(path) ?? []), ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n')]);
  }
  return messages;
}

describe('snippets in the documents', () => {
  const messages = compile();

  it('are there', () => {
    expect(snippets.map((snippet) => snippet.name)).toEqual(['README.md 1', 'client-sdk/README.md 1', 'docs/embedding.md 1', 'docs/embedding.md 2']);
  });

  it.each(snippets)('$name compiles', ({ path }) => {
    expect(messages.get(path) ?? []).toEqual([]);
  });
});
