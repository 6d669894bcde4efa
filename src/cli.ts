// The stand-alone server: reads flags, starts the server and the demo call, prints where they are, ends on a signal.
import { parseArgs } from 'node:util';
import { loadConfig } from '../config/load.ts';
import { startDemo, type Demo } from '../tools/callers/demo-call.ts';
import { createApp, type App } from './app.ts';
import { isUndertoneError, messageOf } from './errors.ts';
import { createLogger } from './log.ts';
import { findWorkerBin } from './sfu/worker-bin.ts';

const usage = `Usage: npm start -- [options]

  --port N        port of pages, API and sockets (default 8080; 0 lets the system choose)
  --host ADDRESS  address to listen on (default 127.0.0.1; beyond loopback a secret is required)
  --config FILE   a JSON file of settings, see config/default.json
  --no-demo       no simulated callers
  --json          print one line of JSON once ready: url, callUrl, consoleUrl, callId, token
  --help          print this`;

const lobbyCallId = 'lobby';
const tokenTtlSeconds = 12 * 3600;
/** A part that hangs while closing must not keep the process. */
const closeLimitMs = 2800;

interface Flags {
  readonly json: boolean;
  readonly config: string | undefined;
  readonly settings: Record<string, Record<string, unknown>>;
}

async function main(): Promise<void> {
  const flags = readFlags();
  if (flags === null) return;
  const config = loadConfig({ file: flags.config, environment: process.env, flags: flags.settings });
  const logger = createLogger(config.log.level);
  const say = (line: string): void => {
    if (!flags.json) process.stdout.write(`${line}\n`);
  };

  // Before anything starts: mediasoup ends its own workers on a signal otherwise, under open taps.
  const running: { app?: App; demo?: Demo } = {};
  const stop = onSignal(async (signal) => {
    say(`\n${signal}: ending calls and closing sockets`);
    await running.demo?.stop();
    await running.app?.close();
  });

  say('Undertone: starting the model, the media workers and the pages');
  const workerBin = findWorkerBin(process.env);
  const app = await createApp({ config, logger, workerBin });
  running.app = app;
  if (stop.signalled()) return;

  const url = `http://${urlHost(config.server.host)}:${app.port}`;
  if (config.demo.enabled) {
    try {
      running.demo = await startDemo({ sfu: app.sfu, ...config.demo });
    } catch (error) {
      // A server that is closing takes no callers; a signal is no fault.
      if (stop.signalled()) return;
      throw error;
    }
  }
  if (stop.signalled()) return;
  const callId = config.demo.enabled ? config.demo.callId : lobbyCallId;
  const fragment = async (call: string, scope: string): Promise<string> =>
    app.development ? '' : `#token=${await app.tokens.issue({ call, scope, ttlSeconds: tokenTtlSeconds })}`;
  const callUrl = `${url}/call/?call=${lobbyCallId}${await fragment(lobbyCallId, 'join read')}`;
  const consoleUrl = `${url}/console/${await fragment('*', 'list read')}`;

  if (flags.json) {
    const token = await app.tokens.issue({ call: callId, scope: 'read list', ttlSeconds: tokenTtlSeconds });
    process.stdout.write(`${JSON.stringify({ url, callUrl, consoleUrl, callId, token })}\n`);
    return;
  }
  say(`Emotions are scored by EmoNet on the engine \`${app.engineName}\`.`);
  if (app.development) say('No secret is configured: one was made for this run, and pages of this machine get their tokens by themselves.');
  say('');
  say(`  call page   ${callUrl}`);
  say(`  console     ${consoleUrl}`);
  if (running.demo !== undefined) {
    say(`  demo call   ${url}/call/?call=${callId}${await fragment(callId, 'join read')}`);
    say('');
    say(`${running.demo.callers} simulated callers speak clips of CREMA-D in the demo call.`);
  }
  say('Ctrl-C ends the server.');
}

/** @throws Error with the usage where an option is unknown or lacks its value; null where help was asked for. */
function readFlags(): Flags | null {
  const options = {
    port: { type: 'string' },
    host: { type: 'string' },
    config: { type: 'string' },
    'no-demo': { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  } as const;
  let values;
  try {
    ({ values } = parseArgs({ options }));
  } catch (error) {
    throw new Error(`${messageOf(error)}\n\n${usage}`, { cause: error });
  }
  if (values.help === true) {
    process.stdout.write(`${usage}\n`);
    return null;
  }
  const server = {
    // What is no number stays as it is: the configuration says what it expected.
    ...(values.port === undefined ? {} : { port: /^\d+$/.test(values.port) ? Number(values.port) : values.port }),
    ...(values.host === undefined ? {} : { host: values.host }),
  };
  const demo = values['no-demo'] === true ? { enabled: false } : {};
  return { json: values.json === true, config: values.config, settings: { server, demo } };
}

/** Runs `work` on the first SIGINT or SIGTERM, then exits with 0; on a second, or after the limit, exits at once. */
function onSignal(work: (signal: string) => Promise<void>): { signalled(): boolean } {
  let signalled = false;
  const handle = (signal: NodeJS.Signals): void => {
    if (signalled) process.exit(1);
    signalled = true;
    setTimeout(() => process.exit(1), closeLimitMs).unref();
    work(signal).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`${messageOf(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', handle);
  process.on('SIGTERM', handle);
  return { signalled: () => signalled };
}

/** A host as it stands in a URL; loopback and "any address" by the name that browsers trust with a microphone. */
function urlHost(host: string): string {
  if (['127.0.0.1', '0.0.0.0', '::', '::1'].includes(host)) return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

main().catch((error: unknown) => {
  process.stderr.write(`${isUndertoneError(error) ? `${error.code}: ` : ''}${messageOf(error)}\n`);
  process.exit(1);
});
