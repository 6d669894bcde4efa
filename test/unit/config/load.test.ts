// Where settings come from, which source wins, and what is said of one that is wrong.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig, variableName, type ConfigSources } from '../../../config/load.ts';
import { defaultConfig, type Config } from '../../../config/schema.ts';
import { isUndertoneError } from '../../../src/errors.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'undertone-config-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A configuration file with this content. */
function fileOf(content: unknown, name = 'settings.json'): string {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

/** What is said of sources that must be refused. */
function refusalOf(sources: ConfigSources): string {
  try {
    loadConfig(sources);
  } catch (error) {
    if (isUndertoneError(error) && error.code === 'UT_CONFIG_INVALID') return error.message;
    throw error;
  }
  throw new Error('Expected the configuration to be refused');
}

describe('defaults', () => {
  it('are what stands in default.json', () => {
    const { $schema, ...defaults } = defaultConfig();
    expect($schema).toBe('./schema.json');
    expect(loadConfig()).toEqual(defaults);
  });

  it('are what an empty file, an empty environment and no flags give', () => {
    expect(loadConfig({ file: fileOf({}), environment: {}, flags: {} })).toEqual(loadConfig());
  });

  it('listen on loopback, score on the CPU in a private store, and measure only who opted in', () => {
    expect(loadConfig()).toMatchObject({
      server: { host: '127.0.0.1', port: 8080 },
      timeline: { store: 'memory' },
      policy: { profile: 'personal' },
      demo: { enabled: true, callId: 'demo' },
    });
    expect(loadConfig().auth.secret).toBeUndefined();
  });
});

describe('sources', () => {
  const file = { server: { port: 1001, host: '127.0.0.2' }, demo: { callers: 2 }, log: { level: 'warn' } };
  const environment = { UNDERTONE_SERVER_PORT: '1002', UNDERTONE_DEMO_ENABLED: 'false', UNDERTONE_SMOOTHING_ALPHA: '0.5' };

  it('win in the order file, environment, flags, key by key', () => {
    const config = loadConfig({ file: fileOf(file), environment, flags: { server: { port: 1003 }, log: {} } });
    expect(config.server).toEqual({ port: 1003, host: '127.0.0.2' });
    expect(config.demo).toMatchObject({ callers: 2, enabled: false, callId: 'demo' });
    expect(config.smoothing.alpha).toBe(0.5);
    expect(config.log.level).toBe('warn');
    expect(loadConfig({ file: fileOf(file), environment }).server.port).toBe(1002);
    expect(loadConfig({ file: fileOf(file) }).server.port).toBe(1001);
  });

  it('take the file from the environment, unless a flag names another', () => {
    const named = fileOf({ server: { port: 2001 } }, 'named.json');
    const flagged = fileOf({ server: { port: 2002 } }, 'flagged.json');
    expect(loadConfig({ environment: { UNDERTONE_CONFIG: named } }).server.port).toBe(2001);
    expect(loadConfig({ file: flagged, environment: { UNDERTONE_CONFIG: named } }).server.port).toBe(2002);
  });

  it('accept default.json itself', () => {
    expect(loadConfig({ file: join(import.meta.dirname, '../../../config/default.json') })).toMatchObject(loadConfig());
  });

  it('pass over variables of other programs', () => {
    expect(loadConfig({ environment: { PORT: '1', UNDERTON_X: '1', undertone_server_port: '1', HOME: '/root' } })).toEqual(loadConfig());
  });

  it('name each variable after its section and key', () => {
    expect(variableName('batching', 'maxQueueMs')).toBe('UNDERTONE_BATCHING_MAX_QUEUE_MS');
    expect(loadConfig({ environment: { UNDERTONE_BATCHING_MAX_QUEUE_MS: '35.5' } }).batching.maxQueueMs).toBe(35.5);
  });

  it.each(['42', 'true', '007', '-1.5'])('keep the text %s where text is wanted', (text) => {
    expect(loadConfig({ environment: { UNDERTONE_DEMO_CALL_ID: text } }).demo.callId).toBe(text);
    expect(loadConfig({ environment: { UNDERTONE_TIMELINE_KEY_PREFIX: text } }).timeline.keyPrefix).toBe(text);
  });

  it('keep a secret of digits as it is', () => {
    const secret = '0123456789'.repeat(4);
    expect(loadConfig({ environment: { UNDERTONE_AUTH_SECRET: secret } }).auth.secret).toBe(secret);
  });
});

describe('what is loaded', () => {
  it('is frozen, each section too', () => {
    const config: Config = loadConfig({ flags: { demo: { callers: 3 } } });
    expect(Object.isFrozen(config)).toBe(true);
    for (const section of Object.values(config)) expect(Object.isFrozen(section)).toBe(true);
    expect(() => Object.assign(config.server, { port: 1 })).toThrow(TypeError);
  });

  it('does not share its sections with what was handed in', () => {
    const flags = { server: { port: 1234 } };
    const config = loadConfig({ flags });
    flags.server.port = 4321;
    expect(config.server.port).toBe(1234);
    expect(Object.isFrozen(flags.server)).toBe(false);
  });
});

describe('a key that is not known', () => {
  it('is refused in a file, with its name and the file', () => {
    const file = fileOf({ server: { port: 1, prot: 2 } });
    const message = refusalOf({ file });
    expect(message).toContain('prot');
    expect(message).toContain('server');
    expect(message).toContain(file);
  });

  it('is refused as a section of a file', () => {
    expect(refusalOf({ file: fileOf({ sever: {} }) })).toContain('sever');
  });

  it('is refused in the environment, with the names that there are', () => {
    const message = refusalOf({ environment: { UNDERTONE_SERVER_PROT: '1' } });
    expect(message).toContain('UNDERTONE_SERVER_PROT');
    expect(message).toContain('environment');
    expect(message).toContain('UNDERTONE_SERVER_PORT');
  });

  it('is not the Python of the training commands in the environment', () => {
    expect(loadConfig({ environment: { UNDERTONE_PYTHON: '/usr/bin/python3' } })).toEqual(loadConfig({}));
  });

  it('is refused among flags', () => {
    const message = refusalOf({ flags: { server: { verbose: true } } });
    expect(message).toContain('verbose');
    expect(message).toContain('command line');
  });

  it('cannot slip in as a prototype', () => {
    expect(refusalOf({ file: fileOf('{"__proto__": {"server": {"port": 1}}}') })).toContain('__proto__');
    expect(refusalOf({ file: fileOf('{"server": {"__proto__": {"port": 1}}}') })).toContain('__proto__');
  });
});

describe('a value that does not fit', () => {
  it.each([
    ['a number as text', { server: { port: '8080' } }, 'server.port'],
    ['a port out of range', { server: { port: 65_536 } }, 'server.port'],
    ['a fraction of a port', { server: { port: 80.5 } }, 'server.port'],
    ['a short secret', { auth: { secret: 'short' } }, 'auth.secret'],
    ['another profile', { policy: { profile: 'none' } }, 'policy.profile'],
    ['a section that is none', { server: null }, 'server'],
    ['a section that is a list', { server: [] }, 'server'],
    ['a URL of another scheme', { timeline: { redisUrl: 'http://localhost' } }, 'timeline.redisUrl'],
    ['a call id with a slash', { demo: { callId: 'a/b' } }, 'demo.callId'],
    ['a ratio of zero', { demo: { talkRatio: 0 } }, 'demo.talkRatio'],
    ['an address that is none', { media: { listenIp: 'localhost' } }, 'media.listenIp'],
    ['a longest delay below the least', { pipeline: { minDelayMs: 300 } }, 'pipeline.maxDelayMs'],
  ])('is refused with its place and source: %s', (_what, content, place) => {
    const file = fileOf(content);
    const message = refusalOf({ file });
    expect(message).toContain(place);
    expect(message).toContain(file);
    expect(message).toMatch(/expected|must|too (big|small)|invalid/i);
  });

  it('is told for each of several at once', () => {
    const message = refusalOf({ file: fileOf({ server: { port: -1 }, log: { level: 'loud' } }) });
    expect(message).toContain('server.port');
    expect(message).toContain('log.level');
  });

  it('is refused in the environment too', () => {
    expect(refusalOf({ environment: { UNDERTONE_SERVER_PORT: 'http' } })).toMatch(/environment[^]*server\.port/);
    expect(refusalOf({ environment: { UNDERTONE_DEMO_ENABLED: 'yes' } })).toMatch(/environment[^]*demo\.enabled/);
    expect(refusalOf({ environment: { UNDERTONE_SERVER_PORT: '' } })).toMatch(/environment[^]*server\.port/);
  });

  it('is refused where the whole file is none', () => {
    for (const content of ['[]', 'null', '7', '"text"']) expect(refusalOf({ file: fileOf(content) })).toContain(folder);
  });

  it('is told of a file that is no JSON, or is not there', () => {
    const broken = fileOf('{"server": ', 'broken.json');
    expect(refusalOf({ file: broken })).toContain(broken);
    expect(refusalOf({ file: join(folder, 'none.json') })).toMatch(/none\.json[^]*ENOENT/);
  });
});
