// Builds the mediasoup worker from the C++ source in mediasoup's npm package, against Debian's libraries.
//
// mediasoup's own build downloads a Python tool and the sources of seven libraries. This one needs nothing but apt:
// scripts/mediasoup-worker/subprojects forwards each library to Debian's package of it. A build that was cut short
// continues where it stopped.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { installDebianPackages, missingDebianPackages } from './debian.mjs';
import { buildProgress, parseNinjaLine } from './ninja-progress.mjs';
import { createProgress, say, SetupError } from './report.mjs';
import { run } from './run.mjs';

/** Raise it when the recipe changes, so that a half-done build of the old recipe is not continued. */
const recipe = 1;
const recipeFolder = fileURLToPath(new URL('../mediasoup-worker', import.meta.url));

const debianPackages = [
  'g++',
  'meson',
  'ninja-build',
  'pkg-config',
  'libssl-dev',
  'libuv1-dev',
  'libsrtp2-dev',
  'libabsl-dev',
  'libflatbuffers-dev',
  'flatbuffers-compiler',
];

/** One compiler with the precompiled header needs about this much memory. */
const compilerBytes = 700 * 1024 * 1024;

/**
 * @typedef {object} SourceEdit
 * @property {string} file
 * @property {RegExp} pattern Must match, else the source is not the one this recipe is for.
 * @property {string} replacement
 */

/** @type {readonly SourceEdit[]} */
export const sourceEdits = [
  {
    // bookworm has meson 1.0.1, which is enough for what is used here.
    file: 'meson.build',
    pattern: /meson_version: *'[^']*'/,
    replacement: "meson_version: '>= 1.0.0'",
  },
  {
    // A precompiled header halves the build time.
    file: 'meson.build',
    pattern: /^executable\(\n {2}'mediasoup-worker',$/m,
    replacement: "$&\n  cpp_pch: 'pch/ms_pch.hpp',",
  },
  {
    // The callback on the outgoing BIO answers 1 to every control call, so an OpenSSL with kernel TLS (Debian's)
    // believes the BIO does kTLS, allocates no write buffer and crashes in the DTLS handshake. It has to hand the
    // real result through.
    file: 'src/RTC/DtlsTransport.cpp',
    pattern: /\(operationType == BIO_CB_RETURN\) \?/,
    replacement: '((operationType & BIO_CB_RETURN) != 0) ?',
  },
];

/**
 * Builds the worker.
 *
 * @param {string} packageFolder mediasoup's, in node_modules.
 * @param {string} version mediasoup's.
 * @param {string} folder Where to build; kept when the build is cut short.
 * @returns {Promise<{ binary: string, folder: string }>}
 */
export async function buildWorker(packageFolder, version, folder) {
  say(
    `Building the mediasoup worker ${version} from its source. This happens once for each version of mediasoup; an interrupted build continues.`,
  );
  const missing = missingDebianPackages(debianPackages);
  if (missing.length > 0) await installDebianPackages(missing, 'building the mediasoup worker');
  const source = join(folder, 'worker');
  prepareSource(packageFolder, source, join(folder, 'prepared'));
  if (!existsSync(join(source, 'out', 'build.ninja'))) {
    rmSync(join(source, 'out'), { recursive: true, force: true });
    await must('meson', ['setup', '--wrap-mode=nodownload', '--buildtype=release', '-Db_ndebug=true', 'out'], { cwd: source });
  }
  await compile(source, join(folder, 'steps'));
  const binary = join(folder, 'mediasoup-worker');
  await must('strip', ['-o', binary, join(source, 'out', 'mediasoup-worker')]);
  return { binary, folder };
}

/**
 * Applies one edit.
 *
 * @param {string} text
 * @param {SourceEdit} edit
 * @throws {SetupError} Where the source is not as the recipe expects it.
 */
export function applyEdit(text, edit) {
  if (!edit.pattern.test(text)) {
    throw new SetupError(`Expected mediasoup's ${edit.file} to match ${String(edit.pattern)}: this version needs a new recipe`);
  }
  return text.replace(edit.pattern, edit.replacement);
}

/**
 * @param {string} packageFolder
 * @param {string} source
 * @param {string} marker
 */
function prepareSource(packageFolder, source, marker) {
  const wanted = `recipe ${recipe}\n`;
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) {
    say('Continuing the build that was cut short.');
    return;
  }
  rmSync(source, { recursive: true, force: true });
  rmSync(marker, { force: true });
  mkdirSync(source, { recursive: true });
  cpSync(join(packageFolder, 'worker'), source, { recursive: true });
  rmSync(join(source, 'out'), { recursive: true, force: true });
  rmSync(join(source, 'subprojects'), { recursive: true, force: true });
  cpSync(recipeFolder, source, { recursive: true });
  for (const edit of sourceEdits) {
    const file = join(source, edit.file);
    writeFileSync(file, applyEdit(readFileSync(file, 'utf8'), edit));
  }
  writeFileSync(marker, wanted);
}

/**
 * @param {string} source
 * @param {string} stepsFile Remembers how many steps the whole build has.
 */
async function compile(source, stepsFile) {
  // No more compilers than memory holds: a small machine that swaps takes an hour.
  const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / compilerBytes)));
  const progress = createProgress('Compiling the mediasoup worker');
  const startMs = Date.now();
  let wholeSteps = existsSync(stepsFile) ? Number(readFileSync(stepsFile, 'utf8')) : 0;
  /** @param {string} line */
  const onLine = (line) => {
    const step = parseNinjaLine(line);
    if (step === undefined) return;
    if (step.total > wholeSteps) {
      wholeSteps = step.total;
      writeFileSync(stepsFile, String(wholeSteps));
    }
    const { ratio, text } = buildProgress(step, wholeSteps, Date.now() - startMs);
    progress.update(text, ratio);
  };
  const env = { ...process.env, NINJA_STATUS: '[%f/%t] ' };
  const result = await run('ninja', ['-C', 'out', '-j', String(jobs), 'mediasoup-worker'], { cwd: source, env, onLine });
  if (result.code !== 0) {
    progress.end('failed');
    throw new SetupError(`The build of the mediasoup worker failed:\n${result.output}`);
  }
  progress.end();
}

/**
 * Runs a program that has to succeed.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ cwd?: string }} [options]
 */
async function must(command, args, options) {
  const result = await run(command, args, options);
  if (result.code !== 0) throw new SetupError(`\`${command} ${args.join(' ')}\` failed:\n${result.output}`);
}
