// `npm start`: sets up what is missing, then runs the server (src/cli.ts) with the arguments given after `--`.
import { join } from 'node:path';
import { withCompileCache } from './setup/compile-cache.mjs';
import { launch } from './setup/launch.mjs';
import { withNode } from './setup/node.mjs';
import { serverFlags } from './setup/server-flags.mjs';
import { root, setUp } from './setup/set-up.mjs';

const node = await setUp();
const env = withCompileCache(root, withNode(node));
process.exitCode = await launch(node, [...serverFlags, join(root, 'src', 'cli.ts'), ...process.argv.slice(2)], { env });
