// The thread of a load test's subscribers: follows calls over WebSocket and times each event as it comes.
import { parentPort, workerData } from 'node:worker_threads';
import type { ServerMessage } from '../../src/gateway/protocol.ts';
import { TimelineSocket } from '../bench/timeline-socket.ts';
import { HopWatch } from './hop-watch.ts';
import { LatencyHistogram } from './latency-histogram.ts';
import { SeqWatch } from './seq-watch.ts';
import type { SubscribersCommand, SubscribersData, SubscribersReport } from './subscribers.ts';

if (parentPort === null) throw new Error('Expected to run as a worker thread');
const port = parentPort;
const { serverUrl, token, sockets, hopMs } = workerData as SubscribersData;
const reportIntervalMs = 1000;

/** The first socket that follows a call counts its points; the others see them once more each. */
const counting = new Set<string>();
const watches: SeqWatch[] = [];
const open: TimelineSocket[] = [];
const points = new Map<string, number>();
const second = new LatencyHistogram();
const measured = new LatencyHistogram();
let measuring: { readonly fromUnixMs: number; readonly toUnixMs: number } | null = null;
const toEnd = new Set<string>();
let events = 0;
let total = 0;
let gapEvents = 0;
const hops = new HopWatch(hopMs);
const widened = { points: 0, widestMs: hopMs, waitedMs: 0 };
const thisSecond: { hopMs: number | null; waitedMs: number } = { hopMs: null, waitedMs: 0 };
const faults: string[] = [];

for (const callIds of sockets) {
  const watch = new Map(callIds.map((callId) => [callId, new SeqWatch()]));
  watches.push(...watch.values());
  const counts = new Set(callIds.filter((callId) => !counting.has(callId)));
  for (const callId of callIds) counting.add(callId);
  const answered = new Set<string>();
  await new Promise<void>((resolve, reject) => {
    TimelineSocket.connect({
      serverUrl,
      token,
      onMessage: (message, atUnixMs) => {
        if (message.type === 'subscribed') {
          answered.add(message.call.callId);
          if (answered.size === callIds.length) resolve();
        }
        if (message.type === 'error') reject(new Error(`Expected to follow calls, got ${message.code}: ${message.message}`));
        take(message, atUnixMs, watch, counts);
      },
      onLost: (reason) => {
        faults.push(`a subscriber's socket ended: ${reason}`);
        reject(new Error(`Expected to follow calls, got the end of the socket: ${reason}`));
      },
    }).then((socket) => {
      open.push(socket);
      for (const callId of callIds) socket.subscribe(callId);
    }, reject);
  });
}
for (const callId of counting) toEnd.add(callId);

const reporting = setInterval(reportSecond, reportIntervalMs);
port.on('message', (command: SubscribersCommand) => {
  if (command.type === 'measure') measuring = command;
  else {
    clearInterval(reporting);
    reportSecond();
    for (const socket of open) socket.close();
    const sum = (count: (watch: SeqWatch) => number): number => watches.reduce((all, watch) => all + count(watch), 0);
    report({
      type: 'totals',
      points,
      latency: measured.data,
      gapEvents,
      leftOut: hops.leftOut,
      hopMs: { model: hopMs, widest: widened.widestMs },
      widenedPoints: widened.points,
      waitedMs: widened.waitedMs,
      seqGaps: sum(({ gaps }) => gaps),
      duplicates: sum(({ duplicates }) => duplicates),
      skipped: sum(({ skipped }) => skipped),
      faults,
    });
    port.close();
  }
});
report({ type: 'ready' });

function take(message: ServerMessage, atUnixMs: number, watch: ReadonlyMap<string, SeqWatch>, counts: ReadonlySet<string>): void {
  if (message.type === 'event') {
    const { event } = message;
    events += 1;
    const isNew = watch.get(event.callId)?.event(event.epoch, event.seq) === true;
    if (!isNew) return;
    if (event.type === 'point') {
      const latencyMs = atUnixMs - event.arrivedAtUnixMs;
      second.add(latencyMs);
      if (isMeasured(atUnixMs)) measured.add(latencyMs);
    }
    if (!counts.has(event.callId)) return;
    hops.take(event);
    if (event.type === 'point') {
      takeHop(event.hopMs, atUnixMs);
      total += 1;
      points.set(event.participantId, (points.get(event.participantId) ?? 0) + 1);
    } else if (event.type === 'gap') {
      gapEvents += 1;
      if (event.reason === 'waiting') takeWait(event.atMs - event.startMs, atUnixMs);
    } else if (event.type === 'end') {
      toEnd.delete(event.callId);
      if (toEnd.size === 0) report({ type: 'ended' });
    }
  } else if (message.type === 'subscribed') {
    watch.get(message.call.callId)?.subscribed(message.call.epoch, message.nextSeq);
  } else if (message.type === 'skipped') {
    watch.get(message.callId)?.leftOut(message.fromSeq, message.toSeq);
  } else if (message.type === 'resync') {
    watch.get(message.callId)?.resync(message.epoch, message.nextSeq);
  }
}

function takeHop(ms: number, atUnixMs: number): void {
  thisSecond.hopMs = Math.max(thisSecond.hopMs ?? 0, ms);
  if (!isMeasured(atUnixMs) || ms <= hopMs) return;
  widened.points += 1;
  widened.widestMs = Math.max(widened.widestMs, ms);
}

function takeWait(ms: number, atUnixMs: number): void {
  thisSecond.waitedMs += ms;
  if (isMeasured(atUnixMs)) widened.waitedMs += ms;
}

function isMeasured(atUnixMs: number): boolean {
  return measuring !== null && atUnixMs >= measuring.fromUnixMs && atUnixMs < measuring.toUnixMs;
}

function reportSecond(): void {
  report({ type: 'heard', events, points: total, latency: second.data, ...thisSecond });
  thisSecond.hopMs = null;
  thisSecond.waitedMs = 0;
  events = 0;
  second.reset();
}

function report(message: SubscribersReport): void {
  port.postMessage(message);
}
