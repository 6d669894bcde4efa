// Compares where speech was heard with where the callers' own log says that they began to speak.
import type { Said } from '../../tools/callers/types.ts';
import { median, robustSlope } from '../../tools/bench/statistics.ts';
import type { TimelineEvent } from '../../src/gateway/types.ts';

/** One play of a clip. */
interface Play {
  /** Caller and clip: plays of one key are alike. */
  readonly key: string;
  /** When the clip began, s since the caller's first packet. */
  readonly atSeconds: number;
  /** From the clip's first sample, by the caller's clock, to the start of speech, by the timeline, ms. */
  readonly residualMs: number;
}

/** How far the timeline's clock and the callers' clocks moved apart. */
export interface Drift {
  readonly plays: number;
  /** Plays in which no start of speech was found. */
  readonly unheard: number;
  /** Fitted over the whole run, after taking off each clip's own median, ms. */
  readonly trendMs: number;
  /** By how much the median of a caller's clip in the last third differs from that in the first third, ms; each pair once. */
  readonly shiftsMs: readonly number[];
}

const toleranceMs = 100;
/** The callers' packets hold 20 ms each. */
const packetSamples = 320;

/** Follows the drift over `seconds`. */
export function measureDrift(said: readonly Said[], events: readonly TimelineEvent[], callStartedAtUnixMs: number, seconds: number): Drift {
  const plays = [...Map.groupBy(said, ({ participantId }) => participantId)].flatMap(([participantId, own]) =>
    playsOf(
      own,
      events.flatMap((event) =>
        event.type === 'speech' && event.state === 'start' && event.participantId === participantId ? [event.atMs] : [],
      ),
      callStartedAtUnixMs,
    ),
  );
  const byKey = Map.groupBy(plays, ({ key }) => key);
  const centred = [...byKey.values()].flatMap((alike) => {
    const middle = median(alike.map(({ residualMs }) => residualMs));
    return alike.map(({ atSeconds, residualMs }) => ({ x: atSeconds, y: residualMs - middle }));
  });
  const shiftsMs = [...byKey.values()].flatMap((alike) => {
    const first = alike.filter(({ atSeconds }) => atSeconds < seconds / 3);
    const last = alike.filter(({ atSeconds }) => atSeconds >= (2 * seconds) / 3);
    if (first.length === 0 || last.length === 0) return [];
    return [median(last.map(({ residualMs }) => residualMs)) - median(first.map(({ residualMs }) => residualMs))];
  });
  return { plays: plays.length, unheard: said.length - plays.length, trendMs: robustSlope(centred) * seconds, shiftsMs };
}

/** When a caller's first packet went out, ms since the call opened: what is late in the log was sent late, so the least counts. */
export function callerStartMs(own: readonly Said[], callStartedAtUnixMs: number): number {
  // The log says when a clip's first packet went out, and where its first sample lies within that packet.
  const packetSample = (startSample: number): number => startSample - (startSample % packetSamples);
  return Math.min(...own.map(({ startedAtUnixMs, startSample }) => startedAtUnixMs - packetSample(startSample) / 16)) - callStartedAtUnixMs;
}

function playsOf(own: readonly Said[], starts: readonly number[], callStartedAtUnixMs: number): Play[] {
  const startMs = callerStartMs(own, callStartedAtUnixMs);
  return own.flatMap(({ participantId, clip, startSample, durationSamples }) => {
    const beganMs = startMs + startSample / 16;
    const heardMs = starts.find((atMs) => atMs >= beganMs - toleranceMs && atMs <= beganMs + durationSamples / 16);
    if (heardMs === undefined) return [];
    return [{ key: `${participantId} ${clip}`, atSeconds: startSample / 16_000, residualMs: heardMs - beganMs }];
  });
}
