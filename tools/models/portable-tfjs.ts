// tfjs on the backends that run anywhere: they prove the network that a GPU's runs, and are compared with it.
import tf from '@tensorflow/tfjs-core';

/** Backends that need no GPU and no native code. */
export type PortableBackend = 'cpu' | 'wasm';

const packages = { cpu: () => import('@tensorflow/tfjs-backend-cpu'), wasm: () => import('@tensorflow/tfjs-backend-wasm') };

/** tfjs with that backend in force, in the whole thread. */
export async function portableTfjs(backend: PortableBackend): Promise<typeof tf> {
  // Else the pure JavaScript backend prints an advertisement.
  tf.env().set('IS_TEST', true);
  await packages[backend]();
  if (!(await tf.setBackend(backend))) throw new Error(`Expected tfjs's backend \`${backend}\` to start, got a failure`);
  return tf;
}
