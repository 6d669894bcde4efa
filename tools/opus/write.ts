// Command: `npm run build:opus` writes src/pipeline/libopus/libopus.wasm from libopus's sources and what lies beside it.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A package of the registry that carries the sources of libopus 1.4. It is unpacked, never installed. */
const source = {
  packageName: 'libopus@1.0.7',
  sha512: 'zdfso8UOLbNKFHYG50Q82cVVdFqrWBFslXVOtFG+fJzFHw4GB7/5eyxkIYr5iCyqPYD3boIyYRSg/Ap+e3nt2Q==',
  folder: 'package/opus',
  version: '1.4',
};
/** Of Debian 12; another version makes other bytes of the same sources. */
const compiler = 'clang-14';
const debianPackages = 'clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32 patch';

const own = fileURLToPath(new URL('../../src/pipeline/libopus/', import.meta.url));
const outFile = join(own, 'libopus.wasm');
const folder = mkdtempSync(join(tmpdir(), 'undertone-opus-'));
const sha256 = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
const run = (command: string, args: readonly string[], cwd: string): string => execFileSync(command, args, { cwd, encoding: 'utf8' });

try {
  try {
    run(compiler, ['--version'], folder);
  } catch {
    throw new Error(`Expected ${compiler} to compile libopus with, got none: apt-get install ${debianPackages}`);
  }
  const opus = unpack();
  run('patch', ['-p1', '--fuzz=0', '--input', join(own, 'simd.patch')], opus);
  const before = sha256(outFile);
  run(compiler, [...options(), ...sources(opus), join(own, 'decoder.c'), '-o', outFile], opus);
  chmodSync(outFile, 0o644);
  const after = sha256(outFile);
  process.stdout.write(`${outFile}\nsha256 ${after}${before === after ? ', as before' : `, before ${before}`}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

/** Where libopus's sources lie now. */
function unpack(): string {
  const packed = join(folder, run('npm', ['pack', '--silent', source.packageName], folder).trim());
  const digest = createHash('sha512').update(readFileSync(packed)).digest('base64');
  if (digest !== source.sha512) throw new Error(`Expected ${source.packageName} to have SHA-512 ${source.sha512}, got ${digest}`);
  run('tar', ['-xzf', packed], folder);
  return join(folder, source.folder);
}

/** The decoder's files and what they need; what nothing calls, the linker leaves out. */
function sources(opus: string): string[] {
  const listed = ['silk', 'celt'].flatMap((part) => {
    const list = readFileSync(join(opus, `${part}_sources.mk`), 'utf8').replaceAll('\\\n', ' ');
    const files = new RegExp(`^${part.toUpperCase()}_SOURCES\\s*=(.*)$`, 'm').exec(list)?.[1]?.trim().split(/\s+/);
    if (files === undefined) throw new Error(`Expected ${part}_sources.mk to list ${part.toUpperCase()}_SOURCES, got no such line`);
    return files;
  });
  return [...listed, 'src/opus.c', 'src/opus_decoder.c'];
}

function options(): string[] {
  const stackBytes = 256 * 1024;
  return [
    ...['--target=wasm32-wasi', '-O3', '-flto', '-msimd128', '-mnontrapping-fptoint', '-mbulk-memory', '-fwrapv', '-nostartfiles', '-w'],
    ...['-DOPUS_BUILD', '-DVAR_ARRAYS', '-DHAVE_LRINTF', '-DHAVE_LRINT', '-DNDEBUG', `-DPACKAGE_VERSION="${source.version}"`],
    ...['-I.', '-Iinclude', '-Icelt', '-Isilk', '-Isilk/float', '-Isrc', `-I${own}`],
    // A stack before all else: one that overflows traps, instead of writing over what others have.
    ...['--no-entry', '--gc-sections', '--strip-all', '-O3', '--lto-O3', '--stack-first', `-zstack-size=${stackBytes}`].map(
      (flag) => `-Wl,${flag}`,
    ),
    '-lm',
  ];
}
