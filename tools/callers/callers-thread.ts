// The thread of the simulated callers: one UDP socket, one timer, each packet due at a time fixed from the start.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Caller } from './caller.ts';
import { createCasting } from './casting.ts';
import type { CallersThreadData, CallersThreadMessage, CallerSpec } from './types.ts';

interface Line {
  readonly caller: Caller;
  readonly spec: CallerSpec;
  /** When its first packet is due, on the monotonic clock. */
  readonly startMs: number;
}

const samplesPerMs = 16;
const packetMs = 20;

/** Packets of one caller sent in one go after the thread was held up; the rest follows at once, after the socket had its turn. */
const maxBurstPackets = 50;

if (parentPort === null) throw new Error('Expected to run as a worker thread');
const port = parentPort;
const report = (message: CallersThreadMessage): void => {
  port.postMessage(message);
};

const { callers, talkRatio } = workerData as CallersThreadData;
const cast = callers.map(createCasting(talkRatio));
const socket = createSocket(callers.some(({ remote }) => remote.ip.includes(':')) ? 'udp6' : 'udp4');
// A remote that is gone answers with ICMP; the caller goes on, as one behind a real network would.
socket.on('error', () => undefined);
socket.bind();
await once(socket, 'listening');

const nowMs = performance.now();
// Spread over one packet's time, as callers who know nothing of each other are.
const lines: Line[] = cast.map((caller, index) => ({
  caller: caller.caller,
  spec: caller.spec,
  startMs: nowMs + (index * packetMs) / cast.length,
}));
let timer: NodeJS.Timeout | NodeJS.Immediate | undefined;
let stopped = false;

port.once('message', () => {
  stopped = true;
  clearTimeout(timer as NodeJS.Timeout);
  clearImmediate(timer as NodeJS.Immediate);
  report({
    type: 'stopped',
    totals: lines.map(({ caller }) => ({ participantId: caller.participantId, packets: caller.packets, clips: caller.clips })),
  });
  socket.close();
  port.close();
});
report({ type: 'started' });
tick();

/** Sends what is due, then sleeps until the next packet is. Due times come from the start alone, so no delay adds up. */
function tick(): void {
  let nextMs = Infinity;
  for (const line of lines) {
    for (let burst = 0; burst < maxBurstPackets && dueMs(line) <= performance.now(); burst++) send(line);
    nextMs = Math.min(nextMs, dueMs(line));
  }
  if (stopped) return;
  const waitMs = nextMs - performance.now();
  timer = waitMs > 0 ? setTimeout(tick, waitMs) : setImmediate(tick);
}

function dueMs({ caller, startMs }: Line): number {
  return startMs + caller.positionSamples / samplesPerMs;
}

function send({ caller, spec }: Line): void {
  const { rtp, began } = caller.next();
  socket.send(rtp, spec.remote.port, spec.remote.ip);
  if (began === null) return;
  report({
    type: 'said',
    said: { participantId: spec.participantId, ...began, startedAtUnixMs: performance.timeOrigin + performance.now() },
  });
}
