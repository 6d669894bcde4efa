// `npm run retrain`: from a corpus to a model that ships, each step as training/README.md gives it; goes on where it was cut off.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { launch } from './setup/launch.mjs';
import { root } from './setup/set-up.mjs';

const usage = `Usage: npm run retrain -- --data CORPUS --work DIR --out MODELDIR --version V [options]

  --data CORPUS    a folder of CREMA-D, with its splits
  --work DIR       where features, checkpoints and logs go; run again, finished steps are not done again
  --out MODELDIR   where the model goes, such as assets/models/emonet
  --version V      its version
  --noise DIR      ESC-10, for noise in the copies
  --rooms DIR      impulse responses, for rooms in the copies
  --augment N      copies of each clip, by default 6
  --epochs A,B,..  of the fourteen runs, each of which goes on from what came before, by default 50,30,16,28,54,14,40,60,16,14,14,14,36,24`;

const text = /** @type {const} */ ({ type: 'string' });
const { values } = parseArgs({
  options: { data: text, work: text, out: text, version: text, noise: text, rooms: text, augment: text, epochs: text },
});
const { version, augment = '6', epochs = '50,30,16,28,54,14,40,60,16,14,14,14,36,24' } = values;
const [data, work, out, noise, rooms] = [values.data, values.work, values.out, values.noise, values.rooms].map((path) =>
  path === undefined ? undefined : resolve(path),
);
// Of each run: seed, peak rate, and what else; the later ones hear more of the copies, early windows, and unsettled statistics,
// then more microphones; from the sixth on also other vocal tracts, and what those before say of the clean clips; from the seventh on lost
// packets and noise that are never the same. From the eighth on they hear other copies than those before, the eleventh and the twelfth others again, from one
// beginning. The last two have the pitch in place of most cepstra (docs/adr/0026), which what came before had not.
const few = ['--channel-share', '0.25'];
const early = ['--early-share', '0.25', '--jitter', '0.5'];
const many = [...early, '--channel-share', '0.4', '--average', '0.999'];
const most = [...early, '--channel-share', '0.5', '--average', '0.999', '--warp-share', '0.6'];
/** @type {(share: string, ...runs: (number | string)[]) => string[]} */
const taughtBy = (share, ...runs) => ['--teacher-share', share, '--teacher', ...runs.map((run) => runFolder(run))];
const warped = [...many, '--warp-share', '0.5'];
/** @type {(loss: string, noise: string) => string[]} */
const lossy = (loss, noise) => ['--loss-share', loss, '--noise-share', noise];
const last = ['--copy-share', '0.65', ...lossy('0.3', '0.3'), ...taughtBy('0.45', 'average', 9, 10)];
// Of an option that is given twice the last counts.
const pitched = [...warped, '--jitter', '0.4', '--windows', '2'];
const recipes = [
  [...few, '--seed', '1'],
  [...few, '--seed', '2', '--lr', '1e-3'],
  [...few, ...early, '--seed', '3', '--lr', '1e-3', '--copy-share', '0.7'],
  [...few, ...early, '--seed', '5', '--lr', '1.5e-3', '--copy-share', '0.7'],
  [...many, '--seed', '7', '--lr', '1.5e-3', '--copy-share', '0.75'],
  [...warped, '--lr', '1.5e-3', '--seed', '8', '--copy-share', '0.7', ...taughtBy('0.3', 5)],
  [...warped, '--lr', '1.5e-3', '--seed', '10', '--copy-share', '0.65', ...lossy('0.35', '0.3'), ...taughtBy('0.35', 5, 6)],
  [...warped, '--lr', '1.5e-3', '--seed', '12', '--copy-share', '0.65', ...lossy('0.3', '0.25'), ...taughtBy('0.4', 6, 7)],
  [...warped, '--lr', '1e-3', '--seed', '21', '--copy-share', '0.6', ...lossy('0.3', '0.25'), ...taughtBy('0.5', 'average')],
  [...most, '--lr', '1.2e-3', '--seed', '22', '--copy-share', '0.65', ...lossy('0.3', '0.3'), ...taughtBy('0.45', 'average', 9)],
  [...most, '--lr', '1.2e-3', '--seed', '51', ...last],
  [...most, '--lr', '1.2e-3', '--seed', '52', ...last, '--tempo', '0.25'],
  [...pitched, '--lr', '2e-3', '--seed', '91', '--copy-share', '0.6', ...lossy('0.25', '0.25')],
  [...pitched, '--lr', '1.8e-3', '--seed', '92', '--copy-share', '0.65', ...lossy('0.35', '0.35'), ...taughtBy('0.35', 13)],
];
const epochsOf = epochs.split(',');
if (data === undefined || work === undefined || out === undefined || version === undefined || epochsOf.length !== recipes.length) {
  console.error(usage);
  process.exit(1);
}

const features = ['features', 'features-2', 'features-3', 'features-4'].map((name) => join(work, name));
const demo = join(work, 'demo');
/** @type {(name: string, value: string | undefined) => string[]} */
const given = (name, value) => (value === undefined ? [] : [name, value]);
const export_ = ['tools/features/main.ts', '--data', data, '--augment', augment, ...given('--noise', noise), ...given('--rooms', rooms)];

for (const [i, folder] of features.entries()) {
  // Copies of the unseen speakers' clips, too, calibrate at the end.
  const all = i >= 2 ? ['--augment-all'] : [];
  const pitch = i === 3 ? ['--pitch'] : [];
  await step(basename(folder), [...export_, ...all, ...pitch, '--out', folder, '--seed', i === 3 ? '71' : (i + 1).toString()]);
}
/** What run N hears. */
const heardBy = (/** @type {number} */ number) => features[number < 8 ? 0 : number < 11 ? 1 : number < 13 ? 2 : 3] ?? '';
/** Runs that go on from an average instead of the run before them. */
const averageBefore = new Map([
  [9, 'average'],
  [11, 'average-2'],
  [12, 'average-2'],
  [13, 'average-3'],
]);
for (const [i, recipe] of recipes.entries()) {
  const number = i + 1;
  const before = number === 1 ? [] : ['--initial', runFolder(averageBefore.get(number) ?? i)];
  const run = [
    'training/train.py',
    '--data',
    heardBy(number),
    '--out',
    runFolder(number),
    '--epochs',
    epochsOf[i] ?? '',
    ...before,
    ...recipe,
  ];
  await step(`run-${number.toString()}`, python(run));
  if (number === 8) await average('average', 6, 7, 8);
  if (number === 10) await average('average-2', 9, 10);
  if (number === 12) await average('average-3', 'average-2', 11, 12);
}
await average('average-4', 13, 14);
const shipped = runFolder('average-4');
const heard = ['--data', heardBy(14), '--copies', heardBy(14)];
const apart = ['--apart', join(work, 'apart')];
await step('export', python(['training/export.py', '--run', shipped, ...heard, ...apart, '--out', out, '--version', version]));
await step('demo-features', ['tools/features/main.ts', '--pitch', '--data', 'assets/demo', '--independent', '--out', demo]);
await step('parity', python(['test/golden/live/make.py', '--features', demo, '--weights', join(shipped, 'exported.pt')]));
console.error(`${out} holds the model. Now: npm test, npm run evaluate, and its MODEL_CARD.md`);

/** @param {number | string} run by its number, or of an average its name */
function runFolder(run) {
  return join(work ?? '', typeof run === 'number' ? `run-${run.toString()}` : run);
}

/**
 * The mean of runs' weights.
 *
 * @param {string} name
 * @param {readonly (number | string)[]} parts
 */
async function average(name, ...parts) {
  const runs = parts.map((part) => runFolder(part));
  const newest = Math.max(...parts.map(Number).filter(Number.isFinite));
  await step(name, python(['training/average.py', '--runs', ...runs, '--data', heardBy(newest), '--out', runFolder(name)]));
}

/** @param {readonly string[]} args */
function python(args) {
  return ['scripts/python.mjs', ...args];
}

/**
 * Runs a step unless it was finished before; ends the command where it fails.
 *
 * @param {string} name
 * @param {readonly string[]} args
 */
async function step(name, args) {
  const mark = join(work ?? '', `${name}.done`);
  if (existsSync(mark)) {
    console.error(`${name}: done before`);
    return;
  }
  console.error(`${name}: node ${args.join(' ')}`);
  const code = await launch(process.execPath, args, { cwd: root });
  if (code !== 0) process.exit(code);
  mkdirSync(work ?? '', { recursive: true });
  writeFileSync(mark, '');
}
