// Reads the voice-activity network that ships: its manifest and weights, checked.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, UndertoneError } from '../errors.ts';
import { voiceInputCount } from './voice-inputs.ts';
import { VoiceNetwork, voiceWeightCount } from './voice-network.ts';

const manifestSchema = z.object({
  format: z.literal('undertone-vad/1'),
  inputs: z.literal(voiceInputCount),
  dense: z.int().min(8).max(256).multipleOf(8),
  hidden: z.int().min(8).max(256).multipleOf(8),
  weights: z.object({ path: z.string().regex(/^[\w-][\w.-]*$/), sha256: z.string().regex(/^[0-9a-f]{64}$/) }),
});

const shipped = new URL('../../assets/models/vad/', import.meta.url);
let network: VoiceNetwork | null = null;

/** The network of `assets/models/vad`, read once. @throws UndertoneError where its files are missing or changed. */
export function shippedVoiceNetwork(): VoiceNetwork {
  network ??= readVoiceNetwork(shipped);
  return network;
}

/** @param folder URL that ends in `/`. @throws UndertoneError where manifest or weights are not as expected. */
export function readVoiceNetwork(folder: URL): VoiceNetwork {
  try {
    const manifest = manifestSchema.parse(JSON.parse(readFileSync(new URL('manifest.json', folder), 'utf8')));
    const bytes = readFileSync(new URL(manifest.weights.path, folder));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== manifest.weights.sha256) throw new Error(`Expected weights of SHA-256 ${manifest.weights.sha256}, got ${sha256}`);
    const count = voiceWeightCount(manifest);
    if (bytes.length !== 4 * count) throw new Error(`Expected ${count} weights, got ${bytes.length} bytes`);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    return new VoiceNetwork(
      manifest,
      Float32Array.from({ length: count }, (_, i) => view.getFloat32(4 * i, true)),
    );
  } catch (cause) {
    throw new UndertoneError('UT_MODEL_INVALID', `Expected a voice-activity network in ${folder.href}, but: ${messageOf(cause)}`, {
      cause,
    });
  }
}
