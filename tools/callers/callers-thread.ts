// The thread of the simulated callers: one UDP socket, one timer, each packet due at a time fixed from the start.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import type { Caller } from './caller.ts';
import { createCasting } from './casting.ts';
import { TimerWheel } from './timer-wheel.ts';
import type { CallersThreadData, CallersThreadMessage, CallerSpec } from './types.ts';

interface Line {
  readonly caller: Caller;
  readonly spec: CallerSpec;
  /** When its first packet is due, on the monotonic clock. */
  readonly startMs: number;
}

const samplesPerMs = 16;
const packetMs = 20;

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
const wheel = new TimerWheel<Line>(nowMs);
for (const line of lines) wheel.put(line, dueMs(line));
let timer: NodeJS.Timeout | undefined;
let stopped = false;

port.once('message', () => {
  stopped = true;
  clearTimeout(timer);
  report({
    type: 'stopped',
    totals: lines.map(({ caller }) => ({ participantId: caller.participantId, packets: caller.packets, clips: caller.clips })),
  });
  socket.close();
  port.close();
});
report({ type: 'started' });
tick();

/** Sends what is due, then sleeps until something is. Due times come from the start alone, so no delay adds up. */
function tick(): void {
  wheel.turn(performance.now(), (line) => {
    send(line);
    wheel.put(line, dueMs(line));
  });
  if (!stopped) timer = setTimeout(tick, Math.max(0, wheel.nextMs - performance.now()));
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
