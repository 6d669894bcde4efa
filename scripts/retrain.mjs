// `npm run retrain`: from a corpus to a model that ships, each step as training/README.md gives it; goes on where it was cut off.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
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
  --epochs A,B     of the first and of the second run, by default 50,30`;

const text = /** @type {const} */ ({ type: 'string' });
const { values } = parseArgs({
  options: { data: text, work: text, out: text, version: text, noise: text, rooms: text, augment: text, epochs: text },
});
const { version, augment = '6', epochs = '50,30' } = values;
const [data, work, out, noise, rooms] = [values.data, values.work, values.out, values.noise, values.rooms].map((path) =>
  path === undefined ? undefined : resolve(path),
);
const [first, second] = epochs.split(',');
if (data === undefined || work === undefined || out === undefined || version === undefined || first === undefined || second === undefined) {
  console.error(usage);
  process.exit(1);
}

const features = join(work, 'features');
const demo = join(work, 'demo');
const [run1, run2] = [join(work, 'run-1'), join(work, 'run-2')];
/** @type {(name: string, value: string | undefined) => string[]} */
const given = (name, value) => (value === undefined ? [] : [name, value]);
const export_ = ['tools/features/main.ts', '--data', data, '--out', features, '--augment', augment, '--seed', '1'];
const train = ['training/train.py', '--data', features, '--channel-share', '0.25'];

await step('features', [...export_, ...given('--noise', noise), ...given('--rooms', rooms)]);
await step('first-run', python([...train, '--out', run1, '--epochs', first]));
const goOn = ['--initial', run1, '--epochs', second, '--lr', '1e-3', '--seed', '2'];
await step('second-run', python([...train, '--out', run2, ...goOn]));
await step('export', python(['training/export.py', '--run', run2, '--data', features, '--out', out, '--version', version]));
await step('demo-features', ['tools/features/main.ts', '--data', 'assets/demo', '--independent', '--out', demo]);
await step('parity', python(['test/golden/live/make.py', '--features', demo, '--weights', join(run2, 'final.pt')]));
console.error(`${out} holds the model. Now: npm test, npm run evaluate, and its MODEL_CARD.md`);

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
