// A gateway in a process of its own, for tests: obeys its parent's messages and answers each with what came of it.
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createTokens } from '../../../src/gateway/auth.ts';
import { Gateway } from '../../../src/gateway/gateway.ts';
import { RedisTimelineStore } from '../../../src/gateway/redis-store.ts';
import { createMetrics } from '../../../src/metrics.ts';
import { arrival, point, silentLogger } from '../../support/timeline.ts';

/** What the parent may ask for. */
export type NodeCommand =
  | { readonly do: 'open'; readonly callId: string }
  /** Writes points until the call has `lastSeq` events, `burst` at a time. */
  | { readonly do: 'write'; readonly callId: string; readonly lastSeq: number; readonly burst: number }
  | { readonly do: 'end'; readonly callId: string }
  | { readonly do: 'close' };

const [redisUrl = '', nodeId = '', secret = ''] = process.argv.slice(2);
const store = await RedisTimelineStore.create({ url: redisUrl, logger: silentLogger, ownerTtlMs: 1500 });
const gateway = Gateway.create({ store, tokens: createTokens({ secret }), metrics: createMetrics(), logger: silentLogger, nodeId });
const server = createServer((request, response) => gateway.handleRequest(request, response));
server.on('upgrade', (request, socket, head) => {
  if (!gateway.handleUpgrade(request, socket, head)) socket.destroy();
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');

process.on('message', (command: NodeCommand) => {
  obey(command).then(
    (result) => process.send?.({ result }),
    (error: unknown) => process.send?.({ error: String(error) }),
  );
});
process.on('disconnect', () => process.exit());
process.send?.({ port: (server.address() as AddressInfo).port });

async function obey(command: NodeCommand): Promise<unknown> {
  switch (command.do) {
    case 'open': {
      const timeline = gateway.openCall({ callId: command.callId, purpose: 'support', region: 'eu', startedAtUnixMs: Date.now() });
      for (const draft of arrival('p1')) timeline.write(draft);
      await timeline.flush();
      return timeline.summary;
    }
    case 'write': {
      const timeline = gateway.timelineOf(command.callId);
      if (timeline === undefined) throw new Error('no such call');
      let seq = timeline.summary.lastSeq;
      while (seq < command.lastSeq) {
        for (let count = 0; count < command.burst && seq < command.lastSeq; count++) timeline.write(point('p1', ++seq * 250));
        await timeline.flush();
      }
      return timeline.summary;
    }
    case 'end': {
      const timeline = gateway.timelineOf(command.callId);
      await timeline?.end('closed');
      return timeline?.summary;
    }
    case 'close':
      await gateway.close();
      await store.close();
      server.close();
      return null;
  }
}
