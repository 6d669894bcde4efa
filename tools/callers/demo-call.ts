// The demo call: simulated callers join as plain RTP participants and speak.
import { startCallers, type Callers, type Said } from './callers.ts';
import { demoCast, readDemoManifest } from './demo.ts';

/** What the demo needs of an SFU. */
export interface DemoHost {
  addPlainParticipant(participant: {
    readonly callId: string;
    readonly participantId: string;
    readonly displayName: string;
    readonly role: string;
    readonly consent: 'granted';
    readonly ssrc: number;
    readonly payloadType: number;
    readonly mimeType: string;
  }): Promise<{ readonly ip: string; readonly port: number }>;
}

/** Options of {@link startDemo}. */
export interface DemoOptions {
  readonly sfu: DemoHost;
  readonly callId: string;
  /** Simulated callers. */
  readonly callers: number;
  /** Share of the time that one of them speaks, taking turns. @default each speaks as it likes */
  readonly talkRatio?: number | undefined;
  /** Called each time that a caller begins a clip. */
  readonly onSaid?: (said: Said) => void;
  /** Fixes clips and pauses. @default 1 */
  readonly seed?: number;
}

/** A running demo call. */
export interface Demo {
  readonly callers: number;
  stop(): ReturnType<Callers['stop']>;
}

const payloadType = 100;
const firstSsrc = 0x10_00_00;

/** Starts the demo call. @throws what the SFU throws for a participant that it refuses, and Error for a missing clip. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { sfu, callId, talkRatio, onSaid, seed = 1 } = options;
  const cast = demoCast(readDemoManifest(), options.callers);
  const callers = [];
  for (const [index, { participantId, displayName, role, clips }] of cast.entries()) {
    const ssrc = firstSsrc + index;
    const plain = { callId, participantId, displayName, role, consent: 'granted' as const, ssrc, payloadType, mimeType: 'audio/opus' };
    const remote = await sfu.addPlainParticipant(plain);
    callers.push({ participantId, remote, ssrc, payloadType, clips, seed: seed + index, turnGroup: callId });
  }
  const started = await startCallers({
    callers,
    ...(talkRatio === undefined ? {} : { talkRatio }),
    ...(onSaid === undefined ? {} : { onSaid }),
  });
  return { callers: callers.length, stop: () => started.stop() };
}
