// A process with the whole server and simulated callers in any number of calls, told what to do line by line.
import { createInterface } from 'node:readline';
import { loadConfig } from '../../config/load.ts';
import { createApp } from '../../src/app.ts';
import { createLogger } from '../../src/log.ts';
import { findWorkerBin } from '../../src/sfu/worker-bin.ts';
import { startDemo, type Demo } from '../callers/demo-call.ts';
import type { CallsServerCommand, CallsServerMessage, CallsServerOptions } from './server-process.ts';

const { calls, settings } = JSON.parse(process.argv[2] ?? '') as CallsServerOptions;
const config = loadConfig({ flags: { ...settings, server: { port: 0 }, demo: { enabled: false } } });
const app = await createApp({ config, logger: createLogger(config.log.level), workerBin: findWorkerBin(process.env) });

const token = await app.tokens.issue({ call: '*', scope: 'read list ingest', ttlSeconds: 24 * 3600 });
const demos: Demo[] = [];
for (const call of calls) {
  demos.push(await startDemo({ sfu: app.sfu, ...call, onSaid: (said) => say({ type: 'said', callId: call.callId, said }) }));
}
say({ type: 'ready', url: `http://127.0.0.1:${app.port}`, token });

for await (const line of createInterface({ input: process.stdin })) {
  switch (line as CallsServerCommand) {
    case 'collect':
      // Twice: what only weak references held goes the second time.
      globalThis.gc?.();
      globalThis.gc?.();
      say({ type: 'collected', heapUsedBytes: process.memoryUsage().heapUsed });
      break;
    case 'hang-up':
      say({ type: 'hung-up', totals: (await Promise.all(demos.map((demo) => demo.stop()))).flat() });
  }
}
// Whoever started this process is done with it, or gone.
await Promise.all(demos.map((demo) => demo.stop()));
await app.close();

function say(message: CallsServerMessage): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}
