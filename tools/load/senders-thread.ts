// The thread of a load test's callers: one UDP socket, one timer wheel, each packet due at a time fixed from the caller's start.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../src/clock.ts';
import { TimerWheel } from '../callers/timer-wheel.ts';
import { Casting, type Arriving, type CallerStream } from './caller-stream.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import type { Sender, SendersCommand, SendersData, SendersReport, SentTotals } from './senders.ts';

interface Line {
  readonly sender: Sender;
  readonly stream: CallerStream;
  next: Arriving;
  packets: number;
  comfortNoise: number;
  readonly heldUp: number[];
  stopped: boolean;
}

const reportIntervalMs = 1000;
/** Shortest sleep: what falls due meanwhile goes out together, because waking up costs more than sending. */
const leastSleepMs = 2;
/** With the packet before it in time, the server waits 20 ms longer than this. */
const longHoldMs = 200;

if (parentPort === null) throw new Error('Expected to run as a worker thread');
const port = parentPort;
const { cast, ipv6 } = workerData as SendersData;
const casting = new Casting(cast);
const family = ipv6 ? 6 : 4;
const socket = createSocket({
  type: ipv6 ? 'udp6' : 'udp4',
  // Addresses are numbers already: Node would look up each of them for every packet.
  lookup: (address, _options, callback) => {
    callback(null, address, family);
  },
});
// A remote that is gone answers with ICMP; the callers go on, as they would behind a real network.
socket.on('error', () => undefined);
// Without a look-up it listens at once.
const listening = once(socket, 'listening');
socket.bind();
await listening;

const lines = new Map<string, Line>();
const wheel = new TimerWheel<Line>(systemClock.nowMs());
const late = new LatencyHistogram();
let timer: NodeJS.Timeout | undefined;
let sent = 0;
let cpuBefore = process.threadCpuUsage();

const reporting = setInterval(() => {
  const { user, system } = process.threadCpuUsage(cpuBefore);
  cpuBefore = process.threadCpuUsage();
  report({ type: 'sent', packets: sent, late: late.data, cpuMs: (user + system) / 1000 });
  sent = 0;
  late.reset();
}, reportIntervalMs);

port.on('message', (command: SendersCommand) => {
  if (command.type === 'start') start(command.sender);
  else if (command.type === 'stop') report({ type: 'stopped', request: command.request, totals: command.participantIds.flatMap(stop) });
  else {
    clearTimeout(timer);
    clearInterval(reporting);
    socket.close();
    port.close();
  }
});
report({ type: 'ready' });

function start(sender: Sender): void {
  const stream = casting.streamOf(sender.caller);
  const line: Line = { sender, stream, next: stream.next(), packets: 0, comfortNoise: 0, heldUp: [], stopped: false };
  lines.set(sender.caller.participantId, line);
  wheel.put(line, dueMs(line));
  sleep();
}

function stop(participantId: string): SentTotals[] {
  const line = lines.get(participantId);
  if (line === undefined) return [];
  line.stopped = true;
  lines.delete(participantId);
  return [{ participantId, packets: line.packets, comfortNoise: line.comfortNoise, lost: line.stream.lost, heldUp: line.heldUp }];
}

/** Sends what is due, then sleeps until something is. Due times come from the callers' starts alone, so no delay adds up. */
function tick(): void {
  const nowMs = systemClock.nowMs();
  wheel.turn(nowMs, (line) => {
    if (line.stopped) return;
    const lateMs = nowMs - dueMs(line);
    late.add(lateMs);
    if (lateMs > longHoldMs) line.heldUp.push(line.packets);
    send(line);
    wheel.put(line, dueMs(line));
  });
  sleep();
}

function sleep(): void {
  clearTimeout(timer);
  const { nextMs } = wheel;
  if (nextMs === Infinity) return;
  timer = setTimeout(tick, Math.max(leastSleepMs, nextMs - systemClock.nowMs()));
}

function send(line: Line): void {
  const { remote } = line.sender;
  socket.send(line.next.rtp, remote.port, remote.ip);
  line.packets += 1;
  if (line.next.comfortNoise) line.comfortNoise += 1;
  sent += 1;
  line.next = line.stream.next();
}

function dueMs({ sender, next }: Line): number {
  return sender.startUnixMs + next.atMs;
}

function report(message: SendersReport): void {
  port.postMessage(message);
}
