// Runs a Python program of training/ with a Python that can: `node scripts/python.mjs training/train.py …`.
import { delimiter, join } from 'node:path';
import { launch } from './setup/launch.mjs';
import { allocatorOf, findPython, pythonPackages } from './setup/python.mjs';
import { root } from './setup/set-up.mjs';

const python = findPython();
if (python === undefined) {
  console.error(
    'Expected a Python with PyTorch, NumPy and SciPy: in $UNDERTONE_PYTHON, or as python3, or Debian’s own. On Debian:\n' +
      `  sudo apt-get install -y --no-install-recommends ${pythonPackages.join(' ')}`,
  );
  process.exit(1);
}
const paths = [join(root, 'training'), process.env['PYTHONPATH'] ?? ''].filter((path) => path !== '');
process.exitCode = await launch(python, process.argv.slice(2), {
  env: { ...process.env, ...allocatorOf(), PYTHONPATH: paths.join(delimiter) },
});
