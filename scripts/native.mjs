// Command: `npm run build:native` compiles what is native; set-up does it too.
import { buildNative, canBuildNative, nativeIsBuilt } from './setup/native.mjs';
import { root } from './setup/set-up.mjs';

if (!canBuildNative()) {
  console.error(
    `Expected Linux on x64 or arm64 with a C compiler (\`cc\`), got ${process.platform}-${process.arch} without one. The server does without.`,
  );
  process.exitCode = 1;
} else if (!nativeIsBuilt(root) && !(await buildNative(root))) process.exitCode = 1;
