// Names that the inputs and outputs of a model's networks have, whichever runtime runs them.
import { UndertoneError } from '../errors.ts';

/** Names of a network's inputs and outputs, sorted. */
interface Ports {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

export const trunkPorts: Ports = { inputs: ['features', 'mask', 'state'], outputs: ['next', 'steps'] };
export const headPorts: Ports = { inputs: ['steps'], outputs: ['logits'] };

/** Throws UT_MODEL_INVALID unless the network has them. */
export function expectPorts(path: string, network: Ports, ports: Ports): void {
  const expected = `inputs ${ports.inputs.join(', ')} and outputs ${ports.outputs.join(', ')}`;
  const got = `inputs ${network.inputs.toSorted().join(', ')} and outputs ${network.outputs.toSorted().join(', ')}`;
  if (got !== expected) throw new UndertoneError('UT_MODEL_INVALID', `Expected \`${path}\` to have ${expected}, got ${got}`);
}
