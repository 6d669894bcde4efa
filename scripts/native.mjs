// Command: `npm run build:native` compiles what of the network's kernel is native; set-up does it too.
import { buildNative, canBuildNative, nativeIsBuilt, nativeIsForHere } from './setup/native.mjs';
import { root } from './setup/set-up.mjs';

if (!canBuildNative()) {
  const got = `${process.platform}-${process.arch}${nativeIsForHere ? ' without `cc`' : ''}`;
  console.error(`Expected linux-x64 with a C compiler, got ${got}. WebAssembly serves in its place.`);
  process.exitCode = 1;
} else if (!nativeIsBuilt(root) && !(await buildNative(root))) process.exitCode = 1;
