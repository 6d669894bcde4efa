// Loads the configuration: defaults < file < environment < flags. Nothing else reads process.env.
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { messageOf, UndertoneError } from '../src/errors.ts';
import { configSchema, type Config } from './schema.ts';

/** Where settings come from; later ones win. */
export interface ConfigSources {
  /** Path of a JSON file, from `--config` or `UNDERTONE_CONFIG`. */
  readonly file?: string | undefined;
  /** The environment: `UNDERTONE_<SECTION>_<KEY>`, for instance `UNDERTONE_SERVER_PORT=9000`. @default none */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** What flags set, in the shape of the configuration. */
  readonly flags?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

type Settings = Record<string, Record<string, unknown>>;

const environmentPrefix = 'UNDERTONE_';
/** Variables of that prefix that are no settings: the file of them, and the Python of the training commands. */
const otherVariables = new Set(['UNDERTONE_CONFIG', 'UNDERTONE_PYTHON']);

/** @throws UndertoneError UT_CONFIG_INVALID that names each key at fault, what was expected and where it came from. */
export function loadConfig(sources: ConfigSources = {}): Config {
  const environment = sources.environment ?? {};
  const file = sources.file ?? environment['UNDERTONE_CONFIG'];
  const settings: Settings = {};
  if (file !== undefined) overlay(settings, check(readFile(file), file));
  overlay(settings, check(fromEnvironment(environment), 'the environment'));
  overlay(settings, check(sources.flags ?? {}, 'the command line'));
  return deepFreeze(configSchema.parse(settings));
}

/** The name of the environment variable of a setting. */
export function variableName(section: string, key: string): string {
  return `${environmentPrefix}${snake(section)}_${snake(key)}`;
}

/** Checks one source by itself, so that a fault is told with the place it came from; returns it as it was. */
function check(value: unknown, source: string): Settings {
  const result = configSchema.safeParse(value);
  if (!result.success) {
    throw new UndertoneError('UT_CONFIG_INVALID', `The configuration in ${source} is not valid:\n${z.prettifyError(result.error)}`);
  }
  return value as Settings;
}

function readFile(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    throw new UndertoneError('UT_CONFIG_INVALID', `Expected a JSON file at ${path}: ${messageOf(cause)}`, { cause });
  }
}

function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Settings {
  const variables = new Map<string, { section: string; key: string; schema: z.core.$ZodType }>();
  for (const [section, schema] of Object.entries(configSchema.shape)) {
    const inner = schema instanceof z.ZodPrefault ? schema.unwrap() : schema;
    if (!(inner instanceof z.ZodObject)) continue;
    const shape = Object.entries(inner.shape as z.core.$ZodShape);
    for (const [key, schema] of shape) variables.set(variableName(section, key), { section, key, schema });
  }
  const settings: Settings = {};
  for (const [name, text] of Object.entries(environment)) {
    if (text === undefined || !name.startsWith(environmentPrefix) || otherVariables.has(name)) continue;
    const setting = variables.get(name);
    if (setting === undefined) {
      const known = [...variables.keys()].join(', ');
      throw new UndertoneError('UT_CONFIG_INVALID', `Expected an environment variable of ${known}, got \`${name}\``);
    }
    (settings[setting.section] ??= {})[setting.key] = parseVariable(text, setting.schema);
  }
  return settings;
}

/** As text where the setting takes it so, a call id of digits for instance; else numbers and booleans as such. */
function parseVariable(text: string, schema: z.core.$ZodType): string | number | boolean {
  if (z.safeParse(schema, text).success) return text;
  if (text === 'true') return true;
  if (text === 'false') return false;
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

function overlay(settings: Settings, from: Settings): void {
  for (const [section, values] of Object.entries(from)) {
    settings[section] = typeof values === 'object' ? { ...settings[section], ...values } : values;
  }
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) {
    if (typeof inner === 'object' && inner !== null) deepFreeze(inner as object);
  }
  return Object.freeze(value);
}
