// Reads a model's manifest, checks it and the files that it names, and maps it to what front end and engines need.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, UndertoneError } from '../errors.ts';
import type { FrontEndSpec } from '../pipeline/types.ts';
import type { StreamShape } from './session.ts';
import type { ModelFile, ModelManifest } from './types.ts';

/** The networks of a model. */
export type NetworkName = keyof ModelManifest['files'];

/** A manifest that was checked, and where its networks lie. */
export interface LoadedModel {
  /** Deeply frozen. */
  readonly manifest: ModelManifest;
  /** Absolute paths of the ONNX files, whose SHA-256 are the manifest's. */
  readonly paths: Readonly<Record<Exclude<NetworkName, 'headInt8'>, string>> & { readonly headInt8?: string };
}

const melBands = 64;
/** Features of a frame: log-mel bands, and 40 cepstra or 13 and 27 numbers of the pitch. */
export const featureCount = 104;

const format = 'undertone-model/2';
/** Formats that once were, and what became of them. */
const formerFormats = new Map([
  [
    'undertone-model/1',
    'It names one network for whole windows; this version runs a trunk once a frame and a head once a window. ' +
      'Take the model of this checkout, or export the weights again with training/export.py.',
  ],
]);

const perFeature = (value: z.ZodNumber) => z.array(value).length(featureCount);
const text = z.string().min(1);
const networkFile = z.strictObject({
  path: z.string().regex(/^[\w-][\w.-]*\.onnx$/, 'expected the name of an .onnx file beside the manifest'),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits'),
});

const manifestSchema = z
  .strictObject({
    format: z.literal(format),
    name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'expected lower-case letters, digits, dots and hyphens'),
    version: text,
    network: text.exactOptional(),
    labels: z
      .array(z.string().regex(/^[a-z][a-z-]*$/, 'expected a lower-case word'))
      .min(2)
      .refine((labels) => new Set(labels).size === labels.length, 'expected each label once')
      .refine((labels) => !labels.includes('uncertain'), '`uncertain` is not a class: it is said of any of them'),
    sampleRateHz: z.literal(16_000),
    hopSamples: z.literal(160),
    melBands: z.literal(melBands),
    mfccCount: z.literal([13, 40]),
    pitchCount: z.literal([0, 27]).default(0),
    windowFrames: z.int().min(1).max(3000),
    contextFrames: z.int().min(0).max(3000),
    hopFrames: z.int().min(1),
    minSpeechFrames: z.int().min(1),
    normalization: z.strictObject({
      mean: perFeature(z.number()),
      std: perFeature(z.number().positive()),
      meanWeightFrames: z.number().positive(),
      stdWeightFrames: z.number().positive(),
      memoryFrames: z.number().positive(),
    }),
    temperature: z.number().positive(),
    verdictTemperature: z.number().positive(),
    verdictPower: z.number().min(0).max(16).default(0),
    uncertainBelow: z.number().min(0).lt(1),
    streaming: z.strictObject({
      strideFrames: z.int().min(1),
      stepSize: z.int().min(1).max(65_536),
      stateSize: z.int().min(1).max(1_048_576),
    }),
    files: z.strictObject({ trunk: networkFile, head: networkFile, whole: networkFile, headInt8: networkFile.exactOptional() }),
    trainedOn: text,
    license: text,
  })
  .superRefine((manifest, context) => {
    const { mfccCount, pitchCount } = manifest;
    if (melBands + mfccCount + pitchCount !== featureCount) {
      const message = `expected ${String(featureCount - melBands - mfccCount)} with mfccCount = ${String(mfccCount)}`;
      context.addIssue({ code: 'custom', path: ['pitchCount'], input: pitchCount, message });
    }
    for (const key of ['hopFrames', 'minSpeechFrames'] as const) {
      const input = manifest[key];
      if (input > manifest.windowFrames) {
        const message = `expected at most windowFrames = ${String(manifest.windowFrames)}`;
        context.addIssue({ code: 'custom', path: [key], input, message });
      }
    }
    const { strideFrames } = manifest.streaming;
    for (const key of ['windowFrames', 'contextFrames', 'hopFrames'] as const) {
      const input = manifest[key];
      if (input % strideFrames !== 0) {
        const message = `expected a multiple of strideFrames = ${String(strideFrames)}`;
        context.addIssue({ code: 'custom', path: [key], input, message });
      }
    }
  });

/**
 * Loads `manifest.json` from a model's folder and verifies the ONNX files beside it. Rejects with UT_MODEL_MISSING
 * where a file cannot be read, and UT_MODEL_INVALID where one is not what it should be.
 */
export async function loadManifest(dir: string): Promise<LoadedModel> {
  const manifestPath = join(resolve(dir), 'manifest.json');
  const manifest = parseManifest(await read(manifestPath, "a model's manifest"), manifestPath);
  const { trunk, head, whole, headInt8 } = manifest.files;
  const pathOf = (file: ModelFile): Promise<string> => verify(join(resolve(dir), file.path), file.sha256);
  const [trunkPath, headPath, wholePath, int8Path] = await Promise.all([
    ...([pathOf(trunk), pathOf(head), pathOf(whole)] as const),
    headInt8 && pathOf(headInt8),
  ]);
  const paths = { trunk: trunkPath, head: headPath, whole: wholePath };
  return { manifest, paths: int8Path === undefined ? paths : { ...paths, headInt8: int8Path } };
}

/** The numbers of the manifest that fix the front end. */
export function frontEndSpec(manifest: ModelManifest): FrontEndSpec {
  const { windowFrames, contextFrames, hopFrames, minSpeechFrames, pitchCount, normalization } = manifest;
  return {
    windowFrames,
    contextFrames,
    hopFrames,
    minSpeechFrames,
    pitch: pitchCount > 0,
    prior: { ...normalization, mean: Float32Array.from(normalization.mean), std: Float32Array.from(normalization.std) },
  };
}

/** The sizes of the manifest that the two networks of a stream must keep. */
export function streamShape(manifest: ModelManifest): StreamShape {
  const { windowFrames, contextFrames, hopFrames, streaming, labels } = manifest;
  return { ...streaming, windowFrames, contextFrames, hopFrames, featureCount, labelCount: labels.length };
}

/** The path, once the file there has that hash. */
async function verify(path: string, expected: string): Promise<string> {
  const sha256 = createHash('sha256')
    .update(await read(path, "the model's network"))
    .digest('hex');
  if (sha256 === expected) return path;
  throw new UndertoneError(
    'UT_MODEL_INVALID',
    `Expected the SHA-256 of \`${path}\` to be \`${expected}\` as its manifest says, got \`${sha256}\`. ` +
      'The file is damaged or belongs to another version: restore both from the same commit or training run.',
  );
}

async function read(path: string, what: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new UndertoneError(
      'UT_MODEL_MISSING',
      `Expected ${what} at \`${path}\`, got: ${messageOf(error)}. ` +
        'The model that ships lies in assets/models of a full checkout; training/ makes another.',
      { cause: error },
    );
  }
}

function parseManifest(bytes: Buffer, path: string): ModelManifest {
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw new UndertoneError('UT_MODEL_INVALID', `Expected \`${path}\` to be JSON, got: ${messageOf(error)}`, { cause: error });
  }
  const former = formerFormats.get(formatOf(json));
  if (former !== undefined) {
    throw new UndertoneError(
      'UT_MODEL_INVALID',
      `Expected \`${path}\` to be a manifest of format ${format}, got \`${formatOf(json)}\`. ${former}`,
    );
  }
  const result = manifestSchema.safeParse(json, { reportInput: true });
  if (!result.success) {
    const faults = result.error.issues.map(describe).join('; ');
    throw new UndertoneError('UT_MODEL_INVALID', `Expected \`${path}\` to be a manifest of format ${format}, got faults: ${faults}`);
  }
  return deepFreeze(result.data);
}

function formatOf(json: unknown): string {
  return typeof json === 'object' && json !== null && 'format' in json ? String(json.format) : '';
}

function describe(issue: z.core.$ZodIssue): string {
  const path = issue.path.map((key) => (typeof key === 'number' ? `[${String(key)}]` : `.${String(key)}`)).join('');
  const plain = ['string', 'number', 'boolean'].includes(typeof issue.input) || issue.input === null;
  return `\`${path.replace(/^\./, '') || 'manifest'}\`: ${issue.message}${plain ? `, got \`${String(issue.input)}\`` : ''}`;
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) Object.values(Object.freeze(value)).forEach(deepFreeze);
  return value;
}
