// By which way the packets of taps come in the whole server: the one that the configuration asks for, where it can be had.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { loadReaders } from '../../../src/sfu/rtp-reader.ts';
import { startDemo } from '../../../tools/callers/demo-call.ts';
import { startApp } from '../../support/server.ts';

/** UDP ports from 62000 on that one of these processes has bound to the loopback address. */
function tapPorts(pids: readonly number[]): number[] {
  const links = pids.flatMap((pid) => readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)));
  const rows = readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1);
  return rows.flatMap((row) => {
    const fields = row.trim().split(/\s+/);
    const [local = '', inode = ''] = [fields[1], fields[9]];
    const [address = '', port = ''] = local.split(':');
    return address === '0100007F' && parseInt(port, 16) >= 62_000 && links.includes(`socket:[${inode}]`) ? [parseInt(port, 16)] : [];
  });
}

describe.skipIf('reason' in loadReaders())('packets of taps come', () => {
  it.each([
    ['by UDP by default', {}, 1],
    ["by mediasoup's channel where that is asked for", { taps: 'channel' }, 0],
  ] as const)('%s', async (_, media, transports) => {
    const server = await startApp({ media });
    const demo = await startDemo({ sfu: server.app.sfu, callId: 'c', callers: 2, talkRatio: 0.95 });
    const live = await server.read('c');
    await live.events.first(() => live.all('point').length >= 3);
    // One for the call, not for each caller.
    expect(tapPorts(server.app.sfu.workerPids)).toHaveLength(transports);
    expect(await server.metric('undertone_tap_packets_dropped_total')).toBe(0);
    await demo.stop();
    await server.close();
  });
});
