// Reads a model's manifest, checks it and the file that it names, and maps it to what the front end needs.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { messageOf, UndertoneError } from '../errors.ts';
import type { FrontEndSpec } from '../pipeline/types.ts';
import type { ModelManifest } from './types.ts';

/** A manifest that was checked, and where its network lies. */
export interface LoadedModel {
  /** Deeply frozen. */
  readonly manifest: ModelManifest;
  /** Absolute path of the ONNX file, whose SHA-256 is the manifest's. */
  readonly onnxPath: string;
}

const melBands = 64;
const mfccCount = 40;
const featureCount = melBands + mfccCount;

const perFeature = (value: z.ZodNumber) => z.array(value).length(featureCount);
const text = z.string().min(1);

const manifestSchema = z
  .strictObject({
    format: z.literal('undertone-model/1'),
    name: z.string().regex(/^[a-z0-9][a-z0-9.-]*$/, 'expected lower-case letters, digits, dots and hyphens'),
    version: text,
    labels: z
      .array(z.string().regex(/^[a-z][a-z-]*$/, 'expected a lower-case word'))
      .min(2)
      .refine((labels) => new Set(labels).size === labels.length, 'expected each label once')
      .refine((labels) => !labels.includes('uncertain'), '`uncertain` is not a class: it is said of any of them'),
    sampleRateHz: z.literal(16_000),
    hopSamples: z.literal(160),
    melBands: z.literal(melBands),
    mfccCount: z.literal(mfccCount),
    windowFrames: z.int().min(1).max(3000),
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
    uncertainBelow: z.number().min(0).lt(1),
    files: z.strictObject({
      onnx: z.strictObject({
        path: z.string().regex(/^[\w-][\w.-]*\.onnx$/, 'expected the name of an .onnx file beside the manifest'),
        sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 lower-case hexadecimal digits'),
      }),
    }),
    trainedOn: text,
    license: text,
  })
  .superRefine((manifest, context) => {
    for (const key of ['hopFrames', 'minSpeechFrames'] as const) {
      const input = manifest[key];
      if (input > manifest.windowFrames) {
        const message = `expected at most windowFrames = ${String(manifest.windowFrames)}`;
        context.addIssue({ code: 'custom', path: [key], input, message });
      }
    }
  });

/**
 * Loads `manifest.json` from a model's folder and verifies the ONNX file beside it. Rejects with UT_MODEL_MISSING
 * where a file cannot be read, and UT_MODEL_INVALID where one is not what it should be.
 */
export async function loadManifest(dir: string): Promise<LoadedModel> {
  const manifestPath = join(resolve(dir), 'manifest.json');
  const manifest = parseManifest(await read(manifestPath, "a model's manifest"), manifestPath);
  const onnxPath = join(resolve(dir), manifest.files.onnx.path);
  const sha256 = createHash('sha256')
    .update(await read(onnxPath, "the model's network"))
    .digest('hex');
  if (sha256 !== manifest.files.onnx.sha256) {
    throw new UndertoneError(
      'UT_MODEL_INVALID',
      `Expected the SHA-256 of \`${onnxPath}\` to be \`${manifest.files.onnx.sha256}\` as its manifest says, got \`${sha256}\`. ` +
        'The file is damaged or belongs to another version: restore both from the same commit or training run.',
    );
  }
  return { manifest, onnxPath };
}

/** The numbers of the manifest that fix the front end. */
export function frontEndSpec(manifest: ModelManifest): FrontEndSpec {
  const { windowFrames, hopFrames, minSpeechFrames, normalization } = manifest;
  return {
    windowFrames,
    hopFrames,
    minSpeechFrames,
    prior: { ...normalization, mean: Float32Array.from(normalization.mean), std: Float32Array.from(normalization.std) },
  };
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
  const result = manifestSchema.safeParse(json, { reportInput: true });
  if (!result.success) {
    const faults = result.error.issues.map(describe).join('; ');
    throw new UndertoneError(
      'UT_MODEL_INVALID',
      `Expected \`${path}\` to be a manifest of format undertone-model/1, got faults: ${faults}`,
    );
  }
  return deepFreeze(result.data);
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
