// The generated defaults and JSON schema say the same as the schema that they are made from.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadConfig } from '../../../config/load.ts';
import { configSchema } from '../../../config/schema.ts';

const read = (name: string): string => readFileSync(new URL(`../../../config/${name}`, import.meta.url), 'utf8');

interface ObjectSchema {
  readonly type: string;
  readonly additionalProperties: boolean;
  readonly required?: readonly string[];
  readonly properties: Readonly<Record<string, ObjectSchema & { readonly description?: string; readonly default?: unknown }>>;
}

const schemaFile = JSON.parse(read('schema.json')) as ObjectSchema;

describe('config/default.json', () => {
  it('fits the JSON schema that it names', () => {
    expect(
      z.fromJSONSchema(schemaFile as Parameters<typeof z.fromJSONSchema>[0]).safeParse(JSON.parse(read('default.json'))).error,
    ).toBeUndefined();
  });

  it('holds every section and every setting that has a default', () => {
    const { $schema: _, ...sections } = schemaFile.properties;
    const defaults = JSON.parse(read('default.json')) as Record<string, Record<string, unknown>>;
    for (const [name, section] of Object.entries(sections)) {
      const withDefault = Object.entries(section.properties).flatMap(([key, setting]) => (setting.default === undefined ? [] : [key]));
      expect(Object.keys(defaults[name] ?? {}), name).toEqual(withDefault);
      for (const key of withDefault) expect(defaults[name]?.[key], `${name}.${key}`).toEqual(section.properties[key]?.default);
    }
  });
});

describe('config/schema.json', () => {
  it('describes every setting, and requires and lets through nothing else', () => {
    const { $schema: _, ...sections } = schemaFile.properties;
    expect(Object.keys(sections)).toEqual(Object.keys(loadConfig()));
    for (const object of [schemaFile, ...Object.values(sections)]) {
      expect(object).toMatchObject({ type: 'object', additionalProperties: false });
      expect(object.required ?? []).toEqual([]);
    }
    for (const section of Object.values(sections)) {
      for (const [key, setting] of Object.entries(section.properties)) expect(setting.description, key).toMatch(/\w.*\.$/);
    }
  });

  it.each([
    { server: { port: 70_000 } },
    { server: { port: 'x' } },
    { sever: {} },
    { server: { prot: 1 } },
    { policy: { profile: 'none' } },
    { timeline: { redisUrl: 'http://x' } },
    { demo: { talkRatio: 0 } },
    { auth: { secret: 'short' } },
  ])('refuses what the server refuses: %j', (content) => {
    expect(configSchema.safeParse(content).success).toBe(false);
    expect(z.fromJSONSchema(schemaFile as Parameters<typeof z.fromJSONSchema>[0]).safeParse(content).success).toBe(false);
  });

  it.each([{}, { server: { port: 0 } }, { demo: {} }, { auth: { secret: 'x'.repeat(32) }, media: { listenIp: '::1' } }])(
    'accepts what the server accepts: %j',
    (content) => {
      expect(configSchema.safeParse(content).success).toBe(true);
      expect(z.fromJSONSchema(schemaFile as Parameters<typeof z.fromJSONSchema>[0]).safeParse(content).error).toBeUndefined();
    },
  );
});
